"""Inside the walls: runs untrusted code, and does what it is asked over a socket. Nothing it says is believed.

Started as ``python -I -S player.py FD LIMITS``. It puts the limits on itself (as root it becomes nobody), says that it
is ready, and takes messages, one JSON object a line:

    {"load": program}                                    -> {"loaded": true} or {"error": ...}
    {"call": name, "args": ..., "kwargs": ..., "s": t}   -> {"value": ...} or {"error": ...}
    {"run": program, "stdin": text, "s": t}              -> {"stdout": ..., "error": ...}, each in a process of its own
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import values  # type: ignore[import-not-found]

MOST_OUTPUT = 1 << 20


class OutOfTime(BaseException):
    """A call took too long."""


def main() -> None:
    """Serve until the socket closes."""
    descriptor, limits = int(sys.argv[1]), json.loads(sys.argv[2])
    confine(limits)
    if limits["deaf"]:
        hear_nothing()
    stream = os.fdopen(descriptor, "r+b", buffering=0)
    reader = os.fdopen(os.dup(descriptor), "rb")
    stream.write(values.dumps({"ready": True}))
    names: dict[str, Any] = {"__name__": "__answer__", "__builtins__": __builtins__}
    signal.signal(signal.SIGALRM, out_of_time)
    for line in reader:
        asked = json.loads(line)
        if "run" in asked:
            said = run(asked, stream.fileno(), reader.fileno())
        elif "load" in asked:
            said = attempt(lambda asked=asked: exec(compile(asked["load"], "answer.py", "exec"), names), asked["s"])
            said = {"loaded": True} if "value" in said else said
        else:
            said = attempt(lambda asked=asked: call(names, asked), asked["s"])
        stream.write(values.dumps(said))


def confine(limits: dict[str, Any]) -> None:
    """Limits that the kernel keeps, for this process and all that come from it."""
    for name, value in limits["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if os.getuid() == 0 and limits["uid"]:
        os.setgroups([])
        os.setgid(limits["uid"])
        os.setuid(limits["uid"])
    os.umask(0o077)
    sys.set_int_max_str_digits(0)
    sys.setrecursionlimit(limits["recursion"])


def hear_nothing() -> None:
    """Standard streams lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def out_of_time(*_: object) -> None:
    """What the alarm does."""
    raise OutOfTime


def attempt(work: Any, seconds: float) -> dict[str, Any]:
    """What came of some work within a time."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        found = work()
        packed = values.pack(found)
        return {"value": packed}
    except OutOfTime:
        return {"error": "TimeoutError", "said": f"no answer within {seconds:g} s"}
    except BaseException as error:
        with contextlib.suppress(BaseException):
            return {"error": type(error).__name__, "said": str(error)[:300]}
        return {"error": "Exception", "said": ""}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def call(names: dict[str, Any], asked: dict[str, Any]) -> Any:
    """Call a function of the program, or a method of a class of it as ``Class.method``."""
    holder, _, method = asked["call"].rpartition(".")
    function = getattr(names[holder](), method) if holder else names[method]
    return function(*values.unpack(asked["args"]), **values.unpack(asked["kwargs"]))


def run(asked: dict[str, Any], *ours: int) -> dict[str, Any]:
    """Run a program from beginning to end with some input."""
    source = write("/tmp/.stdin", asked["stdin"].encode())
    out = os.open("/tmp/.stdout", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            os.dup2(source, 0)
            os.dup2(out, 1)
            for descriptor in (*ours, source, out):
                os.close(descriptor)
            sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
            exec(compile(asked["run"], "answer.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                write("/tmp/.error", f"{type(error).__name__}: {error}"[:300].encode())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(code & 0xFF)
    ended, until = 0, time.monotonic() + asked["s"]
    while not ended and time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            time.sleep(0.002)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        problem = f"TimeoutError: no end within {asked['s']:g} s"
    elif status:
        how = f"killed by signal {status & 0x7F}" if status & 0x7F else f"exit code {status >> 8}"
        problem = read("/tmp/.error") or how
    else:
        problem = ""
    os.lseek(out, 0, os.SEEK_SET)
    printed = os.read(out, MOST_OUTPUT + 1)
    for descriptor in (source, out):
        os.close(descriptor)
    if len(printed) > MOST_OUTPUT:
        problem = f"more than {MOST_OUTPUT} bytes of output"
    for left in ("/tmp/.error", "/tmp/.stdin", "/tmp/.stdout"):
        with contextlib.suppress(OSError):
            os.unlink(left)
    return {"stdout": printed[:MOST_OUTPUT].decode(errors="replace"), "error": problem}


def write(path: str, text: bytes) -> int:
    """A file with this in it, open to be read."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    while text:
        text = text[os.write(descriptor, text) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read(path: str) -> str:
    """A short file's text; "" where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(300).decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
