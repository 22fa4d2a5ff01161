"""A process that judges: answers come in by a socket, what the task says of them goes out. `lanes.Lanes` starts it.

It is a fresh interpreter and not a fork, so it works whatever threads its parent has; its standard output is no part of
the protocol, so a library may print. It keeps the limit of CPU time itself: the kernel's timer ends it, wherever it
computes. What it is at stands in memory that it shares with its parent, so replies need not be sent one by one.
"""

import json
import mmap
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from reachlab.plugins import load_plugins
from reachlab.tasks.base import Task
from reachlab.tasks.saying import Question, Said, ask, failed, words
from reachlab.types import Problem

FLUSH_S = 0.02
"""Replies are sent no more often."""
BATCH_S = 0.25
"""What is left of a batch after this time goes back, so that others' answers get their turn."""
ORPHAN_S = 60.0
PLACE_BYTES = 8

Ask = tuple[int, str, tuple[Question, ...]]
"""An answer in a batch: its problem's place in the batch's list, its text, what is asked of it."""


def main() -> None:
    """Serve until the parent closes the socket."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    place = memoryview(mmap.mmap(int(sys.argv[2]), PLACE_BYTES)).cast("Q")
    cpu_s, wall_s, memory_bytes = float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    if sys.platform == "linux":  # elsewhere the kernel refuses or ignores it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    for deadly in (signal.SIGPROF, signal.SIGALRM):  # by default: a handler of Python's would wait for a long step
        signal.signal(deadly, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    sys.set_int_max_str_digits(0)  # a number that runs on for pages is a wrong answer, not an error

    def limit() -> None:
        # The parent keeps `wall_s`, and gives more where the machine was busy: this is for when the parent is gone.
        signal.setitimer(signal.ITIMER_REAL, 2 * wall_s + ORPHAN_S)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)

    try:
        load_plugins()
        task: Task = pickle.loads(connection.recv_bytes())
        connection.send_bytes(b"ready")
        begun = _size()
        most = begun + (memory_bytes - begun) // 4
        while (said := _serve(task, connection, place, limit)) is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(connection, said=said, over=True, grown=_size() > most)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _serve(
    task: Task, connection: "Connection[Any, Any]", place: memoryview, limit: Callable[[], None]
) -> list[list[Said]] | None:
    """Judge a batch and return what is not yet sent; None where memory ran out: this process should judge no more."""
    problems: list[Problem]
    asked: list[Ask]
    problems, asked = pickle.loads(connection.recv_bytes())
    began = sent = time.monotonic()
    replies: list[list[Said]] = []
    begun = 0
    for at, text, questions in asked:
        reply: list[Said] = []
        for question in questions:
            begun += 1
            place[0] = begun
            limit()
            try:
                reply.append(ask(task, question, problems[at], text))
            except BaseException as error:  # even an exit is the verifier's own doing here
                if _out_of_memory(error):
                    _send(connection, said=replies, starved=words(error))
                    return None
                reply.append(failed(question, words(error)))
        replies.append(reply)
        now = time.monotonic()
        if now - began > BATCH_S:
            break
        if now - sent > FLUSH_S:
            _send(connection, said=replies)
            replies, sent = [], now
    return replies


def _send(connection: "Connection[Any, Any]", **message: Any) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, here or where the error came from."""
    for _ in range(16):
        if error is None or isinstance(error, MemoryError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, MemoryError)


def _size() -> int:
    """Bytes of address space; of memory at its peak where the system does not say (macOS)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
