"""The walls around untrusted code: bubblewrap's namespaces, the kernel's limits, and a watch over memory and time.

Inside there is a read-only system with Python and nothing of the user's; an empty home; a /tmp of its own in memory; no
network, no other process to be seen, no environment; no privilege and no way to gain one. What ends the sandbox ends
everything in it: its first process is the namespace's, and the kernel kills the rest.
"""

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from reachlab.errors import ReachlabError
from reachlab.tasks.sandbox import seccomp

HERE = Path(__file__).parent
SCRIPTS = ("player.py", "checker.py", "values.py", "extraction.py", "comparison.py")
INSTALL = "apt-get install bubblewrap (or your system's package of that name)"
NOBODY = 1_000_000_000
"""Root becomes a user that no system has, a different one for each process that builds walls: processes are counted a
user."""
PYTHON = "/python"
"""Where the interpreter's folder stands inside."""
START_LIMIT_S, END_LIMIT_S = 30.0, 10.0
WATCH_S = 0.05
MOST_MESSAGE = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What sandboxed code may take. Memory is that of all its processes together, and again its /tmp."""

    memory_bytes: int = 512 << 20
    tmp_bytes: int = 64 << 20
    file_bytes: int = 16 << 20
    processes: int = 24
    cpu_s: int = 60


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


def require() -> None:
    """Refuse where there are no sandboxes.

    Raises:
        ReachlabError: with the command that mends it.
    """
    if why := available():
        raise ReachlabError(f"{why}. Untrusted code is run in a sandbox or not at all (docs/code.md)")


class Sandbox:
    """A script of ours inside the walls, and the line to it. As a context manager; at its end all inside is dead.

    Args:
        script: player.py or checker.py.
        limits: what may be taken inside.
        walls: False runs the script as an ordinary process, with the limits alone.

    Raises:
        SandboxError: the walls cannot be built.
    """

    def __init__(self, script: str, limits: Limits, *, walls: bool = True):
        self.limits, self._walls, self._buffer, self._watched = limits, walls, bytearray(), 0.0
        self._socket, theirs = socket.socketpair()
        self._log = TemporaryFile()  # noqa: SIM115 (closed by `close`)
        told = {
            "uid": NOBODY + os.getpid() if walls else 0,
            "deaf": script == "player.py",
            "recursion": 5000,
            "rlimits": {
                # Of one process; the total is watched. Address space is more than memory: stacks, mapped files.
                "RLIMIT_AS": 2 * limits.memory_bytes + (256 << 20),
                "RLIMIT_FSIZE": limits.file_bytes,
                "RLIMIT_CPU": limits.cpu_s,
                "RLIMIT_NOFILE": 128,
                "RLIMIT_CORE": 0,
                **({"RLIMIT_NPROC": limits.processes} if walls else {}),
            },
        }
        prefix = Path(sys.base_prefix).resolve()
        home = PYTHON if walls and not prefix.is_relative_to("/usr") else prefix
        python = f"{home}/bin/python3.{sys.version_info.minor}"
        where = "/sandbox" if walls else str(HERE)
        words = [python, "-I", "-S", f"{where}/{script}", str(theirs.fileno()), json.dumps(told)]
        keep = [theirs.fileno()]
        files = []
        if walls:
            # From files, so that the command line of the first process inside says nothing of the host.
            filters = _file(seccomp.program())
            built = _file(b"\0".join(w.encode() for w in [*_walls(limits, prefix), "--seccomp", str(filters.fileno())]))
            files = [filters, built]
            keep += [file.fileno() for file in files]
            words = ["bwrap", "--args", str(built.fileno()), "--", *words]
        try:
            self._process = subprocess.Popen(
                words,
                pass_fds=keep,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={"PATH": os.environ.get("PATH", os.defpath)} if walls else {"PATH": os.defpath, "HOME": "/nowhere"},
                start_new_session=True,
                preexec_fn=_die_with_us if not walls else None,
            )
        except OSError as error:
            raise SandboxError(str(error)) from error
        finally:
            theirs.close()
            for file in files:
                file.close()
        try:
            self.receive(time.monotonic() + START_LIMIT_S)
        except GoneError as error:
            self.close()
            raise SandboxError(self._said or error.why) from error

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: dict[str, Any], deadline: float) -> None:
        """Say something to the script inside.

        Raises:
            GoneError: it does not listen.
        """
        data = memoryview(json.dumps(message).encode() + b"\n")
        self._socket.setblocking(False)
        while data:
            self._watch(deadline)
            _, ready, _ = select.select([], [self._socket], [], WATCH_S)
            if ready:
                try:
                    data = data[self._socket.send(data) :]
                except OSError as error:
                    raise GoneError(self._end("it ended itself")) from error

    def receive(self, deadline: float) -> dict[str, Any]:
        """What the script inside says next.

        Raises:
            GoneError: it says nothing in time, ended, took too much memory, or says what is no message.
        """
        self._socket.setblocking(False)
        while b"\n" not in self._buffer:
            self._watch(deadline)
            ready, _, _ = select.select([self._socket], [], [], WATCH_S)
            if ready:
                try:
                    piece = self._socket.recv(1 << 16)
                except OSError:
                    piece = b""
                if not piece:
                    raise GoneError(self._end("it ended itself"))
                self._buffer += piece
                if len(self._buffer) > MOST_MESSAGE:
                    raise GoneError(self._end("it said too much"))
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise GoneError(self._end("it broke the protocol"))
        return message

    def _watch(self, deadline: float) -> None:
        now = time.monotonic()
        if now >= deadline:
            raise GoneError(self._end("out of time"))
        if now - self._watched >= WATCH_S:
            self._watched = now
            if (taken := _memory(self._process.pid)) > self.limits.memory_bytes:
                raise GoneError(self._end(f"out of memory: {taken >> 20} MiB"))

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
                for first in _children(self._process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(first, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_LIMIT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._log.seek(0)
            lines = self._log.read(2000).decode(errors="replace").strip().splitlines()
            self._said = lines[-1][:300] if lines else ""
            self._log.close()

    _said = ""


def _walls(limits: Limits, prefix: Path) -> list[str]:
    """bubblewrap's options."""
    root = os.getuid() == 0
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    # Root stays root up to the script, which becomes nobody: a user's limits do not hold for root, nor for root by
    # another name in a namespace.
    words += ["--cap-drop", "ALL"]
    words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user", "--disable-userns"]
    words += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": "/home", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}.items():
        words += ["--setenv", name, value]
    words += ["--ro-bind", "/usr", "/usr"]
    for place in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(place).is_symlink():
            words += ["--symlink", str(Path(place).readlink()), place]
        elif Path(place).is_dir():
            words += ["--ro-bind", place, place]
    for file in ("/etc/ld.so.cache", "/etc/localtime"):
        words += ["--ro-bind-try", file, file]
    if not prefix.is_relative_to("/usr"):
        # Under a name of its own: on the way to it may lie folders that nobody may enter, a home for one.
        words += ["--ro-bind", str(prefix), PYTHON]
    for script in SCRIPTS:
        words += ["--ro-bind", str(HERE / script), f"/sandbox/{script}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    for place, size in (("/tmp", limits.tmp_bytes), ("/dev/shm", limits.tmp_bytes // 4)):
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", place]
    return [*words, "--dir", "/home", "--remount-ro", "/", "--chdir", "/tmp"]


def _file(content: bytes) -> IO[bytes]:
    """A file without a name, to be read from its beginning."""
    file = TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(content)
    file.flush()
    file.seek(0)
    return file


def _memory(pid: int) -> int:
    """Bytes of memory that a process and all its descendants hold."""
    total, waiting = 0, [pid]
    while waiting:
        here = waiting.pop()
        try:
            waiting += _children(here)
            with open(f"/proc/{here}/statm") as file:
                total += int(file.read().split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return total * resource.getpagesize()


def _children(pid: int) -> list[int]:
    """The processes that a process has started and that live; none of one that has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return found


def _die_with_us() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
