"""Chain arithmetic: evaluate ``7+5*3-2`` strictly from left to right, one step a time.

Prompt ``7+5*3-2=?``, answer ``7+5=12;12*3=36;36-2=34``. No search is needed, only exactness, so the success probability
falls with length: the counterpart to Countdown, whose difficulty is the search.
"""

import random
import re

from reachlab.errors import ReachlabError
from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, StepCheck, Verdict

STEP = re.compile(r"(-?[0-9]{1,18})([-+*])([0-9]{1,18})=(-?[0-9]{1,18})")
SYMBOLS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


class Chain(GeneratedTask):
    """`length` operations on numbers from 1 to `max_number`; results stay in ±`max_value`."""

    instruction = (
        "Compute strictly from left to right, whatever the signs, one operation a step. Give the steps, joined by "
        "semicolons and without spaces, between <answer> and </answer>: for 2+3*4=? that is "
        "<answer>2+3=5;5*4=20</answer>."
    )

    def __init__(self, length: int = 4, max_number: int = 9, max_value: int = 99, mistakes: float = 0.3):
        if not 1 <= length <= 64:
            raise ReachlabError(f"chain: length={length} must be 1 to 64")
        if not 1 <= max_number <= max_value:
            raise ReachlabError(f"chain: max_number={max_number} must be at least 1 and at most max_value={max_value}")
        if not 0 <= mistakes <= 1:
            raise ReachlabError(f"chain: mistakes={mistakes} is a share, 0 to 1")
        self.length, self.max_number, self.max_value, self.mistakes = length, max_number, max_value, mistakes
        self.spec = "chain"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """An expression, built so that every result stays within bounds."""
        value = rng.randint(1, self.max_number)
        terms = [str(value)]
        for _ in range(self.length):
            while True:
                op, number = rng.choice("+-*"), rng.randint(1, self.max_number)
                result = SYMBOLS[op](value, number)
                if abs(result) <= self.max_value:
                    break
            terms += [op, str(number)]
            value = result
        # a+b... and b+a... are the same question when the first operation commutes.
        first = sorted([terms[0], terms[2]]) if terms[1] in "+*" else [terms[0], terms[2]]
        return Problem(
            id="".join([first[0], terms[1], first[1], *terms[3:]]),
            prompt="".join(terms) + "=?",
            answer={"terms": terms, "value": value},
        )

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Right when the last step ends at the value; the steps before it are `check_steps`' concern."""
        match = STEP.fullmatch(text.strip().split(";")[-1].strip())
        if not match:
            return Verdict.wrong(f"no last step: {text.strip()[-40:]!r}")
        value = problem.answer["value"]
        return Verdict.correct() if int(match[4]) == value else Verdict.wrong(f"{match[4]}, not {value}")

    def check_steps(self, problem: Problem, text: str) -> StepCheck:
        """Steps that are exactly the expression's own, in order."""
        said = [step.strip() for step in text.strip().split(";")] if text.strip() else []
        right = _steps(problem.answer["terms"])
        valid = 0
        while valid < min(len(said), len(right)) and said[valid] == right[valid]:
            valid += 1
        return StepCheck(valid, max(len(said), len(right)) if said else 0)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The last step's result, which is what `verify` reads."""
        match = STEP.fullmatch(text.strip().split(";")[-1].strip())
        return str(int(match[4])) if match else None

    def gold(self, problem: Problem) -> str:
        """The expression's value."""
        return str(problem.answer["value"])

    def solve(self, problem: Problem, rng: random.Random) -> str:
        """The steps in order."""
        return ";".join(_steps(problem.answer["terms"]))

    def attempt(self, problem: Problem, rng: random.Random) -> str:
        """Somebody's attempt: `mistakes` of them slip once, and carry the slip on to the end."""
        slip = rng.randrange(self.length) if rng.random() < self.mistakes else None
        return ";".join(_steps(problem.answer["terms"], slip, rng.choice((-2, -1, 1, 2))))

    def alphabet(self) -> str:
        """Every character of a prompt or an answer."""
        return "0123456789+-*=?; "


def _steps(terms: list[str], slip: int | None = None, error: int = 0) -> list[str]:
    """The chain's steps; at step `slip` the result is off by `error`."""
    value, steps = int(terms[0]), []
    for i in range(0, len(terms) - 1, 2):
        op, number = terms[i + 1], terms[i + 2]
        result = SYMBOLS[op](value, int(number)) + (error if slip == i // 2 else 0)
        steps.append(f"{value}{op}{number}={result}")
        value = result
    return steps
