"""Whether an output, or a result, is the wanted one. Runs inside the walls: nothing but the standard library."""

from decimal import Decimal, InvalidOperation
from typing import Any


def same_output(printed: str, wanted: str, tolerance: float = 0.0) -> bool:
    """Whether two outputs are the same but for space, empty lines at the end, and how numbers are spelt."""
    ours, theirs = (text.rstrip().split("\n") for text in (printed, wanted))
    return len(ours) == len(theirs) and all(
        len(a.split()) == len(b.split()) and all(map(_same_word, a.split(), b.split()))
        for a, b in zip(ours, theirs, strict=True)
    )


def same_value(found: Any, wanted: Any, tolerance: float = 0.0) -> bool:
    """Whether a result is the wanted one; wanted values come from JSON, which knows no tuples."""
    if isinstance(found, (list, tuple)) and isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(same_value, found, wanted))
    if isinstance(found, bool) or isinstance(wanted, bool):
        return isinstance(found, bool) and isinstance(wanted, bool) and found == wanted
    if isinstance(found, float) and isinstance(wanted, (int, float)):
        return found == wanted or abs(found - wanted) <= 1e-9 * max(abs(found), abs(wanted))
    return bool(type(found) is type(wanted) and found == wanted)


def _same_word(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        return Decimal(ours) == Decimal(theirs)
    except InvalidOperation:
        return False
