"""`reachlab sample`: draw, judge, store; resume.

The samples of a run, problem after problem, are cut into parts. A part is drawn as one piece of work, so what is in a
batch together depends on the configuration and not on where an earlier process was killed: the finished run equals an
undisturbed one bit for bit, on the same machine with the embedded engine. Who draws is `crew.py`'s. Workers (`--shard`)
take every n-th part. With `--adaptive` it is the samples from
one look to the next that are cut into parts (`adaptive.py`).
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import hash_model, load_tokenizer
from reachlab.models.tokenizer import prompt_ids
from reachlab.progress import Advance, track
from reachlab.runs import RunFolder
from reachlab.sampling.adaptive import Plan, ending, make_plan, say, sum_up
from reachlab.sampling.asking import asked_task
from reachlab.sampling.config import Decoding, SampleConfig
from reachlab.sampling.crew import Alone, Crew, Finished
from reachlab.sampling.doubts import Doubts, read_doubts
from reachlab.sampling.drawing import Drawer, Key
from reachlab.sampling.engines import open_engine
from reachlab.sampling.prompts import check_prompts
from reachlab.sampling.ray_crew import RayCrew
from reachlab.sampling.store import SampleStore, hash_problems
from reachlab.tasks.base import Split, Task
from reachlab.types import Problem, Sample

STORE_EVERY_S = 30.0
"""Where samples come a few at a time: the longest that finished ones wait to be stored with others."""


@dataclass(frozen=True)
class SamplingResult:
    """What `sample` did: samples drawn now, samples the run holds, how an adaptive run ended, in words, and which
    verdicts to look at; None where the run holds none."""

    drawn: int
    stored: int
    ended: str = ""
    doubts: Doubts | None = None


def sample(config: SampleConfig, tell: Callable[[str], None] = lambda remark: None) -> SamplingResult:
    """Draw what the run lacks of its samples. `tell` hears remarks for the user before the work begins.

    Raises:
        ReachlabError: a model, task or folder that cannot be used; what is stored stays.
    """
    asked = asked_task(config.task, config.ask, config.model)
    task = asked.task
    split: Split = ("all" if task.finite else "test") if config.split == "auto" else config.split
    problems = task.problems(split, config.problems, config.problem_seed)
    if not problems:
        raise ReachlabError(f"{config.task}: no problem in split {split!r}")
    decoding = config.decoding.settled(task.decoding)
    remarks = [asked.remark] if asked.remark else []
    weights, dtype, longest = _check_model(config, decoding.max_tokens, problems, remarks.append)

    folder = RunFolder(config.out)
    identity = {
        "model": weights,
        "task": config.task,
        "task_hash": hash_problems(problems),
        "ask": asked.identity,
        "split": split,
        "problems": len(problems),
        "samples": config.samples,
        "decoding": asdict(decoding),
        "seed": config.seed,
        "dtype": dtype,
    }
    plan = make_plan(config)
    if plan is not None:
        identity["adaptive"] = plan.to_dict()
    store = SampleStore(folder)
    work = _Work(config, decoding, folder, store, task, problems, longest, tell)
    try:
        if not folder.exists("run.json"):
            work.gather()  # a model that cannot be used leaves nothing behind
        for remark in remarks:
            tell(remark)
        folder.claim("sample", identity, {"model_path": config.model, "problem_seed": config.problem_seed})
        if not folder.exists("problems.jsonl"):
            store.write_problems(problems)
        if plan is not None:
            drawn, ended = _sample_adaptively(plan, work, tell)
        else:
            drawn, ended = _sample_all(work), ""
    finally:
        work.close()
    stored = len(store.read_encoded([]))
    return SamplingResult(drawn, stored, ended, read_doubts(store, task) if stored else None)


def _check_model(
    config: SampleConfig, most: int, problems: Sequence[Problem], tell: Callable[[str], None]
) -> tuple[str, str, int]:
    """What identifies the model, what it computes in, and the longest prompt's tokens; remarks are told.

    Raises:
        ReachlabError: no such checkpoint, or one that was not made for these prompts.
    """
    if config.engine == "openai" and not Path(config.model).is_dir():
        # Its weights are the servers' business; a run of it is continued by asking for the same name.
        return f"served: {config.model}", "as served", max(len(str(p.prompt)) for p in problems)
    weights, tokenizer = hash_model(config.model), load_tokenizer(config.model)
    prompts = prompt_ids(tokenizer, [p.asked for p in problems])
    for remark in check_prompts(config.model, config.task, problems, prompts, tokenizer.unk_token_id, most):
        tell(remark)
    return weights, config.dtype, max(map(len, prompts))


class _Work:
    """A run's work: who does it, and where it is put. The crew is gathered when there is something to do."""

    def __init__(
        self,
        config: SampleConfig,
        decoding: Decoding,
        folder: RunFolder,
        store: SampleStore,
        task: Task,
        problems: Sequence[Problem],
        longest: int,
        tell: Callable[[str], None],
    ):
        self.config, self.folder, self.store, self.task, self.problems = config, folder, store, task, problems
        self.decoding, self.longest, self.tell = decoding, longest, tell

    def gather(self) -> None:
        """Have the crew come now.

        Raises:
            ReachlabError: it cannot; a model or a device that cannot be used, a server that does not answer.
        """
        _ = self.crew

    @cached_property
    def crew(self) -> Crew:
        """Whoever the configuration names."""
        config, task, problems = self.config, self.task, self.problems
        if config.cluster.ray:
            return RayCrew(config, self.decoding, task, problems, self.tell)
        engine = open_engine(config)
        return Alone(Drawer(engine, task, problems, self.decoding, config.seed, verify_timeout=config.verify_timeout))

    @cached_property
    def part_size(self) -> int:
        """Samples a part: what the run's first worker found fit for its machine, so that all cut the work alike."""
        if self.config.part:
            return self.config.part
        if not self.folder.exists("part.json"):
            size = self.crew.part_size(self.decoding, self.longest)
            self.folder.write("part.json", f'{{"samples": {size}}}\n'.encode())
        return int(self.folder.read_json("part.json")["samples"])

    def draw(self, parts: Sequence[Sequence[Key]], advance: Advance) -> Iterator[Finished]:
        """Draw these samples, and store them as they come: a part at once, or smaller pieces a few together."""
        waiting: list[Sample] = []
        stored = time.monotonic()
        try:
            for piece, samples in self.crew.draw(parts, advance) if parts else ():
                waiting.extend(samples)
                late = time.monotonic() - stored >= STORE_EVERY_S
                if self.crew.whole_parts or late or len(waiting) >= self.part_size:
                    self.store.write_part(waiting)
                    waiting, stored = [], time.monotonic()
                yield piece, samples
        finally:
            # Also after an error: what is drawn is paid for.
            if waiting:
                self.store.write_part(waiting)

    def close(self) -> None:
        """Send the crew home, if it came."""
        if "crew" in vars(self):
            self.crew.close()


