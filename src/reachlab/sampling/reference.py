"""`reachlab reference`: a task's own solutions as one more writer, a sample a problem.

The worked solutions of a file, or what the task's own solver says (`Task.solve`), judged like any answer. The run lists
the problems that `reachlab sample` would list, so that the two compare; one without a solution has no sample.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from reachlab.errors import ReachlabError
from reachlab.plugins import facts_of, identity_of
from reachlab.progress import track
from reachlab.runs import RunFolder
from reachlab.sampling.config import ReferenceConfig
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore, hash_problems
from reachlab.tasks.base import Task, empty_split, split_meant
from reachlab.tasks.identity import as_begun
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task, maker_of
from reachlab.types import Problem, Sample

PART_SIZE = 8192


@dataclass(frozen=True, kw_only=True)
class ReferenceRun:
    """What a run of reference solutions holds. ``without`` counts the problems that the task knows none of."""

    folder: str
    problems: int
    solutions: int
    without: int
    correct: int
    wrong: int
    unscored: int

    def words(self) -> str:
        """In a sentence."""
        sentence = f"{self.folder}: {self.solutions:,} reference solutions of {self.problems:,} problems"
        sentence += f", {self.correct:,} judged correct"
        for what, count in {"wrong": self.wrong, "unscored": self.unscored, "without a solution": self.without}.items():
            sentence += f", {count:,} {what}" if count else ""
        return sentence


def write_reference(config: ReferenceConfig) -> ReferenceRun:
    """Store the solutions that the run lacks.

    Raises:
        ReachlabError: a task that cannot be used or knows no solution, or a folder that holds another run.
    """
    folder = RunFolder(config.out)
    folder.check_free()
    task = load_task(config.task)
    split = split_meant(task, config.split)
    problems = task.problems(split, config.problems, config.problem_seed)
    if not problems:
        raise ReachlabError(f"{empty_split(task, split)}; --split all takes all of them")
    # A solver may choose between solutions; the same ones every time.
    texts = {p.id: task.solve(p, Random(f"reference {p.id}")) for p in problems}
    solved = [(p, text) for p in problems if (text := texts[p.id]) is not None]
    if not solved:
        raise ReachlabError(f"{config.task}: it knows no solution to any of these {len(problems)} problems")

    identity = {
        "task": config.task,
        "task_hash": hash_problems(problems),
        "split": split,
        "problems": len(problems),
        "solutions_hash": hashlib.blake2b(json.dumps(texts, sort_keys=True).encode(), digest_size=16).hexdigest(),
    }
    by = maker_of(config.task)
    makers = {} if by is None else {"task": by}
    facts = {"problem_seed": config.problem_seed, **facts_of(makers)}
    folder.claim("reference", as_begun(folder, identity | identity_of(makers)), facts)
    store = SampleStore(folder)
    if not folder.exists("problems.jsonl"):
        store.write_problems(problems)
    _store_solutions(store, task, solved, config.verify_timeout)
    tally = Counter(store.read(["verdict"])["verdict"].to_pylist())
    return ReferenceRun(
        folder=folder.url,
        problems=len(problems),
        solutions=len(solved),
        without=len(problems) - len(solved),
        correct=tally["correct"],
        wrong=tally["wrong"],
        unscored=tally["unscored"],
    )


def _store_solutions(
    store: SampleStore, task: Task, solved: Sequence[tuple[Problem, str]], verify_timeout: float
) -> None:
    """Judge and store the solutions that are not there yet."""
    drawn = store.drawn()
    missing = [(p, text) for p, text in solved if p.id not in drawn]
    if missing:
        note_judged(store.folder, task, verify_timeout)
    with (
        Judge(task, timeout_s=verify_timeout) as judge,
        track("reference", len(solved), len(solved) - len(missing)) as advance,
    ):
        for start in range(0, len(missing), PART_SIZE):
            part = missing[start : start + PART_SIZE]
            store.write_part([
                Sample(
                    problem_id=problem.id,
                    index=0,
                    text=text,
                    tokens=0,  # not known: nobody's tokenizer has cut it
                    finish="stop",
                    logprob=None,
                    seed=0,
                    engine="reference",
                    verdict=judged.verdict,
                    steps=judged.steps,
                    final_answer=judged.final_answer,
                )
                for (problem, text), judged in zip(part, judge.judge(part), strict=True)
            ])  # fmt: skip
            advance(len(part))
