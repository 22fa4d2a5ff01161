"""Programs from examples: find the Python expression in x behind ``1>5 2>8 4>14:`` (``x*3+2``).

An answer is right if it gives the wanted output for every x from 0 to 15; its score is the share of them, so a nearly
right program earns something. Any Python expression is judged, by Python: one of plain arithmetic here, where it can do
nothing but compute, and whatever else parses in the sandbox of `code.py`.

    score = |{x : answer(x) = f(x)}| / 16
"""

import ast
import random
from collections.abc import Mapping
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import GeneratedTask
from reachlab.tasks.sandbox.bubble import Limits, available
from reachlab.tasks.sandbox.referee import Answer, Example, MissingModuleError, Referee, wall_limit_s
from reachlab.types import Problem, Verdict

INPUTS = range(16)
LONGEST = 200
TOTAL_S = 2.0
"""CPU seconds of an answer in the sandbox."""
PLAIN = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd,
    ast.Name, ast.Load, ast.Constant, ast.IfExp, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip
"""What an expression may hold to be computed without walls: no call, no name but x, nothing that grows without end."""


class Programs(GeneratedTask):
    """Expressions of `ops` operations; outputs stay in ±`max_value`.

    Args:
        ops: operations of the hidden program.
        examples: inputs and outputs that are shown.
        modulo: share of problems whose program needs a remainder; 0 in pretraining leaves a teacher something to show.
        max_number: largest constant. mistakes: share of `attempt`s that fit only some of the examples.
    """

    isolated = True
    answer_decides = False  # a program that is no plain expression is run, and comes down to nothing

    instruction = (
        "Each pair a>b is an input and its output of one Python expression in x, made of whole numbers and + - * %. "
        "Give the expression alone between <answer> and </answer>: for 1>3 2>5 5>11: that is <answer>2*x+1</answer>."
    )

    def __init__(
        self,
        ops: int = 2,
        examples: int = 4,
        modulo: float = 0.2,
        max_number: int = 9,
        max_value: int = 99,
        mistakes: float = 0.5,
    ):
        if not 1 <= ops <= 6:
            raise ReachlabError(f"programs: ops={ops} must be 1 to 6")
        if not 1 <= examples <= len(INPUTS):
            raise ReachlabError(f"programs: examples={examples} must be 1 to {len(INPUTS)}")
        if not (0 <= modulo <= 1 and 0 <= mistakes <= 1):
            raise ReachlabError("programs: modulo and mistakes are shares, 0 to 1")
        if not 2 <= max_number <= max_value:
            raise ReachlabError(f"programs: max_number={max_number} must be 2 to max_value={max_value}")
        self.ops, self.examples, self.modulo, self.mistakes = ops, examples, modulo, mistakes
        self.max_number, self.max_value = max_number, max_value
        self.spec = "programs"
        self.verify_limit_s = wall_limit_s(TOTAL_S)
        self._referee: Referee | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_referee": None}

    def key(self, problem: Problem) -> str:
        """What the program computes: the same function is in one split, whichever examples show it."""
        return " ".join(map(str, problem.answer["outputs"]))

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """A program, and the examples that show it."""
        while True:
            program = self._program(rng, remainder=rng.random() < self.modulo)
            outputs = outputs_of(program)
            if outputs is not None and len(set(outputs)) > 1 and max(map(abs, outputs)) <= self.max_value:
                break
        shown = sorted(rng.sample(INPUTS, self.examples))
        prompt = " ".join(f"{x}>{outputs[x]}" for x in shown) + ":"
        return Problem(
            id=prompt, prompt=prompt, answer={"outputs": outputs, "program": program}, metadata={"shown": shown}
        )

    def _program(self, rng: random.Random, *, remainder: bool) -> str:
        """An expression of `ops` operations, one of them (and only then) a remainder."""
        at = rng.randrange(self.ops) if remainder else -1
        text, loose = "x", False
        for step in range(self.ops):
            op = "%" if step == at else rng.choice(("+", "-", "*", "*x", "c-"))
            number = rng.randint(2 if op in "%*" else 1, self.max_number)
            inner = f"({text})" if loose and op != "+" and op != "-" else text
            if op == "c-":
                text, loose = f"{number}-{inner}", True
            elif op == "*x":
                text, loose = f"{inner}*x", False
            else:
                text, loose = f"{inner}{op}{number}", op in "+-"
        return text

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Compare what the answer computes with what is wanted.

        Raises:
            SandboxError: an answer that needs the sandbox, and that one failed.
        """
        said = text.strip()
        if not said or len(said) > LONGEST:
            return Verdict.wrong("no program" if not said else f"longer than {LONGEST} characters")
        wanted = problem.answer["outputs"]
        found = outputs_of(said)
        if found is None:
            return self._verify_outside(said, wanted)
        passed = sum(a == b and type(a) is int for a, b in zip(found, wanted, strict=True))
        return _verdict(passed, next((f"x={x}: {found[x]}" for x in INPUTS if found[x] != wanted[x]), ""))

    def _verify_outside(self, said: str, wanted: list[int]) -> Verdict:
        try:
            ast.parse(said, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Verdict.wrong("not a Python expression")
        if why := available():
            return Verdict.unscored(f"needs the sandbox: {why}"[:300])
        if self._referee is None:
            self._referee = Referee(Limits(memory_bytes=256 << 20, cpu_s=4), test_s=0.5, total_s=TOTAL_S)
        examples = [Example((x,), wanted[x]) for x in INPUTS]
        try:
            found = self._referee.calls(Answer(f"def f(x):\n    return (\n{said}\n)\n"), "f", examples)
        except MissingModuleError as error:  # which an expression does not need
            return Verdict.wrong(str(error).partition(";")[0])
        return _verdict(found.passed, found.first)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """What a plain expression computes: two spellings of one function are one vote."""
        found = outputs_of(text.strip())
        return None if found is None else " ".join(map(str, found))

    def gold(self, problem: Problem) -> str:
        """What is to be computed."""
        return self.key(problem)

    def solve(self, problem: Problem, rng: random.Random) -> str:
        """The hidden program."""
        return str(problem.answer["program"])

    def attempt(self, problem: Problem, rng: random.Random) -> str:
        """Somebody's program: `mistakes` of them are another one, corrected to fit one example."""
        if rng.random() >= self.mistakes:
            return self.solve(problem, rng)
        x = rng.choice(problem.metadata["shown"])
        while True:
            other = self._program(rng, remainder=False)
            found = outputs_of(other)
            if found is not None:
                off = problem.answer["outputs"][x] - found[x]
                if abs(off) <= self.max_value:
                    return f"{other}{off:+d}" if off else other

    def alphabet(self) -> str:
        """Every character of a prompt or a program."""
        return "0123456789x+-*%/()>: "


def outputs_of(program: str) -> list[int] | None:
    """What a plain expression computes for every input, an exception's name where it raises; None if not plain."""
    if len(program) > LONGEST:
        return None
    try:
        tree = ast.parse(program, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, PLAIN):
            return None
        if isinstance(node, ast.Name) and node.id != "x":
            return None
        if isinstance(node, ast.Constant) and type(node.value) is not int:
            return None
    code = compile(tree, "answer", "eval")
    return [_value(code, {"x": x, "__builtins__": {}}) for x in INPUTS]


def _value(code: Any, names: Mapping[str, Any]) -> Any:
    try:
        return eval(code, dict(names))
    except (ArithmeticError, ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__


def _verdict(passed: int, first: str) -> Verdict:
    total = len(INPUTS)
    return Verdict.correct() if passed == total else Verdict.wrong(f"{passed} of {total}; {first}", passed / total)
