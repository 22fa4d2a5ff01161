"""One sentence on what a model gained or lost against its base, in words that the intervals support.

A word about reach (*wider*, *narrower*) rests on the paired difference of pass@k at the largest k, a word about
accuracy (*sharper*, *blunter*) on the one at the smallest k. A difference is sure where the simultaneous band over all
k excludes 0 (`bands`) and the sign-flip test, which is exact for two equal models, agrees (`signflip`). So equal models
get a word other than *undecided* in at most 1 − level of all comparisons, whatever is said about k = 1, the largest k
and every k between, and about every pair that is compared. The intervals in the sentence are the band's.

That no difference was found is not that there is none. *Sharper only* says that the reach is the same, and that is said
only where the band at the largest k lies inside ±δ (an equivalence test, Schuirmann 1987); else it is *sharper*, and
the reach is undecided.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reachlab.boundary.bands import FEW
from reachlab.boundary.bootstrap import EQUAL, Floats
from reachlab.boundary.crossing import Crossing
from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Ints

Label = Literal["wider", "narrower", "sharper only", "sharper", "blunter only", "blunter", "undecided"]

Unit = Literal["problem", "cluster"]

SAME_WITHIN = 0.03
"""δ: pass@k that differ by less than this count as the same."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The machine-readable word and the sentence that opens with it."""

    label: Label
    sentence: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Difference(Curve):
    """Paired difference of two pass@k curves, other − base; all are (K,).

    ``low`` and ``high`` are the interval at each k by itself; ``band`` holds the whole curve at once. ``p`` is the
    sign-flip test's (of recipes the band's), adjusted for looking at every k and at all pairs; ``tested`` is False
    where there is no such test, and p is 1: one model was sampled adaptively and the other not, or by another rule.
    ``differing`` counts the ``unit``, problems or clusters of them, on which the two models' pass@k is not the same;
    ``sign`` is +1 or −1 where the other model is surely ahead or behind, else 0.
    """

    band: tuple[Floats, Floats]
    p: Floats
    differing: Ints
    sign: Ints
    unit: Unit = "problem"
    tested: bool = True

    def words(self, at: int) -> str:
        """The difference and the band there in percentage points, at position `at` of the K."""
        value, low, high = (
            f"{round(100 * float(x[at]), 1) + 0.0:+.1f}".replace("-", "−")  # + 0.0 turns −0.0 into 0.0
            for x in (self.values, *self.band)
        )
        apart = self.band[0][at] > EQUAL or self.band[1][at] < -EQUAL
        caveat = f"; {self._why_not(at)}" if apart and self.sign[at] == 0 else ""
        return f"{value} points [{low}, {high}]{caveat}"

    def _why_not(self, at: int) -> str:
        """Why there is no word although the band excludes 0."""
        if not self.tested:
            return "sampled by different rules, which no test can be exact for"
        if (differing := int(self.differing[at])) >= FEW:
            return f"but equal models could be so far apart, p = {self.p[at]:.2g}"
        return f"only 1 {self.unit} differs" if differing == 1 else f"only {differing} {self.unit}s differ"


def surely(band_low_K: Floats, band_high_K: Floats, p_K: Floats, level: float) -> Ints:
    """The sign of a difference where the band and the sign-flip test support one, else 0: (K,)."""
    apart_K = (band_low_K > EQUAL).astype(np.int64) - (band_high_K < -EQUAL)
    return np.where(p_K <= 1 - level + 1e-12, apart_K, 0)


def verdict(ks: Ints, difference: Difference, crossing: Crossing, same_within: float = SAME_WITHIN) -> Conclusion:
    """Put the comparison of one model with its base into words; δ is `same_within`, a share."""
    first, last = int(difference.sign[0]), int(difference.sign[-1])
    accuracy = f"{_ACCURACY[first]} at k={ks[0]} ({difference.words(0)})"
    if len(ks) == 1:
        label = _ACCURATE[first]
        return Conclusion(label, f"{label}: {accuracy}; one value of k says nothing about reach")
    low_K, high_K = difference.band
    alike_K = (low_K > -same_within) & (high_K < same_within)
    same = f"the same within {100 * same_within:g} points"
    reach = f"{same if not last and alike_K[-1] else _REACH[last]} at k={ks[-1]} ({difference.words(-1)})"
    if last and (difference.sign == last).all():
        label = _WIDTH[last]
        return Conclusion(label, f"{label} at every k: {accuracy}, {reach}")
    joined = f"{accuracy} {'and' if first == last else 'but'} {reach}"
    if last or not first:
        label = _WIDTH[last] if last else "undecided"
        sentence = f"{label}: {joined}"
        if not last and alike_K.all():
            sentence += f"; {same} at every k"
    elif alike_K[-1]:
        label = _ONLY[first]
        sentence = f"{label}: {joined}"
    else:
        label = _ACCURATE[first]
        sentence = f"{label}; reach undecided: {accuracy}, {reach}"
    if first > 0 >= last and crossing.k is not None:
        sentence += f"; the base catches up at {_interval(crossing, int(ks[-1]))}"
    return Conclusion(label, sentence)


_WIDTH: dict[int, Label] = {1: "wider", -1: "narrower"}
_ACCURATE: dict[int, Label] = {1: "sharper", 0: "undecided", -1: "blunter"}
_ONLY: dict[int, Label] = {1: "sharper only", -1: "blunter only"}
_ACCURACY = {1: "more often right", 0: "no sure difference", -1: "less often right"}
_REACH = {1: "solves more problems", 0: "no sure difference", -1: "solves fewer problems"}


def _interval(crossing: Crossing, largest: int) -> str:
    low, high = (f"beyond {largest}" if end is None else str(end) for end in (crossing.low, crossing.high))
    return f"k={crossing.k} [{low}, {high}]"
