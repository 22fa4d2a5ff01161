"""When two numbers are the same answer: equal, or one is the decimal that the other rounds to or is cut to.

    a = b,  or  −u/2 ≤ |exact| − |decimal| < u  where u is one in the decimal's last place and it has six digits or more

A number with a decimal point may stand for an exact one that has no end (0.333333 for 1/3), never for another integer.
"""

from fractions import Fraction
from typing import Any

SIGNIFICANT = 6
"""Digits from which on a decimal may stand for a number that no decimal is."""


def same_number(gold: Fraction, said: Fraction) -> bool:
    """Whether two rational numbers are equal, or one is a decimal that stands for the other."""
    if gold == said:
        return True
    gold_unit, said_unit = unit_of(gold), unit_of(said)
    if gold_unit is not None and said_unit is not None and gold_unit != said_unit:
        # Of two decimals the shorter one may be the other's, if it has six decimals.
        if max(gold_unit, said_unit) > Fraction(1, 10**SIGNIFICANT):
            return False
        return stands_for(said, said_unit, gold) if gold_unit < said_unit else stands_for(gold, gold_unit, said)
    if (gold_unit is None) == (said_unit is None):
        return False
    return stands_for(said, said_unit, gold) if said_unit is not None else stands_for(gold, gold_unit, said)


def stands_for(decimal: Any, unit: Fraction | None, exact: Any) -> bool:
    """Whether a decimal with `unit` in its last place is what an exact number, of any type, rounds to or is cut to."""
    if unit is None or unit >= 1 or (decimal > 0) != (exact > 0):
        return False
    places = round(1 / unit)
    if abs(decimal) * places < 10 ** (SIGNIFICANT - 1):
        return False
    off = (abs(exact) - abs(decimal)) * places
    return bool(2 * off >= -1 and off < 1)


def unit_of(value: Fraction) -> Fraction | None:
    """One in the last place of a finite decimal, None of a number that has none."""
    below, places = value.denominator, 0
    while below % 10 == 0:
        below //= 10
        places += 1
    twos = fives = 0
    while below % 2 == 0:
        below //= 2
        twos += 1
    while below % 5 == 0:
        below //= 5
        fives += 1
    return Fraction(1, 10 ** (places + max(twos, fives))) if below == 1 else None
