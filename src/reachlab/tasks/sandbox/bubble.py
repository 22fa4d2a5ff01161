"""The walls around untrusted code: bubblewrap's namespaces, the kernel's limits, and a watch over memory and time.

`walls.py` says what is inside. What ends the sandbox ends everything in it: its first process is the namespace's, and
the kernel kills the rest.

Time is CPU time of all that is inside, which does not depend on what else the machine does, and besides it time asleep,
in which nothing inside is running or ready to. Starting is on nobody's clock.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from reachlab.errors import ReachlabError
from reachlab.tasks.sandbox import cgroup, seccomp, walls
from reachlab.tasks.sandbox.meter import Meter, children

HERE = Path(__file__).parent
INSTALL = "apt-get install bubblewrap (or your system's package of that name)"
NOBODY = 1_000_000_000
"""Root becomes a user that no system has, a different one for each process that builds walls: processes are counted a
user."""
START_LIMIT_S, END_LIMIT_S = 60.0, 10.0
STARTS = 2
WATCH_S = 0.05
MOST_MESSAGE = {"player.py": 4 << 20, "checker.py": 64 << 20}
"""Bytes that may be said at once: by sandboxed code, and by its tests, which may call with much."""
GRACE_S = 0.5
"""CPU seconds after a limit that the script inside keeps itself, and is given time to tell of."""
ASLEEP, STARVED = 5, 50
"""Times a limit: asleep, the code is at fault; on the clock, a machine that gives it no core."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What sandboxed code may take. Memory is that of all its processes together, with files in memory and what the
    kernel holds for them. `packages` are names of installed ones that it may import."""

    memory_bytes: int = 512 << 20
    tmp_bytes: int = 64 << 20
    file_bytes: int = 16 << 20
    processes: int = 24
    cpu_s: int = 60
    packages: tuple[str, ...] = ()


class SandboxError(Exception):
    """The sandbox itself failed: nothing is known of the code in it."""


class GoneError(Exception):
    """The process inside is no more, or does not keep to the protocol; `why` it was ended, where it was ended by us."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


@cache
def available() -> str:
    """ "" where sandboxes can be built; else why not."""
    if shutil.which("bwrap") is None:
        return f"bubblewrap is not installed: {INSTALL}"
    try:
        with Sandbox("player.py", Limits()):
            return ""
    except SandboxError as error:
        return f"bubblewrap cannot build its walls here: {error}"
    finally:
        cgroup.leave()


def require() -> None:
    """Refuse where there are no sandboxes.

    Raises:
        ReachlabError: with the command that mends it.
    """
    if why := available():
        raise ReachlabError(f"{why}. Untrusted code is run in a sandbox or not at all (docs/code.md)")


class Allowance:
    """What is left of a limit, over several questions: seconds of CPU time, and `ASLEEP` times as many asleep."""

    def __init__(self, seconds: float):
        self.cpu_s, self.asleep_s = seconds, ASLEEP * seconds
        self.until = time.monotonic() + STARVED * seconds + START_LIMIT_S