def _sample_all(work: _Work) -> int:
    """Draw what is missing of every problem's samples, or of a worker's share of them; how many that was."""
    config, problems = work.config, work.problems
    done = work.store.drawn()
    worker, workers = config.worker()
    parts = _parts(len(problems), config.samples, work.part_size)
    mine = [part for i, part in enumerate(parts) if i % workers == worker]
    missing = [[(p, s) for p, s in part if s not in done.get(problems[p].id, ())] for part in mine]
    total, left = sum(map(len, mine)), sum(map(len, missing))
    with track("sample", total, total - left) as advance:
        return sum(len(samples) for _, samples in work.draw([part for part in missing if part], advance))


def _sample_adaptively(plan: Plan, work: _Work, tell: Callable[[str], None]) -> tuple[int, str]:
    """Draw what the plan wants and the run lacks, look by look; how many samples that were, and how the run ended."""
    store = work.store
    ledger = store.ledger(plan)
    standing, drawn = ledger.standing(), 0
    looks = [ledger.look(standing, at) for at in range(standing.done)]
    while not ending(plan, looks):
        total, left = ledger.stretch(standing)
        with track(f"sample to {plan.looks[standing.done]:,}", total, total - left) as advance:
            for piece, samples in work.draw(list(ledger.parts(standing, work.part_size)), advance):
                status_N = np.array([sample.verdict.status for sample in samples])
                problem_N, sample_N = np.array(piece).T
                ledger.add(problem_N, sample_N, status_N != "unscored", status_N == "correct")
                drawn += len(samples)
        standing = ledger.standing()
        looks.extend(ledger.look(standing, at) for at in range(len(looks), standing.done))
        tell(say(plan, looks[-1]))
    document = {"looks": [look.to_dict() for look in looks], "ended": ending(plan, looks)}
    if not store.folder.exists("adaptive.json") or store.folder.read_json("adaptive.json") != document:
        store.folder.write("adaptive.json", (json.dumps(document, indent=2) + "\n").encode())
    return drawn, sum_up(plan, looks)


def _parts(problems: int, samples: int, size: int) -> Iterator[list[Key]]:
    """(problem, index) of every sample, problem after problem, `size` at a time."""
    total = problems * samples
    for start in range(0, total, size):
        yield [divmod(i, samples) for i in range(start, min(start + size, total))]
