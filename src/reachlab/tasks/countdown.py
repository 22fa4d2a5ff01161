"""Countdown in steps: reach a target by using every given number once.

Prompt ``12 11 9 3=36:``, answer ``11*3=33;33-9=24;24+12=36``. Each step takes two numbers that are on the table (given
or made, each used once) and puts their result there; the last result must be the target. The answer needs search, and
every step can be checked, so a right answer reached by a wrong chain cannot occur: the verifier reads the chain itself.

Drawn forwards: numbers, then random steps; the last result is the target, so a solution is always known. `division` is
the share of problems whose solution divides; in a *listed* problem it is proved that none without division exists. That
gives a skill which a base model's corpus can lack and a teacher can show (arXiv 2504.13837, section 4.3).
"""

import math
import random
import re
from functools import lru_cache
from itertools import combinations

from reachlab.errors import ReachlabError
from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, StepCheck, Verdict

STEP = re.compile(r"([0-9]+)([-+*/])([0-9]+)=([0-9]+)")


class Countdown(GeneratedTask):
    """Numbers from 1 to `max_number`, no intermediate result above `max_value`, `mistakes` the share of attempts that
    fail."""

    instruction = (
        "Reach the number after the equals sign with the numbers before it, each used exactly once. A step takes two "
        "numbers that are there, computes with + - * or /, and puts the result in their place; all results are natural "
        "numbers. Give the steps, joined by semicolons and without spaces, between <answer> and </answer>: for "
        "5 3 2=16: that is <answer>5+3=8;8*2=16</answer>."
    )

    def __init__(
        self,
        numbers: int = 4,
        max_number: int = 12,
        max_value: int = 99,
        division: float = 0.2,
        mistakes: float = 0.5,
    ):
        if not 2 <= numbers <= 6:
            raise ReachlabError(f"countdown: numbers={numbers} must be 2 to 6")
        if not 2 <= max_number <= max_value:
            raise ReachlabError(
                f"countdown: max_number={max_number} must be at least 2 and at most max_value={max_value}"
            )
        if not (0 <= division <= 1 and 0 <= mistakes <= 1):
            raise ReachlabError(f"countdown: division={division} and mistakes={mistakes} are shares, 0 to 1")
        self.numbers, self.max_number, self.max_value = numbers, max_number, max_value
        self.division, self.mistakes = division, mistakes
        self.spec = "countdown"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """A problem with a known solution; `division` of them divide in it (and, if `listed`, must)."""
        divide = rng.random() < self.division
        while True:
            numbers = [1 + int(rng.random() * self.max_number) for _ in range(self.numbers)]
            chain = self._random_chain(numbers, "+-*/" if divide else "+-*", rng)
            if chain is None or ("/" in chain) != divide:
                continue
            target = int(chain.rsplit("=", 1)[1])
            if target == 0 or target in numbers:
                continue
            # Proof is too slow for every training problem; there a solution that divides is enough.
            if listed and divide and target in _results(tuple(sorted(numbers)), "+-*", math.inf):
                continue
            # Shown in the order drawn; the identity ignores it, so a reshuffled copy stays in the same split.
            return Problem(
                id=" ".join(map(str, sorted(numbers))) + f"={target}",
                prompt=" ".join(map(str, numbers)) + f"={target}:",
                answer={"numbers": numbers, "target": target},
                metadata={"solution": chain, "division": divide},
            )

    def _random_chain(self, numbers: list[int], ops: str, rng: random.Random) -> str | None:
        """Random steps until one number is left, or None where a step has no legal result."""
        table, steps = list(numbers), []
        while len(table) > 1:
            a = table.pop(int(rng.random() * len(table)))
            b = table.pop(int(rng.random() * len(table)))
            op = ops[int(rng.random() * len(ops))]
            value = _apply(a, op, b)
            if value is None or value > self.max_value:
                return None
            steps.append(f"{a}{op}{b}={value}")
            table.append(value)
        return ";".join(steps)

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Right when the whole chain holds and ends at the target."""
        table, reason = _follow(problem.answer["numbers"], text)
        if reason:
            return Verdict.wrong(reason)
        target = problem.answer["target"]
        if len(table) > 1:
            return Verdict.wrong(f"{len(table)} numbers are left")
        return Verdict.correct() if table == [target] else Verdict.wrong(f"ends at {table[0]}, not {target}")

    def check_steps(self, problem: Problem, text: str) -> StepCheck:
        """How many steps hold: legal numbers, right arithmetic."""
        steps = text.strip().split(";") if text.strip() else []
        for valid in range(len(steps)):
            if _follow(problem.answer["numbers"], ";".join(steps[: valid + 1]))[1]:
                return StepCheck(valid, len(steps))
        return StepCheck(len(steps), len(steps))

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The solution the problem was drawn with, or one found by search."""
        known = problem.metadata.get("solution")
        if known is not None:
            return str(known)
        return _search(tuple(problem.answer["numbers"]), problem.answer["target"], "+-*/", self.max_value)

    def attempt(self, problem: Problem, rng: random.Random) -> str | None:
        """What somebody writes who tries: `mistakes` of the attempts use legal steps that miss the target."""
        if rng.random() >= self.mistakes:
            return self.solve(problem, rng)
        ops = "+-*/" if problem.metadata["division"] else "+-*"
        for _ in range(1000):
            chain = self._random_chain(problem.answer["numbers"], ops, rng)
            if chain is not None and int(chain.rsplit("=", 1)[1]) != problem.answer["target"]:
                return chain
        # With few small numbers, no chain may miss.
        return self.solve(problem, rng)

    def alphabet(self) -> str:
        """Every character of a prompt or an answer."""
        return "0123456789+-*/=;: "