class Sandbox:
    """A script of ours inside the walls, and the line to it. As a context manager; at its end all inside is dead.

    Args:
        script: player.py or checker.py.
        limits: what may be taken inside.
        walls: False runs the script as an ordinary process, with the limits alone.

    Raises:
        SandboxError: the walls cannot be built, twice.
        ReachlabError: a package that is not installed.
    """

    def __init__(self, script: str, limits: Limits, *, walls: bool = True):
        self.limits, self._walls = limits, walls
        for attempt in range(STARTS):
            try:
                self._start(script)
                break
            except SandboxError:
                if attempt == STARTS - 1:
                    raise

    def _start(self, script: str) -> None:
        self._buffer, self._most = bytearray(), MOST_MESSAGE[script]
        self._group: cgroup.Group | None = None
        self._socket, theirs = socket.socketpair()
        self._log = TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._folder = None if self._walls else TemporaryDirectory()
        told = json.dumps({**_told(self.limits, self._walls), "folder": self._folder.name if self._folder else "/tmp"})
        files: list[IO[bytes]] = []
        try:
            if self._walls:
                options, files = walls.options(self.limits.tmp_bytes, self.limits.packages)
                filters = walls.file(seccomp.program())
                # From files, so that the command line of the first process inside says nothing of the host.
                built = walls.file(b"\0".join(word.encode() for word in [*options, "--seccomp", str(filters.fileno())]))
                files += [filters, built]
                if (home := cgroup.home()) is not None:
                    with contextlib.suppress(OSError):  # then the watch has to do
                        self._group = home.group(self.limits.memory_bytes)
                words = ["bwrap", "--args", str(built.fileno()), "--", f"{walls.PYTHON}/bin/{walls.VERSION}"]
                words = [*(self._group.enter() if self._group else []), *words]
            else:
                words = [str(Path(sys.base_prefix).resolve() / "bin" / walls.VERSION)]
            path = f"{walls.OURS}/{script}c" if self._walls else str(HERE / script)
            self._process = subprocess.Popen(
                [*words, "-I", "-S", path, str(theirs.fileno()), told],
                pass_fds=[theirs.fileno(), *(file.fileno() for file in files)],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={"PATH": os.environ.get("PATH", os.defpath)}
                if self._walls
                else {"PATH": os.defpath, "HOME": "/nowhere"},
                start_new_session=True,
                preexec_fn=None if self._walls else _die_with_us,
            )
        except BaseException as error:
            self._socket.close()
            self._log.close()
            self._leave()
            if isinstance(error, OSError):
                raise SandboxError(str(error)) from error
            raise
        finally:
            theirs.close()
            for file in files:
                file.close()
        self.meter = Meter(self._process.pid, self._group, walls.IN_MEMORY if self._walls else ())
        self._deadline = time.monotonic() + START_LIMIT_S
        try:
            self._receive(self._still_starting)
        except GoneError as error:
            self.close()
            raise SandboxError(self._said or error.why) from error
        self.charged_s = self.meter.cpu_s()

    def _still_starting(self) -> None:
        if time.monotonic() > self._deadline:
            raise GoneError(f"it did not start within {START_LIMIT_S:g} s")

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lives(self) -> bool:
        """Whether it could be asked."""
        return self._socket.fileno() >= 0 and self._process.poll() is None

    def ask(self, lines: list[bytes], allowance: Allowance, seconds: float) -> bytes:
        """Say some lines to the script inside and hear the next that it says, as it is.

        What it takes is taken from the allowance, of which it may have `seconds` now.

        Raises:
            GoneError: it says nothing in time, ended, took too much memory, or said too much.
            SandboxError: the machine gives it no core.
        """
        if self._socket.fileno() < 0:
            raise GoneError("it has ended")
        watch = _Watch(self, allowance, seconds)
        try:
            self._send(b"".join(line + b"\n" for line in lines), watch.look)
            said = self._receive(watch.look)
            if self._group is not None and self._group.out_of_memory():  # a child of it, and it lives
                raise GoneError(self._ended())
            return said
        finally:
            watch.settle()

    def _send(self, data: bytes, look: Callable[[], None]) -> None:
        left = memoryview(data)
        self._socket.setblocking(False)
        while left:
            _, ready, _ = select.select([], [self._socket], [], WATCH_S)
            if ready:
                try:
                    left = left[self._socket.send(left) :]
                except OSError as error:
                    raise GoneError(self._ended()) from error
            look()

    def _receive(self, look: Callable[[], None]) -> bytes:
        self._socket.setblocking(False)
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            ready, _, _ = select.select([self._socket], [], [], WATCH_S)
            if ready:
                try:
                    piece = self._socket.recv(1 << 18)
                except OSError:
                    piece = b""
                if not piece:
                    raise GoneError(self._ended())
                self._buffer += piece
                if len(self._buffer) > self._most:
                    raise GoneError(self._end("it said too much"))
            look()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _ended(self) -> str:
        """Why it ended by itself, as far as we know."""
        held = self.meter.too_much(self.limits.memory_bytes)
        return self._end(f"out of memory: {held}" if held else "it ended itself")

    def _end(self, why: str) -> str:
        self.close()
        return why

    def close(self) -> None:
        """Kill all that is inside."""
        if self._socket.fileno() >= 0:
            self._socket.close()
            if self._walls:
                # bubblewrap's child is the namespace's first process. It is buried, and bubblewrap ends, only when the
                # kernel has killed all the others: after this nothing is left.
                for first in children(self._process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(first, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_LIMIT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._leave()
            self._log.seek(0)
            lines = self._log.read(2000).decode(errors="replace").strip().splitlines()
            self._said = lines[-1][:300] if lines else ""
            self._log.close()

    def _leave(self) -> None:
        if self._group is not None:
            self._group.close()
        if self._folder is not None:
            self._folder.cleanup()

    _said = ""


class _Watch:
    """Over one question: what may be taken, and what was."""

    def __init__(self, sandbox: Sandbox, allowance: Allowance, seconds: float):
        self.sandbox, self.allowance, self.seconds = sandbox, allowance, min(seconds, allowance.cpu_s)
        self.began = self.looked = time.monotonic()
        self.began_cpu_s = self.cpu_s = sandbox.charged_s
        self.asleep_s = 0.0

    def look(self) -> None:
        """Look every `WATCH_S`, and end what took too much."""
        now = time.monotonic()
        passed = now - self.looked
        if passed < WATCH_S:
            return
        box, meter = self.sandbox, self.sandbox.meter
        self.looked, before, self.cpu_s = now, self.cpu_s, meter.cpu_s()
        if not meter.runs():
            self.asleep_s += max(0.0, passed - (self.cpu_s - before))
        if held := meter.too_much(box.limits.memory_bytes):
            raise GoneError(box._end(f"out of memory: {held}"))
        if self.cpu_s - self.began_cpu_s > self.seconds + GRACE_S:
            raise GoneError(box._end(f"no answer within {self.seconds:.3g} s"))
        if self.asleep_s > min(ASLEEP * self.seconds + GRACE_S, self.allowance.asleep_s):
            raise GoneError(box._end(f"no answer within {self.asleep_s:.3g} s asleep"))
        if now > self.allowance.until:
            box.close()
            raise SandboxError(f"the machine gave it {self.cpu_s - self.began_cpu_s:.3g} s in {now - self.began:.3g} s")

    def settle(self) -> None:
        """Take what was used from the allowance."""
        with contextlib.suppress(OSError):  # it has ended, and its group with it: then what was seen last counts
            self.cpu_s = max(self.cpu_s, self.sandbox.meter.cpu_s())
        self.sandbox.charged_s = self.cpu_s
        self.allowance.cpu_s -= self.cpu_s - self.began_cpu_s
        self.allowance.asleep_s -= self.asleep_s


def _told(limits: Limits, walled: bool) -> dict[str, Any]:
    """What the script is to know."""
    return {
        "uid": NOBODY + os.getpid() if walled else 0,
        "recursion": 5000,
        "packages": walls.search_path(limits.packages, walled),
        "cpu_s": limits.cpu_s,
        "rlimits": {
            # Of one process; the total is kept from outside. Address space is more than memory: stacks, mapped files.
            "RLIMIT_AS": 2 * limits.memory_bytes + (256 << 20),
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": 128,
            "RLIMIT_CORE": 0,
            **({"RLIMIT_NPROC": limits.processes} if walled else {}),
        },
    }


def _die_with_us() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
