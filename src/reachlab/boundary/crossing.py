"""Where the base catches up: the smallest k from which it stays at or above the other, to the largest k.

With d(k) = pass@k(other) − pass@k(base), averaged over problems, it is the next k after the last one with
d(k) > 0. A base that is never below has its crossing at the smallest k, and so have two equal models: a
crossing alone does not say that the base is wider; the interval of d at the largest k does (see `verdict`).

Source: the crossings of the pass@k curves in arXiv 2504.13837; the interval, of percentiles, is ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import EQUAL, Floats, tail, tail_positions
from reachlab.boundary.outcomes import Ints


@dataclass(frozen=True, slots=True)
class Crossing:
    """The crossing and its bootstrap interval; None is "none up to the largest k", so an end may be open."""

    k: int | None
    low: int | None
    high: int | None


class Crossings:
    """Collects every resample's crossing from blocks of resampled differences."""

    def __init__(self, resamples: int):
        self.ahead_B = np.zeros(resamples, np.int64)  # how many of the ks there are up to the last with d(k) > 0

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled differences of some rows of K."""
        last_B = ((means_KB > EQUAL) * np.arange(rows.start + 1, rows.stop + 1)[:, None]).max(axis=0)
        np.maximum(self.ahead_B, last_B, out=self.ahead_B)

    def result(self, difference_K: Floats, ks: Ints, level: float, problems: int | None) -> Crossing:
        """The crossing, and the interval that holds `level` of the resamples' crossings.

        A little more where few `problems` were resampled; None where they were fixed.
        """
        ahead_B = np.sort(self.ahead_B)
        low, high = tail_positions(len(ahead_B), tail(level, problems or 1))
        ahead = np.flatnonzero(difference_K > EQUAL)
        found = [int(ahead[-1]) + 1 if ahead.size else 0, int(ahead_B[low]), int(ahead_B[high])]
        return Crossing(*(int(ks[i]) if i < len(ks) else None for i in found))
