"""Whether a program passes tests. The host only carries: an answer goes as text into one sandbox (`player.py`), what
comes out of it goes as bytes into another (`checker.py`), where the tests and the wanted results are. What a program
says is never read here, but for short words on why it failed, and expected values are never where the program is.

Whatever an answer does is wrong: what it takes, what it says, and what the tests take over what it said. Where the
walls do not stand, or the tests fail without its doing, it is unscored.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from reachlab.tasks.sandbox import values
from reachlab.tasks.sandbox.bubble import (
    END_LIMIT_S,
    GRACE_S,
    START_LIMIT_S,
    STARTS,
    STARVED,
    Allowance,
    GoneError,
    Limits,
    Sandbox,
    SandboxError,
)
from reachlab.tasks.sandbox.walls import modules

COMPARE_S = 5.0
"""CPU seconds for looking at what an answer's examples gave."""
MOST_TEXT = 1 << 20
"""Characters of an answer."""
SHORT = 4000
"""Bytes of a message that is read here."""
WELL_KNOWN = frozenset({
    "Crypto", "PIL", "aiohttp", "bs4", "cv2", "cvxpy", "cython", "fastapi", "flask", "gmpy2", "jax", "joblib",
    "keras", "lightgbm", "lxml", "matplotlib", "mpmath", "networkx", "nltk", "numba", "numpy", "ortools", "pandas",
    "polars", "psutil", "pulp", "pydantic", "pyspark", "pytest", "regex", "requests", "scipy", "seaborn", "shapely",
    "skimage", "sklearn", "sortedcontainers", "spacy", "statsmodels", "sympy", "tensorflow", "torch", "torchvision",
    "tqdm", "transformers", "xgboost", "yaml", "z3",
})  # fmt: skip
"""What an answer may need and not find. A module that nobody knows is the answer's own mistake."""
Message = dict[str, Any]


class MissingModuleError(SandboxError):
    """The answer needs a package that it was not given."""

    def __init__(self, name: str):
        super().__init__(f"needs the module {name}; allow it with packages={name}")


@dataclass(frozen=True, slots=True)
class Passed:
    """How many tests of how many held; `first` says what the first that did not came to."""

    passed: int
    tests: int
    first: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's text; which part is its program is found inside (`extraction.py`, which explains `begins` and
    `entry`). `before` is run before the program, in the same names."""

    text: str
    begins: str = ""
    entry: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A benchmark's own tests: `check` is the function that takes the one under test, "" where `tests` is all there is;
    `names` are the functions under test; `setup` runs before."""

    tests: str
    names: tuple[str, ...]
    check: str = ""
    setup: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """An input and the output it should give: as text for a whole program, as values (arguments, result) for a
    function."""

    input: Any
    output: Any


def wall_limit_s(total_s: float) -> float:
    """Seconds on the clock in which a judgement surely ends. Only what sleeps, or gets no core, comes near."""
    checking = max(total_s, COMPARE_S)
    return (STARVED + 1) * (total_s + checking) + 2 * (STARTS + 1) * START_LIMIT_S + 4 * END_LIMIT_S


