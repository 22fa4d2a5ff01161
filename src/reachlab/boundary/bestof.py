"""best-of-k: the chance that the sample with the highest score among k, drawn without replacement from n, is right.

With the samples of a problem in order of falling score, the r-th of them is the best of k when it is drawn and the r
− 1 before it are not:

    best@k = Σ_r C(n−r, k−1) / C(n, k) · right_r,

exactly. Samples of one score are in every order equally often, so each counts with the share of right ones among
them. k = 1 is c/n and k = n is the top sample; between them the curve says what a score is worth as a selector,
against pass@k, the selector that is never wrong.

Source: the unbiased estimator of best-of-n in Nakano et al. 2021, *WebGPT* (arXiv 2112.09332), appendix I; ties are
ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reachlab.errors import ReachlabError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def best_of_k(row_N: Ints, scores_N: Floats, right_N: NDArray[np.bool_], problems: int, ks: Sequence[int]) -> Floats:
    """The expected accuracy of the best of k samples, as a (P, K) table; its mean over problems is the curve.

    The work is a sort, and O(n) for each k and each distinct n.

    Args:
        row_N: the problem of each sample, 0 to P − 1.
        scores_N: what decides; higher is better. There is no NaN among them.
        right_N: whether the sample is right.
        problems: P.
        ks: the values of k, at least 1, each at most the samples of any problem.

    Raises:
        ReachlabError: a score that is no number; k outside 1 to the samples of some problem.

    Example:
        Two samples of one problem, the likelier one right:

        >>> best_of_k(np.array([0, 0]), np.array([-1.0, -5.0]), np.array([True, False]), problems=1, ks=[1, 2]).tolist()
        [[0.5, 1.0]]
    """
    if np.isnan(scores_N).any():
        raise ReachlabError(f"best of k: the score of sample {int(np.isnan(scores_N).argmax())} is not a number")
    n_P = np.bincount(row_N, minlength=problems)
    most = int(n_P.min()) if problems else 0
    if bad := [k for k in ks if not 1 <= k <= most]:
        raise ReachlabError(f"best of k: k = {bad[0]} is outside 1 to {most}, the fewest samples of a problem")
    order_N = np.lexsort((-scores_N, row_N))
    share_N = _mean_of_ties(row_N[order_N], scores_N[order_N], right_N[order_N].astype(np.float64))
    start_P = np.cumsum(n_P) - n_P
    table_PK = np.empty((problems, len(ks)))
    for n in np.unique(n_P):
        same_P = np.flatnonzero(n_P == n)
        ranked_PN = share_N[start_P[same_P][:, None] + np.arange(n)]
        table_PK[same_P] = ranked_PN @ _weights(int(n), ks)
    return table_PK


def _mean_of_ties(row_N: Ints, scores_N: Floats, right_N: Floats) -> Floats:
    """Each sorted sample's share of right ones among those of its problem and score."""
    new_N = np.ones(len(row_N), bool)
    new_N[1:] = (row_N[1:] != row_N[:-1]) | (scores_N[1:] != scores_N[:-1])
    tie_N = np.cumsum(new_N) - 1
    share = np.bincount(tie_N, weights=right_N) / np.bincount(tie_N)
    found_N: Floats = share[tie_N]
    return found_N


def _weights(n: int, ks: Sequence[int]) -> Floats:
    """C(n−r, k−1) / C(n, k) for r = 1 to n, as an (N, K) table: the first is k/n, and each follows from the one before.

    Every factor lies in [0, 1], so nothing overflows at any n.
    """
    r = np.arange(1, n)
    weights_NK = np.empty((n, len(ks)))
    for i, k in enumerate(ks):
        weights_NK[0, i] = k / n
        weights_NK[1:, i] = k / n * np.cumprod(np.maximum(n - r - k + 1, 0) / (n - r))
    return weights_NK
