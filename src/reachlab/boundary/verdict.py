"""One sentence on what a model gained or lost against its base, in words that the intervals support.

A word about reach (*wider*, *narrower*) rests on the paired interval of pass@k at the largest k, a word about
accuracy (*sharper*, *blunter*) on the one at the smallest k: it must exclude 0. Where few problems tell two
models apart, a percentile interval over problems is too sure of itself, so a word also takes as many
differing problems as a sign test in which all d of them agree needs: 2^(1−d) ≤ 1 − level, which is d ≥ 6 at
95 %.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reachlab.boundary.bootstrap import Floats
from reachlab.boundary.crossing import EQUAL, Crossing
from reachlab.boundary.outcomes import Ints

Label = Literal["wider", "narrower", "sharper", "blunter", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The machine-readable word and the sentence that opens with it."""

    label: Label
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Paired difference of two pass@k curves, other − base, with its interval at each k; all are (K,).

    ``differing`` counts the problems on which the two models' pass@k is not the same; ``sign`` is +1 or −1
    where the other model is surely ahead or behind, else 0.
    """

    values: Floats
    low: Floats
    high: Floats
    differing: Ints
    sign: Ints

    def words(self, at: int) -> str:
        """The difference and its interval in percentage points, at position `at` of the K."""
        value, low, high = (
            f"{round(100 * float(x[at]), 1) + 0.0:+.1f}".replace("-", "−")  # + 0.0 turns −0.0 into 0.0
            for x in (self.values, self.low, self.high)
        )
        too_few = self.sign[at] == 0 and (self.low[at] > EQUAL or self.high[at] < -EQUAL)
        caveat = f"; only {self.differing[at]} problems differ" if too_few else ""
        return f"{value} points [{low}, {high}]{caveat}"


def surely(low_K: Floats, high_K: Floats, differing_K: Ints, level: float) -> Ints:
    """The sign of a difference where the interval and the differing problems support one, else 0: (K,)."""
    enough_K = differing_K >= math.log2(2 / (1 - level))
    return np.where(enough_K, (low_K > EQUAL).astype(np.int64) - (high_K < -EQUAL), 0)


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
_SHARPNESS: dict[int, Label] = {1: "sharper", 0: "undecided", -1: "blunter"}
_ACCURACY = {1: "more often right", 0: "no sure difference", -1: "less often right"}
_REACH = {1: "solves more problems", 0: "no sure difference", -1: "solves fewer problems"}


def _interval(crossing: Crossing, largest: int) -> str:
    low, high = (f"beyond {largest}" if end is None else str(end) for end in (crossing.low, crossing.high))
    return f"k={crossing.k} [{low}, {high}]"
