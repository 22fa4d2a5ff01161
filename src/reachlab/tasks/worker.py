"""A process that judges: answers come in by a socket, what the task says of them goes out. `judging.Judge` starts it.

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
from typing import Any, Literal

from reachlab.tasks.base import Task
from reachlab.types import Problem, StepCheck, Verdict

ORPHAN_GRACE_S = 30.0
REASON_LENGTH = 300
MOST_STEPS = 2**31 - 1

Question = Literal["verify", "check_steps", "final_answer"]
"""The methods of a task that look at an answer."""


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
            question: Question
            batch: list[tuple[Problem, str]]
            question, batch = connection.recv()
            for problem, text in batch:
                signal.setitimer(signal.ITIMER_REAL, timeout_s + ORPHAN_GRACE_S)
                said = ask(task, question, problem, text)
                signal.setitimer(signal.ITIMER_REAL, 0)
                connection.send_bytes(json.dumps(said).encode())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def ask(task: Task, question: Question, problem: Problem, text: str) -> list[Any]:
    """What the task says, in plain values for `read`; where its method fails, what `failed` says."""
    try:
        if question == "verify":
            verdict = task.verify(problem, text)
            return [verdict.status, verdict.score, verdict.reason]
        if question == "final_answer":
            answer = task.final_answer(problem, text)
            return [] if answer is None else [str(answer)]
        check = task.check_steps(problem, text)
        if check is None or not 0 <= int(check.valid) <= int(check.steps) <= MOST_STEPS:
            return []
        return [int(check.valid), int(check.steps)]
    except Exception as error:
        return failed(question, f"{type(error).__name__}: {error}")


def failed(question: Question, reason: str) -> list[Any]:
    """What counts as said where the task's method failed for `reason`."""
    return ["unscored", 0.0, reason[:REASON_LENGTH]] if question == "verify" else []


def read(question: Question, said: list[Any]) -> Verdict | StepCheck | str | None:
    """The verdict, the step check or the final answer that `ask` gave; None where it has none."""
    if question == "verify":
        return Verdict(*said)
    if not said:
        return None
    return StepCheck(*said) if question == "check_steps" else str(said[0])


if __name__ == "__main__":
    main()
