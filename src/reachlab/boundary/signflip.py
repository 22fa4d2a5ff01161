"""Could two equal models have come out this different? Flip the sign of every problem's difference at random.

If the two models are the same, swapping their names on any problem changes nothing, so all 2^P ways to flip the signs
of the paired differences are equally likely. With z(k) = |Σ d(k)| / √Σ d(k)², the p-value at k is the share of flips
whose largest z over all k reaches z(k): small anywhere on the curve in no more than α of all comparisons of equal
models, however few problems there are. No distribution is assumed, and nothing is asymptotic.

Source: Fisher 1935; the maximum over k is the single-step adjustment of Westfall and Young 1993. The observed
signs count as one of the flips (Phipson and Smyth 2010), so p is never 0.
"""

import numpy as np

from reachlab.boundary.bootstrap import Floats, Weights, resampled_means


def random_signs(problems: int, flips: int, seed: int = 0) -> Weights:
    """±1 for each problem in each of B flips: (B, P)."""
    bits_BP = np.random.default_rng([seed, 1]).integers(0, 2, size=(flips, problems), dtype=np.int8)
    return (2 * bits_BP - 1).astype(np.float32)


def adjusted_p(difference_PK: Floats, signs_BP: Weights) -> Floats:
    """The p-value of a difference at each k, adjusted for looking at all of them: (K,).

    Args:
        difference_PK: paired differences, a row a problem.
        signs_BP: from `random_signs`; the same for all pairs of a comparison.
    """
    length_K = np.sqrt((difference_PK * difference_PK).sum(axis=0))
    unit_PK = np.divide(difference_PK, length_K, out=np.zeros_like(difference_PK), where=length_K > 0)
    most_B = np.zeros(len(signs_BP), np.float32)
    for _, sums_KB in resampled_means(unit_PK, signs_BP, problems=1):
        np.maximum(most_B, np.abs(sums_KB).max(axis=0), out=most_B)
    most_B.sort()
    # Flips that give the same sum differ in the last bits.
    reached_K = len(most_B) - np.searchsorted(most_B, np.abs(unit_PK.sum(axis=0)) - 1e-5)
    found_K: Floats = np.minimum((reached_K + 1) / (len(most_B) + 1), 1.0)
    return found_K
