"""The average of four zero-inflated beta-binomials, and what it predicts of problems that have been sampled.

The four have one beta or two, and a share of impossible problems or none (`beta_binomial`). Their weights are
exp(log-likelihood − penalty): 1 for the impossible share (Akaike's: what counts is the prediction), 3/2 log P for the
second beta (Schwarz's: it is taken when the data insist). Of n samples, whether a problem with c = 0 is impossible or
hard can often not be told; an average keeps both, where a choice would jump from one to the other.

Source: Buckland, Burnham and Augustin 1997, *Model Selection: An Integral Part of Inference*. The penalties are ours;
`benchmarks/bench_extrapolation.py` has what others give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.beta_binomial import BetaBinomial, from_parameters, log_failing
from reachlab.boundary.mixture_fit import LARGEST_LOG_RATIO, Pairs, betas, fit, log_mixture
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Floats, Ints

MODELS = ((1, False), (1, True), (2, False), (2, True))
"""The four fits: how many betas, and whether problems may be impossible."""
MOST_PAIRS = 512
"""More distinct pairs than this are merged where they say nearly the same."""
MERGED = 0.05
"""Relative width within which c, or n − c, is the same then."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WeightedFit:
    """One of the four fits, and its weight in the average."""

    fit: BetaBinomial
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """pass@k of each pair (n, c) at each k is `known` plus the chance that `more` further samples hold a right one.

    Both are (U, K). ``more`` is 0 where nothing is left to chance.
    """

    known: Floats
    more: Floats

    @classmethod
    def of(cls, pairs: Pairs, ks: Ints, *, stopped: bool) -> "Unknown":
        """Sort out what is known of each pair.

        Args:
            pairs: the pairs (n, c).
            ks: the values of k.
            stopped: whether sampling stopped where enough was right: then c/n is too high for the unbiased pass@k, and
                for c > 0 and k ≤ n pass@k is that of k fresh samples.
        """
        beyond_UK = ks > pairs.n[:, None]
        solved_U = pairs.c > 0
        known_UK = np.where(solved_U[:, None] & beyond_UK, 1.0, 0.0)
        more_UK = np.where(~solved_U[:, None] & beyond_UK, ks - pairs.n[:, None], 0.0)
        for known_U, more_U, k in zip(known_UK.T, more_UK.T, ks, strict=True):
            if stopped:
                more_U[solved_U & (pairs.n >= k)] = k
            elif (within_U := pairs.n >= k).any():
                known_U[within_U] = pass_at_k(pairs.n[within_U], pairs.c[within_U], [k])[:, 0]
        return cls(known_UK, more_UK)


