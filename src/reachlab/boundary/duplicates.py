"""Distinct solutions and copies: how many different texts m samples hold, and how many equal ones chance explains.

Let a_x be how often text x is among the n samples of a problem. m of them, drawn without replacement, hold on average

    E[distinct at m] = Σ_x ( 1 − C(n − a_x, m) / C(n, m) )

different texts (rarefaction), so that models with different n can be compared at one m; summed over correct texts
alone it counts distinct solutions.

Samples that are drawn independently coincide in Σ_x C(a_x, 2) pairs. A pair is equal with probability Σ_x p_x², of
which the mean of p over the samples themselves, p_i = exp(log-probability of sample i), is an unbiased estimate, so

    E[pairs] = (n − 1)/2 · Σ_i p_i,       Var[pairs] = C(n, 2) (S_2 − S_2²) + n (n−1)(n−2) (S_3 − S_2²)

with S_2 = mean p_i and S_3 = mean p_i² in place of Σ p², Σ p³. Many more pairs than that were not drawn
independently: a broken seed, or samples that were stored twice. It holds only where the samples were drawn from the
very distribution whose log-probabilities are known: temperature 1, nothing cut off.

Source: Hurlbert 1971, *The Nonconcept of Species Diversity* (rarefaction); Hoeffding 1948 (the variance of a
U-statistic).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.passk import pass_at_k

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SURE = 5.0
"""Standard deviations above the expected pairs from which chance is no explanation."""
TIMES = 2.0
"""And that many times the expected: texts may be equal whose tokens differ, which their probabilities leave out."""


def distinct_at(n_P: Ints, row_C: Ints, count_C: Ints, ms: Sequence[int]) -> Floats:
    """The expected number of distinct texts among m samples of each problem, as a (P, M) table.

    Args:
        n_P: samples of each problem.
        row_C: the problem of each distinct text, 0 to P − 1.
        count_C: how many samples are that text.
        ms: the values of m, each 1 to the fewest samples of a problem.

    Raises:
        ReachlabError: m outside 1 to the samples of a problem that has a text.

    Example:
        Four samples of one problem are three texts, one of them twice; two drawn from them:

        >>> distinct_at(np.array([4]), np.array([0, 0, 0]), np.array([2, 1, 1]), [1, 2, 4]).round(3).tolist()
        [[1.0, 1.833, 3.0]]
    """
    # Most texts are alike in what matters here: their problem and their count.
    width = int(count_C.max(initial=0)) + 1
    alike, times = np.unique(row_C * width + count_C, return_counts=True)
    row, count = np.divmod(alike, width)
    seen = pass_at_k(n_P[row], count, np.array(ms)) * times[:, None]
    table_PM = np.empty((len(n_P), len(ms)))
    for i, column in enumerate(seen.T):
        table_PM[:, i] = np.bincount(row, weights=column, minlength=len(n_P))
    return table_PM


@dataclass(frozen=True, slots=True)
class Copies:
    """Pairs of equal samples of a problem, over all problems, against those that chance explains."""

    pairs: int
    expected: float
    deviation: float

    @property
    def suspicious(self) -> bool:
        """Whether there are far more pairs than independent draws have."""
        return self.pairs > max(self.expected + SURE * max(self.deviation, 1.0), TIMES * self.expected)


def expected_copies(n_P: Ints, pairs_P: Ints, row_N: Ints, logprobs_N: Floats) -> Copies:
    """Hold the pairs of equal samples against the model's own log-probabilities of them.

    Args:
        n_P: samples of each problem.
        pairs_P: pairs of equal ones among them.
        row_N: the problem of each sample.
        logprobs_N: the log-probability of each whole sample, in nats.
    """
    p_N = np.exp(np.minimum(logprobs_N, 0.0))
    first_P, second_P = (
        np.bincount(row_N, weights=values_N, minlength=len(n_P)) / np.maximum(n_P, 1) for values_N in (p_N, p_N**2)
    )
    n = n_P.astype(np.float64)
    variance_P = n * (n - 1) / 2 * (first_P - first_P**2) + n * (n - 1) * (n - 2) * (second_P - first_P**2)
    return Copies(
        pairs=int(pairs_P.sum()),
        expected=float((n * (n - 1) / 2 * first_P).sum()),
        deviation=float(np.sqrt(np.maximum(variance_P, 0).sum())),
    )
