"""Judging many answers, whatever they do to the verifier: one that hangs or crashes it harms no other.

A task that says `isolated` is judged in worker processes (`worker.py`), which are killed at the time limit
and started again. Work goes out in batches and verdicts come back one by one: the limit holds for each
answer, at the price of one trip a batch. Steps and final answers are looked at in the same way.
"""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self, cast

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Task
from reachlab.tasks.worker import Question, ask, failed, read
from reachlab.types import Judged, Problem, StepCheck, Verdict

Pair = tuple[Problem, str]

MAX_BATCH = 64
START_LIMIT_S = 120.0
MEMORY_BYTES = 4 << 30


class Judge:
    """Scores answers of one task. Use it as a context manager, from any thread.

    Args:
        task: whose `verify` judges; an `isolated` one must pickle, and a new interpreter must find its class.
        workers: processes for an `isolated` task, started when first needed; None is one a core.
        timeout_s: seconds that one answer may take in an `isolated` task; a task may need more (`verify_limit_s`).
        memory_bytes: address space that a worker may take.
    """

    def __init__(
        self,
        task: Task,
        *,
        workers: int | None = None,
        timeout_s: float = 5.0,
        memory_bytes: int = MEMORY_BYTES,
    ):
        self.task = task
        self.workers = workers or os.cpu_count() or 1
        self.timeout_s, self.memory_bytes = max(timeout_s, task.verify_limit_s), memory_bytes
        self._pool: list[_Worker] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. Judging again starts new ones."""
        while self._pool:
            self._pool.pop().end()

    def judge(self, pairs: Iterable[Pair], progress: Callable[[int], None] | None = None) -> list[Judged]:
        """Verdict, steps and final answer of each (problem, answer), in order; `progress` is told of verdicts.

        Raises:
            ReachlabError: as of `verify`.
        """
        asked = list(pairs)
        verdicts = self.verify(asked, progress)
        return list(map(Judged, verdicts, self.check_steps(asked), self.final_answers(asked)))

    def verify(self, pairs: Iterable[Pair], progress: Callable[[int], None] | None = None) -> list[Verdict]:
        """A verdict for each (problem, answer), in order; `progress` is told how many are judged so far.

        A verifier that raises, dies or runs out of time gives "unscored" with the reason, never "wrong".
        Equal answers to the same problem are judged once where judging is expensive.

        Raises:
            ReachlabError: the workers of an `isolated` task cannot be started.
        """
        return cast(list[Verdict], self._ask("verify", list(pairs), progress))

    def check_steps(self, pairs: Iterable[Pair]) -> list[StepCheck | None]:
        """How far the steps of each answer hold; None where the task cannot say, in time and without an error."""
        return cast(list[StepCheck | None], self._ask("check_steps", list(pairs)))

    def final_answers(self, pairs: Iterable[Pair]) -> list[str | None]:
        """What each answer comes down to; None where the task cannot say, in time and without an error."""
        return cast(list[str | None], self._ask("final_answer", list(pairs)))

    def _ask(
        self, question: Question, asked: Sequence[Pair], progress: Callable[[int], None] | None = None
    ) -> list[Verdict | StepCheck | str | None]:
        tell = progress or (lambda _: None)
        if getattr(type(self.task), question) is getattr(Task, question):
            return [None] * len(asked)  # the task does not say
        if not self.task.isolated:
            told = []
            for problem, text in asked:
                told.append(read(question, ask(self.task, question, problem, text)))
                tell(len(told))
            return told
        places: dict[tuple[str, str], list[int]] = {}
        for i, (problem, text) in enumerate(asked):
            places.setdefault((problem.id, text), []).append(i)
        found: list[Verdict | StepCheck | str | None] = [None] * len(asked)
        judged = 0

        def settle(i: int, said: list[Any]) -> None:
            nonlocal judged
            same = places[asked[i][0].id, asked[i][1]]
            for j in same:
                found[j] = read(question, said)
            judged += len(same)
            tell(judged)

        with self._lock:
            try:
                self._work(question, asked, deque(same[0] for same in places.values()), settle)
            except BaseException:
                self.close()  # what is still on its way must not meet the next call
                raise
        return found

    def _work(
        self,
        question: Question,
        asked: Sequence[Pair],
        waiting: deque[int],
        settle: Callable[[int, list[Any]], None],
    ) -> None:
        """Hand out `waiting` and take in what is said until none is left; what a dead worker held waits again."""
        self._pool = [w for w in self._pool if w.lives()]  # one may have been killed while it was idle
        while waiting or any(w.todo for w in self._pool):
            while len(self._pool) < min(self.workers, len(waiting) + sum(bool(w.todo) for w in self._pool)):
                self._pool.append(_Worker(self.task, self.timeout_s, self.memory_bytes))
            for worker in self._pool:
                if waiting and worker.ready and not worker.todo:
                    size = max(1, min(MAX_BATCH, len(waiting) // (2 * self.workers)))
                    worker.give(question, [waiting.popleft() for _ in range(min(size, len(waiting)))], asked)
            busy = [w for w in self._pool if w.todo or not w.ready]
            nearest = min(w.deadline for w in busy) - time.monotonic()
            heard = wait([w.connection for w in busy], timeout=max(0.0, nearest))
            for worker in busy:
                if worker.connection in heard or worker.connection.poll():
                    if (said := worker.hear()) is not None:
                        settle(worker.todo.popleft(), said)
                        worker.start_clock()
                elif time.monotonic() >= worker.deadline:
                    worker.late = True
                if worker.dead or worker.late:
                    self._pool.remove(worker)
                    ended = worker.end()
                    if not worker.ready:
                        raise ReachlabError(f"task {self.task.spec!r}: its judging process did not start: {ended}")
                    reason = f"timed out after {self.timeout_s:g} s" if worker.late else f"verifier died: {ended}"
                    if worker.todo:
                        settle(worker.todo.popleft(), failed(question, reason))
                        waiting.extendleft(reversed(worker.todo))


class _Worker:
    """One judging process, and what it was given and has not answered."""

    def __init__(self, task: Task, timeout_s: float, memory_bytes: int):
        self.timeout_s = timeout_s
        self.todo: deque[int] = deque()
        self.deadline = time.monotonic() + START_LIMIT_S
        self.ready = self.dead = self.late = False
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        self._log = TemporaryFile()  # noqa: SIM115 (closed by `end`)
        told = map(str, (theirs.fileno(), timeout_s, memory_bytes))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "reachlab.tasks.worker", *told],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        theirs.close()
        self._send(pickle.dumps(task))

    def give(self, question: Question, batch: Sequence[int], asked: Sequence[Pair]) -> None:
        """Send answers to look at; the clock of the first starts."""
        self.todo.extend(batch)
        self._send(pickle.dumps((question, [asked[i] for i in batch])))
        self.start_clock()

    def start_clock(self) -> None:
        """The next answer's time begins now."""
        self.deadline = time.monotonic() + self.timeout_s

    def lives(self) -> bool:
        """Whether the process still runs; one that does not is cleared away."""
        if self._process.poll() is None:
            return True
        self.end()
        return False

    def hear(self) -> list[Any] | None:
        """Take in one message: what the task says, or None when it was the greeting or the end."""
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            self.dead = True
            return None
        if not self.ready:
            self.ready = True
            return None
        # JSON, not a pickle: what may have run other people's code must not run any here.
        said: list[Any] = json.loads(message)
        return said

    def end(self) -> str:
        """Kill the process if it lives, leave nothing behind, and say how it ended."""
        if self.dead:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
        self._process.kill()
        code = self._process.wait()
        self.connection.close()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 4096))
        lines = self._log.read().decode(errors="replace").split("\n")
        self._log.close()
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how} ({said[:200]})" if said else how

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end will be heard
            self.connection.send_bytes(message)
