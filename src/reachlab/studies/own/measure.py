"""What a token and a step cost on this machine, and how hard the base finds the task: the same commands, at small size.

They run side by side as the study's stages will, since stages share the machine's memory and caches. What they make is
read and thrown away. Training problems are asked, so the held-out ones stay unseen.
"""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode_answers, prompt_ids
from reachlab.prompting.prompted_task import prompted_task
from reachlab.prompting.prompts import fit_answers
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import BATCH, RunMeasurements, Sizes, StudyPlan
from reachlab.studies.own.stages import own_stages
from reachlab.studies.stages import run_stages
from reachlab.tasks.base import Task

ANSWERS = 64
"""That the base, and a teacher model, give to training problems."""
PROMPTS, ROLLOUTS = 8, 8
"""Of an RL step that is timed."""
STEPS = 3
"""Of each kind; the first warms up and does not count."""
PROMPTS_LOOKED_AT = 256
"""Training problems whose prompts are measured."""
LONGEST = 128
"""Tokens that the base may take, where neither the user nor the task says how many."""
ROOM = 1.25
"""Times the tokens of the longest answers is what an answer may take: training makes answers longer."""


def measure(config: OwnConfig, machine: StudyPlan) -> RunMeasurements:
    """Run the commands at small size, read what they took, and clear them away. `machine` is any plan for it.

    Raises:
        ReachlabError: a command failed, or none of the base's answers came to an end.
    """
    began = time.monotonic()
    out = Path(config.out) / ".measure"
    shutil.rmtree(out, ignore_errors=True)
    small = replace(config, out=str(out))
    longest = config.max_tokens or _tried(config)
    drawing = _run(small, longest, machine, ("own answers", "teacher answers"))
    store = SampleStore(RunFolder(out / "own-answers"))
    answers, outcomes = store.samples(), store.outcomes()
    longest = config.max_tokens or _longest([a.tokens for a in answers if a.finish == "stop"], small, longest)
    training = _run(small, longest, machine, ("RL, GRPO", "distil"))
    rl, distil = (RunFolder(out / name).metrics()[1:] for name in ("grpo", "distilled"))
    dull, rollouts = _mean(rl, "groups_without_signal"), PROMPTS * ROLLOUTS
    generating = _mean(rl, "seconds_generate") + _mean(rl, "seconds_verify")
    updating = _mean(rl, "seconds") - generating
    beside = [
        training[s] - _sum(RunFolder(out / n).metrics()) for s, n in (("RL, GRPO", "grpo"), ("distil", "distilled"))
    ]
    found = RunMeasurements(
        spent=time.monotonic() - began,
        start=max(0.0, drawing["own answers"] - _drawing(out / "own-answers")),
        train_start=max(0.0, *beside),
        answer=_drawing(out / "own-answers") / len(answers),
        rollout=generating / rollouts,
        # Where all groups agree nothing was learned; an update is then supposed to cost twice the drawing.
        update=updating / rollouts / (1 - dull) if dull < 1 else 2 * generating / rollouts,
        learn=_mean(distil, "seconds") / BATCH,
        answer_tokens=float(np.mean([a.tokens for a in answers])),
        taught_tokens=_mean(distil, "tokens") / BATCH,
        prompt_tokens=float(np.mean(_prompt_lengths(config))),
        longest=longest,
        right=tuple(outcomes.c_P.tolist()),
        drawn=tuple(outcomes.n_P.tolist()),
        dull=dull,
    )
    if config.teacher_model:
        taught = SampleStore(RunFolder(out / "teacher-answers")).outcomes()
        each, share = int(taught.n_P.sum()), float(taught.c_P.sum())
        cost = _drawing(out / "teacher-answers") / each
        found = replace(found, teacher_answer=cost, teacher_right=share / each)
    shutil.rmtree(out, ignore_errors=True)
    return found


def _run(config: OwnConfig, longest: int, machine: StudyPlan, names: Sequence[str]) -> dict[str, float]:
    sizes = Sizes(
        max_tokens=longest, problems=1, samples=1, prompts=PROMPTS, rollouts=ROLLOUTS, steps=STEPS, pods_steps=1,
        distill_steps=STEPS, own_answers=ANSWERS, teacher_answers=ANSWERS,
    )  # fmt: skip
    stages = own_stages(config, replace(machine, sizes=sizes, seconds={}))
    wanted = [replace(s, name=f"measure: {s.name}", needs=()) for s in stages if s.name in names]
    taken = run_stages(wanted, machine.width * machine.threads)
    return {name.removeprefix("measure: "): seconds for name, seconds in taken.items()}


def _asked(config: OwnConfig) -> Task:
    """The task as the model is asked it."""
    return prompted_task(config.task, config.ask, str(find_checkpoint(config.model))).task


def _tried(config: OwnConfig) -> int:
    """Tokens that the base's first answers may take: the task's number or ours, and no more than it has positions."""
    wanted = _asked(config).decoding.get("max_tokens", LONGEST)
    most, _ = fit_answers(
        config.model, positions(find_checkpoint(config.model)), max(_prompt_lengths(config)), wanted, given=False
    )
    return most


def _drawing(run: Path) -> float:
    """Seconds from a run's beginning, with its model loaded, to its last part."""
    last = max(part.stat().st_mtime for part in (run / "samples").glob("*.parquet"))
    return max(1e-3, last - (run / "run.json").stat().st_mtime)


def _longest(ended: Sequence[int], config: OwnConfig, tried: int) -> int:
    """Room for 19 of 20 answers that came to an end, and for the solver's where they are to be learned."""
    if not ended:
        raise ReachlabError(f"none of {config.model}'s answers ends within {tried} tokens: raise --max-tokens")
    longest = float(np.quantile(ended, 0.95))
    if config.teacher == "solver" and not config.teacher_model:
        task, tokenizer = _asked(config), load_tokenizer(config.model)
        written = [task.solve(p, Random(0)) or "" for p in islice(task.stream("train", config.seed), ANSWERS)]
        longest = max(longest, *(len(ids) + 1 for ids in encode_answers(tokenizer, written)))
    return min(tried, 8 * math.ceil(ROOM * longest / 8))


def _prompt_lengths(config: OwnConfig) -> list[int]:
    problems = [*islice(_asked(config).stream("train", config.seed), PROMPTS_LOOKED_AT)]
    return [*map(len, prompt_ids(load_tokenizer(config.model), [p.asked for p in problems]))]


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _sum(rows: Sequence[dict[str, Any]]) -> float:
    return math.fsum(row["seconds"] for row in rows)
