"""What a task says of an answer, as plain, short values that can be sent, stored and shown.

A verifier may return or raise anything, and a process in which one ran may send anything. `ask` lets nothing out, and
`read` nothing in, that JSON, UTF-8 or Parquet could not hold: half a surrogate pair is escaped (`storable.py`), a NUL
becomes U+FFFD, what is long is cut.
"""

import hashlib
from typing import Any, Literal

from reachlab.storable import storable
from reachlab.tasks.base import Task
from reachlab.types import Problem, StepCheck, Verdict

Question = Literal["verify", "check_steps", "final_answer"]
"""The methods of a task that look at an answer."""

Said = list[Any]
"""What such a method came to, in the form that `ask` gives it."""

Value = Verdict | StepCheck | str | None
"""What it came to for a reader."""

REASON_LENGTH = 300
ANSWER_LENGTH = 1000
SHOWN_LENGTH = 200
MOST_STEPS = 2**31 - 1
STATUSES = ("correct", "wrong", "unscored")


def ask(task: Task, question: Question, problem: Problem, text: str) -> Said:
    """What the task says, for `read`.

    Raises:
        BaseException: whatever its method raises, or a ValueError where it returns no verdict.
    """
    if question == "verify":
        return _verdict(task.verify(problem, text), bounded=task.bounded_score)
    if question == "final_answer":
        answer = task.final_answer(problem, text)
        return [] if answer is None else [_short(_plain(answer))]
    check = task.check_steps(problem, text)
    if check is None or not 0 <= int(check.valid) <= int(check.steps) <= MOST_STEPS:
        return []
    return [int(check.valid), int(check.steps)]


def failed(question: Question, reason: str) -> Said:
    """What counts as said where the task's method failed for `reason`."""
    return ["unscored", 0.0, clean(reason, REASON_LENGTH)] if question == "verify" else []


def words(error: BaseException) -> str:
    """An error as a reason, even one whose text cannot be had."""
    try:
        said = _plain(error)
    except Exception as another:
        said = f"(its text raises {type(another).__name__[:100]})"
    return clean(f"{type(error).__name__[:100]}: {said[:REASON_LENGTH]}", REASON_LENGTH)


def read(question: Question, said: Said) -> Value:
    """The verdict, the step check or the final answer that `ask` gave; None where it has none.

    Raises:
        ValueError: `ask` gives no such thing.
    """
    match question, said:
        case "verify", ["correct" | "wrong" | "unscored" as status, float() as score, str() as reason]:
            return Verdict(status, score, clean(reason, REASON_LENGTH))
        case "check_steps" | "final_answer", []:
            return None
        case "check_steps", [int() as valid, int() as steps] if 0 <= valid <= steps <= MOST_STEPS:
            return StepCheck(valid, steps)
        case "final_answer", [str() as answer]:
            return clean(answer, ANSWER_LENGTH)
    raise ValueError(f"{question}: not what is said of an answer: {said!r:.100}")


def clean(text: str, most: int | None = None) -> str:
    """The first `most` characters of `text` (None is all), as they can be stored."""
    return str(storable(text[:most].replace("\x00", "\ufffd")))[:most]


def _verdict(verdict: Verdict, *, bounded: bool) -> Said:
    status, score = _plain(verdict.status), float(verdict.score)
    if status not in STATUSES:
        raise ValueError(f"the verifier returned the status {status[:60]!r}")
    if bounded and not 0 <= score <= 1:
        raise ValueError(f"the verifier returned the score {score:g}, which is not in [0, 1]")
    return [status, score, clean(_plain(verdict.reason), REASON_LENGTH)]


def _short(answer: str) -> str:
    """A final answer of a length that can be stored a million times. Equal ones stay equal, others apart."""
    if len(answer) <= ANSWER_LENGTH:
        return clean(answer)
    digest = hashlib.blake2b(answer.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{clean(answer, SHOWN_LENGTH)}… ({len(answer)} characters, blake2b {digest})"


def _plain(value: object) -> str:
    """As text of Python's own type: a subclass may do as it likes with its methods."""
    return str.__str__(str(value))
