"""Inside other walls: knows what is wanted, and decides. What untrusted code gave comes to it as bytes.

It takes jobs over a socket, one JSON object a line, each in a process of its own that has s CPU seconds: what one job
does to the interpreter no other sees, and values made to take for ever (numbers of a million digits, keys that collide)
end with it.

    {"tests": code, "check": name, "names": [...], "setup": code, "s": s}      a benchmark's own tests
    {"compare": "output" or "value", "wanted": [...], "tolerance": t, "s": s}  examples

Of tests, every name stands for a function of the answer: calling it sends two lines, {"call": true} and what to call
with what, and waits for a line with {"value": ...} or {"error": ...}; `marking.py` says what a test is. Of examples, a
line with what the answer gave is waited for, for each.
After each test goes {"test": number, "passed": ..., "said": ...}, in the end {"done": number of tests}, and when the
process is gone {"over": true, "how": ...}.
"""

import builtins
import json
import os
import resource
import signal
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import comparison  # type: ignore[import-not-found]
import marking  # type: ignore[import-not-found]
import player  # type: ignore[import-not-found]
import values  # type: ignore[import-not-found]

ERRORS = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
"""What an answer may raise by name. An AssertionError of its own is none of the tests', and one that ends a loop would
end a test's."""
for name in ("AssertionError", "StopIteration", "StopAsyncIteration"):
    del ERRORS[name]
LOST = ("gone", "TimeoutError")
LONGEST_NUMBER = 4000
"""Digits of a number in a message: longer ones come as hexadecimals, which take no time."""


class BrokenError(BaseException):
    """The tests fail by themselves: no error that they may expect."""


class LostError(BaseException):
    """The answer is out of time, or is no more: no error of its own, which a test may want."""


def main() -> None:
    """Serve until the socket closes."""
    descriptor, told = int(sys.argv[1]), json.loads(sys.argv[2])
    player.confine(told)
    player.hear_nothing()
    sys.path += told["packages"]
    player.say(descriptor, {"ready": True})
    while line := read_line(descriptor):
        child = os.fork()
        if not child:
            code = 1
            try:
                work(json.loads(line), descriptor)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU)
        how = "out of time" if late else f"killed by signal {status & 0x7F}" if status & 0x7F else ""
        if how:
            os.write(descriptor, b"\n")  # after what it was saying
        player.say(descriptor, {"over": True, "how": how})


def read_line(descriptor: int) -> bytes:
    """The next line. The other side speaks only when it is its turn, so nothing of a later one is taken."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1 << 18)
        if not piece:
            return b""
        line += piece
    return bytes(line)


def work(job: dict[str, Any], descriptor: int) -> None:
    """Do a job, within its time."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, job["s"])
    resource.setrlimit(resource.RLIMIT_CPU, (int(job["s"]) + 2,) * 2)
    if "compare" in job:
        compare(job, descriptor)
    else:
        judge(job, descriptor)


def heard(line: bytes) -> dict[str, Any]:
    """What an answer's sandbox said: a value, or an error."""
    try:
        said = json.loads(line, parse_int=short)
        if isinstance(said, dict):
            return said
    except (ValueError, RecursionError, MemoryError):
        pass
    return {"error": "RuntimeError", "said": "it broke the protocol"}


def short(digits: str) -> int:
    """A number that is quickly read.

    Raises:
        ValueError: it is not.
    """
    if len(digits) > LONGEST_NUMBER:
        raise ValueError("too many digits")
    return int(digits)


def compare(job: dict[str, Any], descriptor: int) -> None:
    """Compare what comes with what is wanted."""
    player.say(descriptor, {"tests": len(job["wanted"])})
    for number, wanted in enumerate(job["wanted"]):
        said = heard(read_line(descriptor))
        try:
            passed, found = compared(job["compare"], said, wanted, job["tolerance"])
        except (ValueError, RecursionError, MemoryError, ArithmeticError) as error:
            passed, found = False, f"not comparable: {type(error).__name__}"
        player.say(descriptor, {"test": number, "passed": passed, "said": found})
    player.say(descriptor, {"done": len(job["wanted"])})


def compared(kind: str, said: dict[str, Any], wanted: Any, tolerance: float) -> tuple[bool, str]:
    """Whether it is what is wanted, and what it is in short."""
    if kind == "output" and type(said.get("stdout")) is str:
        return comparison.same_output(said["stdout"], wanted, tolerance) is True, f"printed {said['stdout'][:60]!r}"
    if kind == "value" and "value" in said:
        found = values.unpack(said["value"])
        return comparison.same_value(found, wanted, tolerance) is True, f"returned {values.brief(found)}"
    return False, described(said)


def described(said: dict[str, Any]) -> str:
    """An error in words."""
    kind, words = str(said.get("error", "no answer"))[:80], str(said.get("said", ""))[:300]
    return words if kind == "gone" else f"{kind}: {words}".rstrip(": ")


def judge(job: dict[str, Any], descriptor: int) -> None:
    """Run a job's tests."""
    calls = 0

    def say(message: dict[str, Any]) -> None:
        player.say(descriptor, message)

    def stand_in(name: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if kind := values.foreign([args, kwargs]):
                raise BrokenError(f"they pass an object ({kind}), and only plain values can be passed")
            calls += 1
            say({"call": True})
            say({"call": name, "args": values.pack(args), "kwargs": values.pack(kwargs)})
            reply = heard(read_line(descriptor))
            if "value" in reply:
                return values.unpack(reply["value"])
            kind = str(reply.get("error"))[:80]
            raise (LostError if kind in LOST else ERRORS.get(kind, RuntimeError))(described(reply))

        return ask

    def test(number: int, error: BaseException | None = None) -> None:
        if isinstance(error, BrokenError):
            raise error
        told = "" if error is None else str(error)[:200]
        if error is not None and not isinstance(error, LostError):
            told = f"{type(error).__name__}: {told}".rstrip(": ")[:200]
        if error is not None and not calls and not isinstance(error, AssertionError):
            raise BrokenError(told)
        say({"test": number, "passed": error is None, "said": told})

    try:
        tree, count = marking.marked(job["tests"], job["check"], job["setup"])
        say({"tests": count})
        names: dict[str, Any] = {"__name__": "__tests__"}
        exec(compile(job["setup"], "setup.py", "exec"), names)
        # After the setup: a prompt may hold an empty function of that name.
        for name in job["names"]:
            names[name] = stand_in(name)
        names["__test__"] = test
        exec(compile(tree, "tests.py", "exec"), names)
        if job["check"]:
            names[job["check"]](names[job["names"][0]])
    except BaseException as error:
        said = str(error)[:200] if isinstance(error, BrokenError) else f"{type(error).__name__}: {error}"[:200]
        say({"broken": said, "alone": not calls or isinstance(error, BrokenError)})
    else:
        say({"done": count})


if __name__ == "__main__":
    main()
