"""Whether an output, or a result, is the wanted one. Runs inside the walls: nothing but the standard library.

Printed text is compared as LiveCodeBench's evaluator does (`lcb_runner/evaluation/testing_util.py`): line by line, but
for space at both ends, and lines of numbers by their values. We depart from it where it is lax: only ASCII digits make
a number, and what is infinite or no number is equal to the same text alone.
"""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
WHOLE = re.compile(r"[+-]?[0-9]++")
ROUNDING = 1e-9
"""What two results that are floats may differ by, of the larger one: sums in another order do."""


def same_output(printed: str, wanted: str, tolerance: float = 0.0) -> bool:
    """Whether two outputs are the same.

    With a `tolerance`, numbers of which one has a point may differ by that much, absolutely below 1 and relatively
    above, also between words.
    """
    ours, theirs = ([line.strip() for line in text.strip().split("\n")] for text in (printed, wanted))
    return len(ours) == len(theirs) and all(_same_line(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))


def _same_line(ours: str, theirs: str, tolerance: float) -> bool:
    if ours == theirs:
        return True
    words = list(zip(ours.split(), theirs.split(), strict=False))
    if len(ours.split()) != len(theirs.split()):
        return False
    if tolerance:
        return all(_same_word(a, b, tolerance) for a, b in words)
    return all(_number(a) is not None and _number(a) == _number(b) for a, b in words)


def _same_word(ours: str, theirs: str, tolerance: float) -> bool:
    a, b = _number(ours), _number(theirs)
    if a is None or b is None:
        return ours == theirs
    if a == b:
        return True
    if WHOLE.fullmatch(ours) and WHOLE.fullmatch(theirs):
        return False
    return _close(float(a), float(b), tolerance)


def _number(word: str) -> Decimal | None:
    if not NUMBER.fullmatch(word):
        return None
    try:
        return Decimal(word)
    except InvalidOperation:  # an exponent beyond all bounds
        return None


def same_value(found: Any, wanted: Any, tolerance: float = 0.0) -> bool:
    """Whether a result is the wanted one; wanted values come from JSON, which knows no tuples.

    Truth values are no numbers. Two floats may differ by `ROUNDING` unless both are whole; an int and a float, and two
    ints, not at all. With a `tolerance` numbers of which one is a float may differ by that much, absolutely below 1 and
    relatively above. Infinities, and what is not a number, are equal to themselves alone.
    """
    pairs = [(found, wanted)]
    while pairs:
        ours, theirs = pairs.pop()
        if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
            if len(ours) != len(theirs):
                return False
            pairs += zip(ours, theirs, strict=True)
        elif isinstance(ours, dict) and isinstance(theirs, dict):
            if len(ours) != len(theirs) or not all(isinstance(key, str) and key in theirs for key in ours):
                return False
            pairs += [(value, theirs[key]) for key, value in ours.items()]
        elif type(ours) in (int, float) and type(theirs) in (int, float):
            if not _same_number(ours, theirs, tolerance):
                return False
        elif type(ours) is not type(theirs) or ours != theirs:
            return False
    return True


def _same_number(ours: float, theirs: float, tolerance: float) -> bool:
    if ours == theirs:  # exactly, an int of any size with a float too
        return True
    if type(ours) is int and type(theirs) is int:
        return False
    if ours != ours and theirs != theirs:
        return True
    try:
        a, b = float(ours), float(theirs)
    except OverflowError:
        return False
    floats = type(ours) is float and type(theirs) is float
    if floats and not (a.is_integer() and b.is_integer()) and _close(a, b, ROUNDING, least=0.0):
        return True
    return tolerance > 0 and _close(a, b, tolerance)


def _close(a: float, b: float, tolerance: float, least: float = 1.0) -> bool:
    """Relative to the larger one, and to no less than `least`: with 0, 1e-12 is not 2e-12."""
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance * max(least, abs(a), abs(b))
