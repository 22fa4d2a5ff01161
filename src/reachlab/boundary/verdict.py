"""One sentence on what a model gained or lost against its base, in words that the intervals support.

A word about reach (*wider*, *narrower*) rests on the paired difference of pass@k at the largest k, a word about
accuracy (*sharper only*, *blunter only*) on the one at the smallest k. A difference is sure where the simultaneous
band over all k excludes 0 (`bands`) and the sign-flip test, which is exact for two equal models, agrees (`signflip`).
So two equal models get a word other than *undecided* in at most 1 − level of all comparisons, whatever is said about
k = 1, the largest k and every k between. The intervals in the sentence are the band's.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reachlab.boundary.bootstrap import EQUAL, Floats
from reachlab.boundary.crossing import Crossing
from reachlab.boundary.outcomes import Ints

Label = Literal["wider", "narrower", "sharper only", "blunter only", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The machine-readable word and the sentence that opens with it."""

    label: Label
    sentence: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Difference:
    """Paired difference of two pass@k curves, other − base; all are (K,).

    ``low`` and ``high`` are the interval at each k by itself; ``band_low`` and ``band_high`` hold the whole curve at
    once. ``p`` is the sign-flip test's, adjusted for looking at every k; ``differing`` counts the problems on which the
    two models' pass@k is not the same; ``sign`` is +1 or −1 where the other model is surely ahead or behind, else 0.
    """

    values: Floats
    low: Floats
    high: Floats
    band_low: Floats
    band_high: Floats
    p: Floats
    differing: Ints
    sign: Ints

    def words(self, at: int) -> str:
        """The difference and the band there in percentage points, at position `at` of the K."""
        value, low, high = (
            f"{round(100 * float(x[at]), 1) + 0.0:+.1f}".replace("-", "−")  # + 0.0 turns −0.0 into 0.0
            for x in (self.values, self.band_low, self.band_high)
        )
        apart = self.band_low[at] > EQUAL or self.band_high[at] < -EQUAL
        caveat = f"; {_few(int(self.differing[at]))}" if apart and self.sign[at] == 0 else ""
        return f"{value} points [{low}, {high}]{caveat}"


def _few(differing: int) -> str:
    return "only 1 problem differs" if differing == 1 else f"only {differing} problems differ"


def surely(band_low_K: Floats, band_high_K: Floats, p_K: Floats, level: float) -> Ints:
    """The sign of a difference where the band and the sign-flip test support one, else 0: (K,)."""
    apart_K = (band_low_K > EQUAL).astype(np.int64) - (band_high_K < -EQUAL)
    return np.where(p_K <= 1 - level + 1e-12, apart_K, 0)


def verdict(ks: Ints, difference: Difference, crossing: Crossing) -> Verdict:
    """Put the comparison of one model with its base into words."""
    first, last = int(difference.sign[0]), int(difference.sign[-1])
    accuracy = f"{_ACCURACY[first]} at k={ks[0]} ({difference.words(0)})"
    if len(ks) == 1:
        label = _SHARPNESS[first]
        return Verdict(label, f"{label}: {accuracy}; one value of k says nothing about reach")
    reach = f"{_REACH[last]} at k={ks[-1]} ({difference.words(-1)})"
    label = _WIDTH[last] if last else _SHARPNESS[first]
    if last and (difference.sign == last).all():
        return Verdict(label, f"{label} at every k: {accuracy}, {reach}")
    sentence = f"{label}: {accuracy} {'and' if first == last else 'but'} {reach}"
    if first > 0 >= last and crossing.k is not None:
        sentence += f"; the base catches up at {_interval(crossing, int(ks[-1]))}"
    return Verdict(label, sentence)


_WIDTH: dict[int, Label] = {1: "wider", -1: "narrower"}
_SHARPNESS: dict[int, Label] = {1: "sharper only", 0: "undecided", -1: "blunter only"}
_ACCURACY = {1: "more often right", 0: "no sure difference", -1: "less often right"}
_REACH = {1: "solves more problems", 0: "no sure difference", -1: "solves fewer problems"}


def _interval(crossing: Crossing, largest: int) -> str:
    low, high = (f"beyond {largest}" if end is None else str(end) for end in (crossing.low, crossing.high))
    return f"k={crossing.k} [{low}, {high}]"
