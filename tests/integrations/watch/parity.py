"""A task that a model without any training is sometimes right about, and whose verifier sometimes fails."""

import random

from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, Verdict


class Parity(GeneratedTask):
    """Right is an answer of an even number of characters; one that begins with `strange` breaks the verifier."""

    def __init__(self, strange: str = ""):
        self.strange, self.spec = strange, "parity"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """Three numbers."""
        word = "+".join(str(rng.randint(1, 99)) for _ in range(3))
        return Problem(id=word, prompt=f"{word}=", answer="even")

    def verify(self, problem: Problem, text: str) -> Verdict:
        """See the class."""
        if self.strange and text.startswith(tuple(self.strange)):
            raise ValueError("a strange answer")
        return Verdict.correct() if len(text) % 2 == 0 else Verdict.wrong("odd")
