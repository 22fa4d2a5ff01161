"""Tasks that a tiny model learns in a few steps: begin the answer with an odd digit."""

import random

from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, Verdict


class Letters(GeneratedTask):
    """Right answers begin with an odd digit; the share `unscored` of the problems is never judged. With `partial` they
    are only nearly right, and score that."""

    def __init__(self, unscored: float = 0.0, partial: float = 0.0) -> None:
        self.unscored, self.partial, self.spec = unscored, partial, "letters"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        number = rng.randrange(1000)
        return Problem(id=str(number), prompt=f"{number}=", answer=number)

    def verify(self, problem: Problem, text: str) -> Verdict:
        if random.Random(problem.id + text).random() < self.unscored:
            return Verdict.unscored("the judge is out")
        odd = text[:1] in set("13579")
        return Verdict.correct() if odd and not self.partial else Verdict.wrong(score=odd * self.partial)


class Said(Letters):
    """The same, with what a text comes down to: its second sign, which says nothing of its verdict."""

    def final_answer(self, problem: Problem, text: str) -> str | None:
        return text[1:2] or None

    def gold(self, problem: Problem) -> str:
        return str(problem.answer)[:1]