class Referee:
    """Runs tests, one program after the other. The checker's sandbox is kept from one to the next.

    Args:
        limits: what a program may take.
        test_s, total_s: CPU seconds for one test, and for all of a program's.
        walls: False does without sandboxes.
    """

    def __init__(self, limits: Limits, *, test_s: float, total_s: float, walls: bool = True):
        self.limits, self.test_s, self.total_s, self.walls = limits, test_s, total_s, walls
        self._checker: Sandbox | None = None

    def close(self) -> None:
        """End the checker."""
        if self._checker is not None:
            self._checker.close()
            self._checker = None

    def code(self, answer: Answer, tests: Code) -> Passed:
        """Run a benchmark's own tests.

        Raises:
            SandboxError: a sandbox, or the tests themselves, failed.
            MissingModuleError: the answer needs a package.
        """
        job = {"setup": tests.setup, "tests": tests.tests, "check": tests.check, "names": list(tests.names)}
        with _Line(self, answer) as line:
            unfit = line.load()
            with _Work(self, {**job, "s": self.total_s}, self.total_s) as work:
                while "over" not in (said := work.hear()):
                    if "call" in said:
                        work.say(self._carry(line, work))
                if work.how and not work.called:
                    raise SandboxError(f"the tests failed by themselves: {work.how}")
                if not work.how and not work.ended:
                    raise SandboxError("the tests did not come to their end")
                if not work.tests:
                    raise SandboxError("the tests assert nothing")
                return work.result(unfit, f"the tests over what it gave: {work.how}" if work.how else "")

    def _carry(self, line: "_Line", work: "_Work") -> bytes:
        try:
            return line.ask("call", work.listen())
        except GoneError:
            return b""  # which the next thing to hear says too

    def programs(self, answer: Answer, examples: Sequence[Example], tolerance: float = 0.0) -> Passed:
        """Run the whole program with each example's input, and compare what it prints.

        Raises:
            SandboxError: a sandbox failed.
            MissingModuleError: the answer needs a package.
        """
        with _Line(self, answer) as line:
            if line.gone:
                return Passed(0, len(examples), line.gone)
            return self._compare(
                "output", examples, tolerance, (line.ask("run", _line({"stdin": e.input})) for e in examples)
            )

    def calls(self, answer: Answer, function: str, examples: Sequence[Example], tolerance: float = 0.0) -> Passed:
        """Call a function (or ``Class.method``) with each example's arguments, and compare what it returns.

        Raises:
            SandboxError: a sandbox failed.
            MissingModuleError: the answer needs a package.
        """
        with _Line(self, answer) as line:
            if first := line.load():
                return Passed(0, len(examples), first)
            asked = (
                {"call": function, "args": values.pack(tuple(e.input)), "kwargs": values.pack({})} for e in examples
            )
            return self._compare("value", examples, tolerance, (line.ask("call", _line(call)) for call in asked))

    def _compare(self, kind: str, examples: Sequence[Example], tolerance: float, given: Iterable[bytes]) -> Passed:
        seconds = max(COMPARE_S, self.total_s)
        job = {"compare": kind, "wanted": [e.output for e in examples], "tolerance": tolerance, "s": seconds}
        with _Work(self, job, seconds) as work:
            if "tests" not in work.hear():
                raise SandboxError(f"the checker: {work.how}")
            for number, line in enumerate(given, 1):
                work.say(line)
                if "test" not in work.hear():
                    return work.result("", f"test {number}: looking at what it gave: {work.how or 'it broke off'}")
            while "over" not in work.hear():
                pass
            return work.result("")


class _Work:
    """A job of the checker's. As a context manager; a checker that did not come to the job's end is not used again."""

    def __init__(self, referee: Referee, job: Message, seconds: float):
        self._referee, self._seconds = referee, seconds
        self._waiting = [_line(job)]
        self.tests, self.called, self.ended, self.over, self.how = 0, False, False, False, ""
        self._broken = False
        self._passed, self._failed, self._first = set[int](), set[int](), ""

    def __enter__(self) -> Self:
        referee = self._referee
        if referee._checker is not None and not referee._checker.lives():
            referee.close()
        if referee._checker is None:
            referee._checker = Sandbox("checker.py", referee.limits, walls=referee.walls)
        self._checker = referee._checker
        self._allowance = Allowance(self._seconds + GRACE_S)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.over or self.how:
            self._referee.close()

    def say(self, line: bytes) -> None:
        """What the checker hears next."""
        self._waiting.append(line)

    def listen(self) -> bytes:
        """What it says next, as it is.

        Raises:
            GoneError: it is no more.
        """
        lines, self._waiting = self._waiting, []
        return self._checker.ask(lines, self._allowance, self._allowance.cpu_s)

    def hear(self) -> Message:
        """What it says next; {"over": true} where it is no more, nothing where it broke off in a word."""
        try:
            said: Message = json.loads(self.listen())
        except GoneError as error:
            said = {"over": True, "how": error.why}
        except ValueError:
            said = {}
        self.called = self.called or "call" in said
        self.tests = int(said.get("tests", self.tests))
        if "test" in said:
            (self._passed if said["passed"] else self._failed).add(int(said["test"]))
            if not said["passed"]:
                self._first = self._first or f"test {said['test'] + 1}: {said['said']}"
        if "broken" in said:
            if said["alone"]:
                raise SandboxError(f"the tests fail by themselves: {clean(said['broken'])}")
            self._broken, self._first = True, self._first or f"the tests stopped: {said['broken']}"
        self.ended = self.ended or "done" in said or "broken" in said
        self.over, self.how = "over" in said, str(said.get("how", ""))
        return said

    def result(self, unfit: str, stopped: str = "") -> Passed:
        """How many tests held: none of a program that is unfit. That they came to their end is one more where they did
        not."""
        passed = 0 if unfit else len(self._passed - self._failed)
        return Passed(passed, self.tests + self._broken, clean(unfit or self._first or stopped))


