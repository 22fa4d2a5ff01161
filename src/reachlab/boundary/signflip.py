"""Could equal models have come out this different? Flip the sign of every problem's difference at random.

If two models are the same and each problem was answered as often by both, swapping their names on any problem changes
nothing, so all 2^P ways to flip the signs of the paired differences are equally likely. With
z(k) = |Σ d(k)| / √Σ d(k)², the p-value at k is the share of flips whose largest z over all k, and over all pairs that
are looked at together, reaches z(k): small anywhere on the curve in no more than α of all comparisons of two equal
models, however few problems there are. No distribution is assumed, and nothing is asymptotic. Of several pairs each is
held to the largest z of all under the same flips, which is exact for any one of them and for many problems for all.

Problems of one cluster are not flipped apart: d is then the cluster's sum.

Where the two have different numbers of samples, the difference of equal models is skewed, and flipping it is no
symmetry. `even` therefore takes as many samples away from the one that has more, by lot, before the test looks.

Source: Fisher 1935; the maximum over k and pairs is the single-step adjustment of Westfall and Young 1993. The observed
signs count as one of the flips (Phipson and Smyth 2010), so p is never 0.
"""

from dataclasses import dataclass, replace

import numpy as np

from reachlab.boundary.bootstrap import Floats, Weights, resampled_means
from reachlab.boundary.outcomes import Outcomes


def random_signs(problems: int, flips: int, seed: int = 0) -> Weights:
    """±1 for each problem in each of B flips: (B, P)."""
    bits_BP = np.random.default_rng([seed, 1]).integers(0, 2, size=(flips, problems), dtype=np.int8)
    return (2 * bits_BP - 1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Flips:
    """One pair: z as observed, (K,), and the largest z of each flip, (B,)."""

    z_K: Floats
    most_B: Weights

    def p(self, most_B: Weights) -> Floats:
        """The p-value at each k, given the largest z of each flip over all pairs: (K,)."""
        sorted_B = np.sort(most_B)
        # Flips that give the same sum differ in the last bits.
        reached_K = len(sorted_B) - np.searchsorted(sorted_B, self.z_K - 1e-5)
        found_K: Floats = np.minimum((reached_K + 1) / (len(sorted_B) + 1), 1.0)
        return found_K


def flip(difference_PK: Floats, signs_BP: Weights) -> Flips:
    """Flip the paired differences, a row a problem or cluster, with signs from `random_signs`, the same for all
    pairs."""
    length_K = np.sqrt((difference_PK * difference_PK).sum(axis=0))
    unit_PK = np.divide(difference_PK, length_K, out=np.zeros_like(difference_PK), where=length_K > 0)
    most_B = np.zeros(len(signs_BP), np.float32)
    for _, sums_KB in resampled_means(unit_PK, signs_BP, problems=1):
        np.maximum(most_B, np.abs(sums_KB, out=sums_KB).max(axis=0), out=most_B)
    return Flips(np.abs(unit_PK.sum(axis=0)), most_B)


def even(one: Outcomes, other: Outcomes, seed: int = 0) -> tuple[Outcomes, Outcomes] | None:
    """The two models' outcomes on the same problems, with as many scored samples of each problem in both.

    None where that cannot be: one was sampled adaptively and the other not, or by another rule.
    """
    if (one.stopping is None) != (other.stopping is None):
        return None
    if one.stopping is not None and other.stopping is not None:
        same = one.stopping.enough == other.stopping.enough and one.largest_k == other.largest_k
        return (one, other) if same else None
    fewest_P = np.minimum(one.n_P, other.n_P)
    rng = np.random.default_rng([seed, 3])
    kept = [replace(o, n_P=fewest_P, c_P=rng.hypergeometric(o.c_P, o.n_P - o.c_P, fewest_P)) for o in (one, other)]
    return kept[0], kept[1]