def _apply(a: int, op: str, b: int) -> int | None:
    """The result of a step on natural numbers, or None where it is not one."""
    if op == "+":
        return a + b
    if op == "-":
        return a - b if a >= b else None
    if op == "*":
        return a * b
    return a // b if b and a % b == 0 else None


def _follow(numbers: list[int], text: str) -> tuple[list[int], str]:
    """The numbers left on the table after a chain's steps, and what is wrong with it ("" when it holds)."""
    table = list(numbers)
    for step in text.strip().split(";"):
        match = STEP.fullmatch(step.strip())
        if not match:
            return table, f"not a step: {step.strip()[:40]!r}"
        if any(len(group) > 18 for group in match.groups()):
            return table, f"a number too long: {step[:40]!r}"
        a, op, b, stated = int(match[1]), match[2], int(match[3]), int(match[4])
        for used in (a, b):
            if used not in table:
                return table, f"{used} is not on the table in {step.strip()!r}"
            table.remove(used)
        if _apply(a, op, b) != stated:
            return table, f"wrong arithmetic: {step.strip()!r}"
        table.append(stated)
    return table, ""


@lru_cache(maxsize=200_000)
def _results(numbers: tuple[int, ...], ops: str, max_value: float) -> frozenset[int]:
    """Every value that a chain over all of `numbers` (sorted) can end at."""
    if len(numbers) == 1:
        return frozenset(numbers)
    found: set[int] = set()
    # The larger first; the other order gives nothing new (0 / b is 0 * b).
    for j, i in combinations(range(len(numbers)), 2):
        rest = [x for k, x in enumerate(numbers) if k not in (i, j)]
        values = {_apply(numbers[i], op, numbers[j]) for op in ops}
        for value in values:
            if value is not None and value <= max_value:
                found |= _results(tuple(sorted([*rest, value])), ops, max_value)
    return frozenset(found)


def _reachable(numbers: tuple[int, ...], target: int, ops: str, max_value: int) -> bool:
    return target in _results(tuple(sorted(numbers)), ops, max_value)


def _search(numbers: tuple[int, ...], target: int, ops: str, max_value: int) -> str | None:
    """Depth-first search for a chain that ends at `target`, pruned by what the rest can reach."""
    if len(numbers) == 1:
        return "" if numbers[0] == target else None
    for i in range(len(numbers)):
        for j in range(len(numbers)):
            if i == j:
                continue
            rest = tuple(x for k, x in enumerate(numbers) if k not in (i, j))
            for op in ops:
                value = _apply(numbers[i], op, numbers[j])
                if value is None or value > max_value or not _reachable((*rest, value), target, ops, max_value):
                    continue
                tail = _search((*rest, value), target, ops, max_value)
                if tail is not None:
                    return f"{numbers[i]}{op}{numbers[j]}={value}" + (f";{tail}" if tail else "")
    return None