@dataclass(frozen=True, slots=True, eq=False)
class AveragedFit:
    """The four fits of each of B weightings of the pairs: parameters (B, Q) a model, and their weights (B, M)."""

    pairs: Pairs
    counts_BU: Floats
    theta_MBQ: list[Floats]
    weight_BM: Floats

    def fits(self, weighting: int = 0) -> tuple[WeightedFit, ...]:
        """Those of one weighting."""
        return tuple(
            WeightedFit(fit=from_parameters(theta_BQ[weighting : weighting + 1])[0], weight=float(weight))
            for theta_BQ, weight in zip(self.theta_MBQ, self.weight_BM[weighting], strict=True)
        )

    def mean(self, unknown: Unknown) -> Floats:
        """The averaged prediction, as (B, K)."""
        found_BK: Floats = np.einsum("bm,bmk->bk", self.weight_BM, self._each(unknown))
        return np.minimum(found_BK, 1)

    def ends(self, unknown: Unknown, shares: tuple[float, float]) -> tuple[Floats, Floats]:
        """Below which values the two shares of the fits of all weightings lie, each fit by its weight: (K,) each."""
        values_BMK = self._each(unknown)
        weight_F = (self.weight_BM / len(self.weight_BM)).reshape(-1)
        low_K, high_K = np.empty((2, values_BMK.shape[2]))
        for k, values_F in enumerate(values_BMK.reshape(len(weight_F), -1).T):
            order_F = values_F.argsort()
            below_F = weight_F[order_F].cumsum()
            at = np.searchsorted(below_F, shares)
            low_K[k], high_K[k] = values_F[order_F[np.minimum(at, len(order_F) - 1)]]
        return low_K, high_K

    def _each(self, unknown: Unknown) -> Floats:
        """Each fit's prediction of pass@k, averaged over its weighting's problems: (B, M, K)."""
        some_U = unknown.more.any(axis=1)
        open_ = Pairs(self.pairs.n[some_U], self.pairs.c[some_U])
        counts_BV, more_VK = self.counts_BU[:, some_U], unknown.more[some_U]
        total_BMK = np.repeat((self.counts_BU @ unknown.known)[:, None], len(self.theta_MBQ), axis=1)
        for m, theta_BQ in enumerate(self.theta_MBQ):
            z_B, share_BJ, a_BJ, b_BJ = betas(theta_BQ)
            beta_BJV, whole_BV = log_mixture(theta_BQ, open_)
            weight_BJV = (1 - z_B)[:, None, None] * share_BJ[..., None]
            weight_BJV = weight_BJV * np.exp(np.minimum(beta_BJV - whole_BV[:, None], LARGEST_LOG_RATIO))
            a_BJV, b_BJV = a_BJ[..., None] + open_.c, b_BJ[..., None] + (open_.n - open_.c)
            for k, more_V in enumerate(more_VK.T):
                solved_BV = (weight_BJV * -np.expm1(log_failing(a_BJV, b_BJV, more_V))).sum(axis=1)
                total_BMK[:, m, k] += (counts_BV * np.minimum(solved_BV, 1)).sum(axis=1)
        total_BMK /= self.counts_BU.sum(axis=1)[:, None, None]
        return np.minimum(total_BMK, 1)


def fit_average(pairs: Pairs, counts_BU: Floats, near: AveragedFit | None = None) -> AveragedFit:
    """Fit the four models to each weighting of the pairs; for refits, `near` has the fits of a similar weighting."""
    few, at_U = _merged(pairs, counts_BU.sum(axis=0))
    few_BU = counts_BU if few is pairs else sum_by(at_U, counts_BU, len(few.n))
    found = [
        fit(few, few_BU, components=j, zero=zero, near_Q=near.theta_MBQ[m][0] if near else None)
        for m, (j, zero) in enumerate(MODELS)
    ]
    problems_B = counts_BU.sum(axis=1)
    penalty_BM = np.array([(j - 1) * 1.5 * np.log(problems_B) + zero for j, zero in MODELS]).T
    log_BM = np.stack([log_B for _, log_B in found], axis=1) - penalty_BM
    weight_BM = np.exp(log_BM - log_BM.max(axis=1, keepdims=True))
    weight_BM /= weight_BM.sum(axis=1, keepdims=True)
    return AveragedFit(pairs, counts_BU, [theta_BQ for theta_BQ, _ in found], weight_BM)


def sum_by(at_X: Ints, values_BX: NDArray[np.floating], rows: int) -> Floats:
    """Sums of the columns that go to each of U rows, every row having some: (B, U)."""
    order_X = at_X.argsort(kind="stable")
    starts_U = np.searchsorted(at_X[order_X], np.arange(rows))
    sums_BU: Floats = np.add.reduceat(values_BX[:, order_X], starts_U, axis=1, dtype=np.float64)
    return sums_BU


def _merged(pairs: Pairs, counts_U: Floats) -> tuple[Pairs, Ints]:
    """Fewer pairs that say nearly the same, and which of them each pair becomes; c = 0 and c = n stay as they are."""
    at_U = np.arange(len(pairs.n))
    if len(at_U) <= MOST_PAIRS:
        return pairs, at_U
    right_U, wrong_U = (np.rint(np.log1p(MERGED * x) / MERGED).astype(np.int64) for x in (pairs.c, pairs.n - pairs.c))
    keys, at_U = np.unique(np.stack([pairs.n, right_U, wrong_U], axis=1), axis=0, return_inverse=True)
    at_U = at_U.reshape(-1)
    weight_V = np.maximum(np.bincount(at_U, counts_U), 1e-300)
    mean_V = np.bincount(at_U, counts_U * pairs.c) / weight_V
    return Pairs(keys[:, 0], np.rint(mean_V).astype(np.int64)), at_U