class _Line:
    """The line to a program. Once it is dead every question has the same answer: an error that says why."""

    def __init__(self, referee: Referee, answer: Answer):
        self._referee, self._allowance, self.gone = referee, Allowance(referee.total_s), ""
        self._player: Sandbox | None = None
        self._answer = answer

    def __enter__(self) -> Self:
        answer = self._answer
        if len(answer.text) > MOST_TEXT:
            self.gone = f"an answer of {len(answer.text)} characters, more than {MOST_TEXT}"
            return self
        self._player = Sandbox("player.py", self._referee.limits, walls=self._referee.walls)
        self._allowance = Allowance(self._referee.total_s)
        try:
            said = _read(self.ask("take", _line(asdict(answer))))
        except BaseException:
            self._player.close()
            raise
        if said.get("taken") is not True:
            self.gone = f"no program found: {_error(said)}" if "taken" not in said else "no program found"
        return self

    def __exit__(self, *_: object) -> None:
        if self._player is not None:
            self._player.close()

    def load(self) -> str:
        """Run the program's definitions; why that failed."""
        said = _read(self.ask("load", b"{}"))
        return "" if said.get("loaded") is True else self.gone or f"the program does not load: {_error(said)}"

    def ask(self, do: str, given: bytes) -> bytes:
        """What the program says to a question, as it is.

        Raises:
            MissingModuleError: it needs a package.
            SandboxError: the sandbox failed.
        """
        if not self.gone and self._allowance.cpu_s <= 0:
            self.gone = "out of time"
        if self.gone or self._player is None:
            return _line({"error": "gone", "said": self.gone})
        seconds = min(self._referee.test_s, self._allowance.cpu_s)
        try:
            said = self._player.ask([_line({"do": do, "s": seconds}), given], self._allowance, seconds)
        except GoneError as error:
            self.gone = error.why
            return _line({"error": "gone", "said": self.gone})
        if missing := str(_read(said).get("missing", "")):
            limits = self._referee.limits
            if missing in WELL_KNOWN and missing not in modules(limits.packages):
                raise MissingModuleError(missing)
        return said


def clean(text: str, length: int = 200) -> str:
    """Text from inside as one line that can be written anywhere."""
    return " ".join(str(text)[: 2 * length].encode(errors="replace").decode().split())[:length]


def _line(message: Message) -> bytes:
    return json.dumps(message).encode()


def _read(line: bytes) -> Message:
    """A short message; a long one, or none, says nothing."""
    try:
        said = json.loads(line) if len(line) <= SHORT else None
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {}


def _error(said: Message) -> str:
    if said.get("error") == "gone":
        return str(said.get("said", ""))
    return clean(f"{said.get('error', 'no answer')}: {said.get('said', '')}").rstrip(": ")
