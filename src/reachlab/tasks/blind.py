"""Any task, with noise for its pictures: ``blind=true``. What is solved then is solved without looking.

The questions, their order, splits and ids are the task's own, so that a blind run is compared with a seeing one problem
by problem.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reachlab.pictures.reference import NOISE
from reachlab.tasks.base import Split, Task
from reachlab.types import Problem, StepCheck, Verdict


class Blinded(Task):
    """`task` behind noise."""

    def __init__(self, task: Task):
        self.task = task
        self.spec, self.finite, self.isolated = task.spec, task.finite, task.isolated
        self.decoding, self.verify_limit_s = task.decoding, task.verify_limit_s
        self.answer_decides = task.answer_decides
        self.bounded_score = task.bounded_score
        self.plain, self.instruction, self.worked = task.plain, task.instruction, task.worked
        self.next_question, self.reads_tags = task.next_question, task.reads_tags

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """The task's, unseen."""
        return [_unseen(problem) for problem in self.task.problems(split, n, seed)]

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """The task's, unseen."""
        return map(_unseen, self.task.stream(split, seed, start))

    def key(self, problem: Problem) -> str:
        """The task's."""
        return self.task.key(_seen(problem))

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The task's."""
        return self.task.verify(problem, text)

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The task's, who has seen the picture."""
        return self.task.solve(problem, rng)

    def attempt(self, problem: Problem, rng: random.Random) -> str | None:
        """The task's."""
        return self.task.attempt(problem, rng)

    def check_steps(self, problem: Problem, text: str) -> StepCheck | None:
        """The task's."""
        return self.task.check_steps(problem, text)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The task's."""
        return self.task.final_answer(problem, text)

    def gold(self, problem: Problem) -> str | None:
        """The task's."""
        return self.task.gold(problem)

    def bare(self, problem: Problem) -> str:
        """The task's."""
        return self.task.bare(problem)

    def question(self, problem: Problem) -> str:
        """The task's."""
        return self.task.question(problem)

    def instructed(self, problem: Problem) -> str:
        """The task's."""
        return self.task.instructed(problem)

    def answer_as(self, problem: Problem, solution: str, said: str) -> str:
        """The task's."""
        return self.task.answer_as(problem, solution, said)

    def shown_answer(self, problem: Problem) -> Any:
        """The task's."""
        return self.task.shown_answer(problem)

    def alphabet(self) -> str | None:
        """The task's."""
        return self.task.alphabet()


def _unseen(problem: Problem) -> Problem:
    return replace(problem, images=tuple(f"{NOISE}{reference}" for reference in problem.images))


def _seen(problem: Problem) -> Problem:
    return replace(problem, images=tuple(reference.removeprefix(NOISE) for reference in problem.images))
