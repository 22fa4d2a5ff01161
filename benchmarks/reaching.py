"""Where the mean of a few seeds' curves first reaches a target, and the interval of that place.

Each seed *lacks* d_s(x) at x: 0 or less where it is at its target. The mean is there at the first x with mean d ≤ 0.
The interval holds each x at which the mean, as far as S seeds tell, may be 0: from where the lower end of d's
t-interval first is 0 or less, to where the upper end is so from then on. At the true place the t-interval holds 0 in
95 % of cases, so this one holds the place as often or oftener (Fieller's way to the interval of a quotient). An end may
be infinite: "not in this run". No seed is divided by another, so it does not matter that some never arrive.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary import student

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """Where, and the ends of the 95 % interval: infinite is never, NaN (of one seed) no interval.

    A `low` of 0 says that it may have been before the first measurement.
    """

    at: float
    low: float
    high: float


def reached(x_E: Floats, lacking_SE: Floats) -> Reached:
    """The place of the mean over seeds; curves are straight between the E places where they are known.

    The ends of a t-interval bend inwards between two places, so straight ones keep it on the safe side.
    """
    mean_E, low_E, high_E = student.interval(lacking_SE)
    if len(lacking_SE) < 2:
        return Reached(first(x_E, mean_E), float("nan"), float("nan"))
    return Reached(first(x_E, mean_E), first(x_E, low_E) if low_E[0] > 0 else 0.0, last(x_E, high_E))


def first(x_E: Floats, lacking_E: Floats) -> float:
    """Where it is first 0 or less; infinite where it never is. At the first place already: that, an upper bound."""
    there = np.flatnonzero(lacking_E <= 0)
    return _between(x_E, lacking_E, int(there[0])) if len(there) else float("inf")


def last(x_E: Floats, lacking_E: Floats) -> float:
    """From where on it stays 0 or less; infinite where it is above 0 at the end."""
    away = np.flatnonzero(lacking_E > 0)
    if len(away) and away[-1] == len(x_E) - 1:
        return float("inf")
    return _between(x_E, lacking_E, int(away[-1]) + 1 if len(away) else 0)


def _between(x_E: Floats, lacking_E: Floats, i: int) -> float:
    """Where the straight line into place i is 0."""
    if i == 0:
        return float(x_E[0])
    share = lacking_E[i - 1] / (lacking_E[i - 1] - lacking_E[i])
    return float(x_E[i - 1] + share * (x_E[i] - x_E[i - 1]))
