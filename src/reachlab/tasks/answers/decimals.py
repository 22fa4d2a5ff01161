"""When two rational numbers are the same answer: equal, or one is the decimal that the other rounds to.

    a = b,  or  |a − b| < 10^−d  where one is written with d decimals and six significant digits or more

A number with a decimal point may stand for an exact one that has no end (0.333333 for 1/3), never for another integer.
"""

from fractions import Fraction

SIGNIFICANT = 6
"""Digits from which on a decimal may stand for a number that no decimal is."""


def same_number(gold: Fraction, said: Fraction) -> bool:
    """Whether two rational numbers are equal, or one is the decimal of at least six digits that the other rounds to."""
    if gold == said:
        return True
    units = [(unit_of(gold), gold, said), (unit_of(said), said, gold)]
    return any(
        unit is not None and unit < 1 and abs(own) >= unit * 10 ** (SIGNIFICANT - 1) and abs(gold - said) < unit
        and (other_unit := unit_of(other)) != unit and (other_unit is None or other_unit < unit)
        for unit, own, other in units
    )  # fmt: skip


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
