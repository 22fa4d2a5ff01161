"""The parent's side of a process that judges (`worker.py`): starts it, keeps its clock on the wall, says how it ended.

Time on the wall is counted in ticks that this process sees, each at most two ticks long. So time in which nobody was
running, because the machine was asleep or busy with others or everything was stopped, is on no answer's clock.
"""

import contextlib
import json
import mmap
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Task
from reachlab.tasks.worker import PLACE_BYTES, Ask
from reachlab.types import Problem

TICK_S = 0.2
SLOW_S = 1.0
START_LIMIT_S = 300.0
END_LIMIT_S = 30.0
"""How long a process that has closed its socket may take to be gone."""
MOST_MESSAGE = 16 << 20
TAIL_BYTES = 4096


class Ended(Exception):  # noqa: N818 (an end is no error)
    """The process is no more, or not to be waited for any longer, for `reason`; `late` if that is a limit of time."""

    def __init__(self, reason: str, *, late: bool = False):
        super().__init__(reason)
        self.reason, self.late = reason, late


class Overseer:
    """One judging process.

    Args:
        task: sent to it; it must pickle.
        cpu_s: the process's own CPU seconds for a question about an answer. wall_s: seconds on the wall.
        memory_bytes: address space that it may take.

    Raises:
        ReachlabError: no process can be started.
    """

    def __init__(self, task: Task, *, cpu_s: float, wall_s: float, memory_bytes: int):
        self.spec, self.cpu_s, self.wall_s, self.ready, self.answered = task.spec, cpu_s, wall_s, False, 0
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        self._log, log = os.pipe()
        os.set_blocking(self._log, False)
        self._tail = b""
        self._watched: list[Any] = [self.connection, self._log]
        with TemporaryFile() as shared:
            shared.truncate(PLACE_BYTES)
            self._map = mmap.mmap(shared.fileno(), PLACE_BYTES)
            kept = [theirs.fileno(), shared.fileno()]
            told = map(str, (*kept, cpu_s, wall_s, memory_bytes))
            try:
                self.popen = subprocess.Popen(
                    [sys.executable, "-P", "-m", "reachlab.tasks.worker", *told],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
                    pass_fds=kept,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            except OSError as error:
                os.close(self._log)
                raise ReachlabError(f"task {task.spec!r}: its judging process did not start: {error}") from error
            finally:
                theirs.close()
                os.close(log)
        self._seen, self._spent, self._last = 0, 0.0, time.monotonic()
        self._send(pickle.dumps(task))

    @property
    def place(self) -> int:
        """How many questions of the batch it has begun."""
        return int.from_bytes(self._map[:PLACE_BYTES], sys.byteorder)

    @property
    def slow(self) -> bool:
        """Whether what it is at has taken long enough not to be waited for."""
        return self.ready and self._spent > SLOW_S

    def give(self, problems: Sequence[Problem], asked: Sequence[Ask]) -> None:
        """Send a batch."""
        self._map[:PLACE_BYTES] = bytes(PLACE_BYTES)
        self._seen, self._spent, self._last = 0, 0.0, time.monotonic()
        self._send(pickle.dumps((problems, asked)))

    def hear(self) -> dict[str, Any] | None:
        """Its next message ({} for the greeting), or None after a tick without one.

        Raises:
            Ended: it died, or was late and was ended.
        """
        heard = wait(self._watched, timeout=TICK_S)
        if self._log in heard and self._drain() == b"":
            self._watched.remove(self._log)
        if self.connection in heard:
            try:
                message = self.connection.recv_bytes(MOST_MESSAGE)
                found = json.loads(message) if self.ready else {}
                if not isinstance(found, dict):
                    raise ValueError("not an object")
            except (EOFError, OSError):
                raise self._ended() from None
            except ValueError as error:
                raise Ended(f"verifier died: its process talks nonsense: {error}") from error
            self.ready, self._spent = True, 0.0
            return found
        now = time.monotonic()
        place, passed, self._last = self.place, min(now - self._last, 2 * TICK_S), now
        self._spent = self._spent + passed if place == self._seen else 0.0
        self._seen = place
        limit = self.wall_s if self.ready else START_LIMIT_S
        if self._spent > limit:
            raise Ended(f"timed out after {limit:g} s on the clock{self._last_words()}", late=True)
        return None

    def greet(self) -> None:
        """Wait until it is ready.

        Raises:
            ReachlabError: it does not come to that.
        """
        try:
            while not self.ready:
                self.hear()
        except Ended as ended:
            reason = ended.reason.removeprefix("verifier died: ")
            raise ReachlabError(f"task {self.spec!r}: its judging process did not start: {reason}") from None

    def lives(self) -> bool:
        """Whether the process still runs."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """End the process; from any thread. What it was at is heard as its end."""
        self.popen.kill()

    def close(self) -> None:
        """End the process if it lives, and leave nothing behind."""
        self.popen.kill()
        self.popen.wait()
        self.connection.close()
        os.close(self._log)
        self._map.close()

    def _ended(self) -> Ended:
        """Wait for the end of a process that has closed its socket, and say how it came."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=END_LIMIT_S)
        self.popen.kill()
        code = self.popen.wait()
        if code == -signal.SIGPROF:
            return Ended(f"timed out after {self.cpu_s:g} s of CPU", late=True)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Ended(f"verifier died: {how}{self._last_words()}")

    def _last_words(self) -> str:
        """The last line that it printed, in brackets; "" for none."""
        for _ in range(64):  # no more: a child of its own may go on printing
            if not self._drain():
                break
        lines = self._tail.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last[:200]})" if last else ""

    def _drain(self) -> bytes | None:
        """Take in what it printed, of which the end is kept; None where there is no more for now, "" for ever."""
        try:
            chunk = os.read(self._log, 1 << 16)
        except BlockingIOError:
            return None
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        return chunk

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end will be heard
            self.connection.send_bytes(message)
