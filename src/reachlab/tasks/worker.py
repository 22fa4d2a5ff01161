"""A process that judges: answers come in by a socket, verdicts go out. `judging.Judge` starts it.

It is a fresh interpreter and not a fork, so it works whatever threads its parent has; its standard output is
not part of the protocol, so a library may print. The parent keeps the time limit; should the parent be gone,
the kernel's alarm ends an answer that would compute for ever.
"""

import json
import pickle
import resource
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from reachlab.tasks.base import Task
from reachlab.types import Problem, Verdict

ORPHAN_GRACE_S = 30.0
REASON_LENGTH = 300


def main() -> None:
    """Serve until the parent closes the socket."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    timeout_s, memory_bytes = float(sys.argv[2]), int(sys.argv[3])
    if sys.platform == "linux":  # elsewhere the kernel refuses or ignores it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    sys.set_int_max_str_digits(0)  # a number that runs on for pages is a wrong answer, not an error
    try:
        task: Task = pickle.loads(connection.recv_bytes())
        connection.send_bytes(b"ready")
        while True:
            batch: list[tuple[Problem, str]] = connection.recv()
            for problem, text in batch:
                signal.setitimer(signal.ITIMER_REAL, timeout_s + ORPHAN_GRACE_S)
                verdict = verdict_of(task, problem, text)
                signal.setitimer(signal.ITIMER_REAL, 0)
                connection.send_bytes(json.dumps([verdict.status, verdict.score, verdict.reason]).encode())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def verdict_of(task: Task, problem: Problem, text: str) -> Verdict:
    """The task's verdict, or "unscored" where its verifier fails."""
    try:
        return task.verify(problem, text)
    except Exception as error:
        return Verdict.unscored(f"{type(error).__name__}: {error}"[:REASON_LENGTH])


if __name__ == "__main__":
    main()
