"""Whether a program passes tests. What it is asked goes into its sandbox, what it answers comes out; whether that is
right is decided outside, where nothing it does can reach.

Function tests run a benchmark's own code, in a second sandbox (`checker.py`): that one calls the functions under test,
we carry call and answer to and fro as plain values. Expected values are never where the program is.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reachlab.tasks.sandbox import values
from reachlab.tasks.sandbox.bubble import GoneError, Limits, Sandbox, SandboxError
from reachlab.tasks.sandbox.comparison import same_output, same_value

GRACE_S = 1.0
"""What a message may take beside the work it asks for."""


@dataclass(frozen=True, slots=True)
class Passed:
    """How many tests of how many held; `first` says what the first that did not came to."""

    passed: int
    tests: int
    first: str = ""


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


class Referee:
    """Runs tests, one program after the other. The checker's sandbox is kept from one to the next.

    Args:
        limits: what a program may take.
        test_s, total_s: seconds for one test, and for all of a program's.
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

    def code(self, program: str, tests: Code) -> Passed:
        """Run a benchmark's own tests.

        Raises:
            SandboxError: a sandbox, or the tests themselves, failed.
        """
        try:
            return self._code(program, tests)
        except BaseException:
            self.close()
            raise

    def _code(self, program: str, tests: Code) -> Passed:
        deadline = time.monotonic() + self.total_s
        if self._checker is None:
            self._checker = Sandbox("checker.py", self.limits, walls=self.walls)
        checker, patience = self._checker, deadline + GRACE_S
        job = {"setup": tests.setup, "tests": tests.tests, "check": tests.check, "names": list(tests.names)}
        with Sandbox("player.py", self.limits, walls=self.walls) as player:
            line = _Line(player, deadline, self.test_s)
            loaded = line.ask({"load": program})
            first = "" if "loaded" in loaded else f"the program does not load: {_error(loaded)}"
            try:
                checker.send(job, patience)
                count, passed, done, over = 0, set[int](), False, False
                while not over:
                    said = checker.receive(patience)
                    if "call" in said:
                        checker.send(line.ask({key: said[key] for key in ("call", "args", "kwargs")}), patience)
                    elif "tests" in said:
                        count = int(said["tests"])
                    elif "test" in said:
                        if said["passed"]:
                            passed.add(int(said["test"]))
                        else:
                            first = first or f"test {said['test'] + 1}: {said['said']}"
                    elif "broken" in said:
                        first = first or f"the tests stopped: {said['broken']}"
                    done, over = done or "done" in said, "over" in said
            except GoneError as error:
                # Tests that wait for nothing but the program end when it does; these did not.
                self.close()
                if time.monotonic() < deadline:
                    raise SandboxError(f"the tests ended: {error.why}") from error
                return Passed(len(passed), max(count, 1), first or "out of time")
        if not (count and done):
            raise SandboxError("the tests did not come to their end" if count else "the tests assert nothing")
        return Passed(len(passed), count, first)

    def programs(self, program: str, examples: Sequence[Example]) -> Passed:
        """Run the whole program with each example's input, and compare what it prints.

        Raises:
            SandboxError: a sandbox failed.
        """
        deadline = time.monotonic() + self.total_s
        passed, first = 0, ""
        with Sandbox("player.py", self.limits, walls=self.walls) as player:
            line = _Line(player, deadline, self.test_s)
            for number, example in enumerate(examples, 1):
                said = line.ask({"run": program, "stdin": example.input})
                printed, problem = str(said.get("stdout", "")), _error(said) if said.get("error") else ""
                if not problem and same_output(printed, example.output):
                    passed += 1
                elif not first:
                    first = f"test {number}: {problem or f'printed {printed[:60]!r}'}"
        return Passed(passed, len(examples), first)

    def calls(self, program: str, function: str, examples: Sequence[Example]) -> Passed:
        """Call a function (or ``Class.method``) with each example's arguments, and compare what it returns.

        Raises:
            SandboxError: a sandbox failed.
        """
        deadline = time.monotonic() + self.total_s
        passed, first = 0, ""
        with Sandbox("player.py", self.limits, walls=self.walls) as player:
            line = _Line(player, deadline, self.test_s)
            loaded = line.ask({"load": program})
            if "loaded" not in loaded:
                return Passed(0, len(examples), f"the program does not load: {_error(loaded)}")
            for number, example in enumerate(examples, 1):
                asked = {"call": function, "args": values.pack(tuple(example.input)), "kwargs": values.pack({})}
                said = line.ask(asked)
                found: Any = None
                with contextlib.suppress(ValueError):
                    found = values.unpack(said["value"]) if "value" in said else values.Opaque(_error(said))
                if same_value(found, example.output):
                    passed += 1
                elif not first:
                    first = f"test {number}: {_error(said) if 'value' not in said else f'returned {found!r:.60}'}"
        return Passed(passed, len(examples), first)


class _Line:
    """The line to a program. Once it is dead every question has the same answer: an error that says why."""

    def __init__(self, player: Sandbox, deadline: float, test_s: float):
        self.player, self.deadline, self.test_s, self.gone = player, deadline, test_s, ""

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the program says to a message."""
        left = self.deadline - time.monotonic()
        if not self.gone and left <= 0:
            self.gone = "out of time"
        if self.gone:
            return {"error": "RuntimeError", "said": self.gone}
        seconds = min(self.test_s, left)
        try:
            until = time.monotonic() + seconds + GRACE_S
            self.player.send({**message, "s": seconds}, until)
            return self.player.receive(until)
        except GoneError as error:
            self.gone = error.why
            return {"error": "RuntimeError", "said": self.gone}


def _error(said: dict[str, Any]) -> str:
    return f"{said.get('error', 'no answer')}: {said.get('said', '')}"[:200].rstrip(": ")
