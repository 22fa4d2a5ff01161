"""Inside the walls: runs untrusted code, and does what it is asked over a socket. Nothing it says is believed.

Started as ``python -I -S player.py FD TOLD``. It puts the limits on itself (as root it becomes nobody), says that it is
ready, and takes questions of two lines, what to do in s CPU seconds and with what, each a JSON object:

    {"do": "take", "s": s}  {"text": ..., "begins": ..., "entry": ..., "before": ...}  -> {"taken": true}
    {"do": "load", "s": s}  {}                                      -> {"loaded": true} or {"error": ...}
    {"do": "call", "s": s}  {"call": name, "args": ..., "kwargs": ...}  -> {"value": ...} or {"error": ...}
    {"do": "run", "s": s}   {"stdin": text}                         -> {"stdout": ...} or {"error": ...}

`take` finds the program in an answer's text, before anything of it has run. `run` runs it in a process of its own.
"""

import atexit
import builtins
import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import extraction  # type: ignore[import-not-found]
import values  # type: ignore[import-not-found]

MOST_OUTPUT = 1 << 20
PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED of Linux: a process's CPU time."""


class OutOfTime(BaseException):
    """A call took too long."""


class Clock:
    """Stops work that takes too many CPU seconds, where that can be stopped from here."""

    def __init__(self) -> None:
        self.running = False
        signal.signal(signal.SIGPROF, self.ring)

    def ring(self, *_: object) -> None:
        """What the timer does, while there is work to be stopped.

        Raises:
            OutOfTime: there is.
        """
        if self.running:
            raise OutOfTime

    def attempt(self, work: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
        """What came of some work."""
        try:
            try:
                self.running = True
                signal.setitimer(signal.ITIMER_PROF, seconds)
                return work()
            except OutOfTime:
                raise
            except BaseException as error:
                return described(error)
            finally:
                self.stop()
        except OutOfTime:  # from any line of the above
            self.stop()
            return {"error": "TimeoutError", "said": f"no answer within {seconds:.3g} s"}

    def stop(self) -> None:
        """No more."""
        self.running = False
        signal.setitimer(signal.ITIMER_PROF, 0)


class Player:
    """An answer: first its text, then its program, then the module that comes of it."""

    def __init__(self, folder: str, ours: tuple[int, ...]):
        self.folder, self.ours, self.before, self.program = folder, ours, "", ""
        self.clock = Clock()
        self.module = ModuleType("__answer__")
        self.given: dict[str, Any] = {}

    def answer(self, asked: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """What is said to a question."""
        do = asked["do"]
        if do == "run":
            return self.run(given["stdin"], asked["s"])
        if do == "call":
            return self.clock.attempt(lambda: {"value": values.pack(self.call(given))}, asked["s"])
        return self.clock.attempt((lambda: self.take(given)) if do == "take" else self.load, asked["s"])

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """Find the program."""
        self.before = given["before"]
        self.program = extraction.program_of(given["text"], given["begins"], given["entry"])
        with contextlib.suppress(Exception):  # what it imports is then there for each process to come
            exec(compile(self.before, "before.py", "exec", dont_inherit=True), {})
        return {"taken": bool(self.program.strip())}

    def load(self) -> dict[str, Any]:
        """Run the program's definitions. What was defined before it ended itself is there."""
        sys.modules[self.module.__name__] = self.module
        with contextlib.suppress(SystemExit):
            self.execute(self.module)
        return {"loaded": True}

    def execute(self, module: ModuleType) -> None:
        """What stands before the program is no part of it: the program's own first line may have to be its first."""
        names = vars(module)
        exec(compile(self.before, "before.py", "exec", dont_inherit=True), names)
        self.given = dict(names)
        exec(compile(self.program, "answer.py", "exec", dont_inherit=True), names)

    def call(self, given: dict[str, Any]) -> Any:
        """Call a function of the program, or a method of a class of it as ``Class.method``."""
        holder, _, method = given["call"].rpartition(".")
        names = vars(self.module)
        if names.get(holder or method) is self.given.get(holder or method):
            raise NameError(f"the program defines no {holder or method}")  # what stands before it has one, perhaps
        function = getattr(names[holder](), method) if holder else names[method]
        return function(*values.unpack(given["args"]), **values.unpack(given["kwargs"]))

    def run(self, stdin: str, seconds: float) -> dict[str, Any]:
        """Run the program from beginning to end with some input."""
        source = write(f"{self.folder}/.stdin", stdin.encode(errors="surrogateescape"))
        out = os.open(f"{self.folder}/.stdout", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if not child:
            self.be_the_program(source, out)
        status, late = buried(child, seconds)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        said = self.told(status, f"no end within {seconds:.3g} s" if late else "")
        os.lseek(out, 0, os.SEEK_SET)
        printed = os.read(out, MOST_OUTPUT + 1)
        for descriptor in (source, out):
            os.close(descriptor)
        for left in (".error", ".stdin", ".stdout"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self.folder}/{left}")
        if said:
            return said
        if len(printed) > MOST_OUTPUT:
            return {"error": "RuntimeError", "said": f"more than {MOST_OUTPUT} bytes of output"}
        return {"stdout": printed.decode(errors="replace")}

    def be_the_program(self, source: int, out: int) -> None:
        """In the process of its own."""
        code = 1
        module = sys.modules["__main__"] = ModuleType("__main__")
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            os.setsid()
            os.dup2(source, 0)
            os.dup2(out, 1)
            for descriptor in (*self.ours, source, out):
                os.close(descriptor)
            sys.stdin = sys.__stdin__ = open(0)  # type: ignore[misc] # noqa: SIM115
            sys.stdout = sys.__stdout__ = open(1, "w")  # type: ignore[misc] # noqa: SIM115
            self.execute(module)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                write(f"{self.folder}/.error", values.dumps(described(error)))
        finally:
            self.end(module)
            os._exit(code & 0xFF)

    def end(self, module: ModuleType) -> None:
        """As an interpreter ends: threads first, then what was to be done at the exit, then files nobody closed."""
        steps: list[Callable[[], Any]] = [
            lambda: sys.modules["threading"]._shutdown(),
            atexit._run_exitfuncs,
            lambda: sys.stdout.flush(),
            vars(module).clear,
            lambda: sys.__stdout__.flush(),  # type: ignore[union-attr]
        ]
        for step in steps:
            with contextlib.suppress(BaseException):
                step()

    def told(self, status: int, late: str) -> dict[str, Any]:
        """What went wrong, if anything did."""
        if late:
            return {"error": "TimeoutError", "said": late}
        if not status:
            return {}
        with contextlib.suppress(Exception):
            found: dict[str, Any] = json.loads(read(f"{self.folder}/.error"))
            return found
        how = f"killed by signal {status & 0x7F}" if status & 0x7F else f"exit code {status >> 8}"
        return {"error": "RuntimeError", "said": how}


def main() -> None:
    """Serve until the socket closes."""
    descriptor, told = int(sys.argv[1]), json.loads(sys.argv[2])
    confine(told)
    resource.setrlimit(resource.RLIMIT_CPU, (told["cpu_s"], told["cpu_s"]))
    hear_nothing()
    forget(told)
    reader = os.fdopen(os.dup(descriptor), "rb")
    player = Player(told["folder"], (descriptor, reader.fileno()))
    say(descriptor, {"ready": True})
    while (asked := reader.readline()) and (given := reader.readline()):
        say(descriptor, player.answer(json.loads(asked), json.loads(given)))


def confine(told: dict[str, Any]) -> None:
    """Limits that the kernel keeps, for this process and all that come from it."""
    for name, value in told["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if os.getuid() == 0 and told["uid"]:
        os.setgroups([])
        os.setgid(told["uid"])
        os.setuid(told["uid"])
    os.umask(0o077)
    sys.set_int_max_str_digits(0)
    sys.setrecursionlimit(told["recursion"])


def hear_nothing() -> None:
    """Standard streams lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def forget(told: dict[str, Any]) -> None:
    """What a program finds is its own: no argument and no module of ours, the packages it may have, and the two ways to
    end that `site` brings elsewhere."""
    sys.argv[:] = ["answer.py"]
    sys.path[:] = [*(place for place in sys.path[1:]), *told["packages"]]
    for name in ("values", "extraction", "fences", "statements"):
        del sys.modules[name]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)


def say(descriptor: int, message: dict[str, Any]) -> None:
    """A message, whole."""
    data = values.dumps(message)
    while data:
        data = data[os.write(descriptor, data) :]


def described(error: BaseException) -> dict[str, Any]:
    """An error as a message; its texts are the answer's own, and may be anything."""
    message = {"error": "Exception", "said": ""}
    with contextlib.suppress(Exception):
        message["error"] = f"{type(error).__name__:.80}"
        message["said"] = f"{error!s:.300}"
        if isinstance(error, ModuleNotFoundError):
            message["missing"] = f"{error.name!s:.80}".partition(".")[0]
    return message


def buried(child: int, seconds: float) -> tuple[int, bool]:
    """How a process ended, and whether it had to be ended for its CPU time."""
    late = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, late
        with contextlib.suppress(OSError):
            late = late or time.clock_gettime((~child << 3) | PROCESS_CLOCK) > seconds
        if late:
            os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 0.02)


def write(path: str, text: bytes) -> int:
    """A file with this in it, open to be read."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    while text:
        text = text[os.write(descriptor, text) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read(path: str) -> bytes:
    """A short file."""
    with open(path, "rb") as file:
        return file.read(4000)


if __name__ == "__main__":
    main()
