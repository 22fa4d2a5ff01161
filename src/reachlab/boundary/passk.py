"""pass@k: the chance that k samples drawn without replacement from n, c of them correct, hold a correct one.

pass@k = 1 − C(n−c, k) / C(n, k) = 1 − Π_{i<k} (n−c−i) / (n−i), which is unbiased for 1 − (1−p)^k.

Source: Chen et al. 2021, *Evaluating Large Language Models Trained on Code* (arXiv 2107.03374). The product
runs over k, not over c as in the paper's script: its running values are the answers for every smaller k.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reachlab.errors import ReachlabError


def pass_at_k(n_P: ArrayLike, c_P: ArrayLike, ks: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Estimate pass@k per problem, as a (P, K) table; its mean over problems is the curve.

    Every factor lies in [0, 1], so nothing overflows at any n; c = 0 gives exactly 0 and k > n − c exactly 1.
    The work is O(max k) for each distinct pair (n, c).

    Args:
        n_P: scored samples of each problem; problems may differ.
        c_P: correct ones among them.
        ks: the values of k, at least 1, in any order.

    Raises:
        ReachlabError: k > n or k < 1, or c outside [0, n]; the message names the problem's position.

    Example:
        One right of four, and four of four; k = 1 and 2:

        >>> pass_at_k([4, 4], [1, 4], [1, 2]).tolist()
        [[0.25, 0.5], [1.0, 1.0]]
    """
    return 1.0 - none_right(*checked("pass@k", n_P, c_P, ks))


def checked(
    what: str, n_P: ArrayLike, c_P: ArrayLike, ks: Sequence[int] | NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The arguments as arrays, once they make sense.

    Raises:
        ReachlabError: as `pass_at_k`; `what` opens the message.
    """
    n_P, c_P, ks = np.asarray(n_P, np.int64), np.asarray(c_P, np.int64), np.asarray(ks, np.int64)
    if n_P.ndim != 1 or n_P.shape != c_P.shape:
        raise ReachlabError(f"{what}: n and c must be lists of one length, not of shapes {n_P.shape}, {c_P.shape}")
    if not ks.size or ks.min() < 1:
        raise ReachlabError(f"{what}: every k must be at least 1, and there must be one: {ks.tolist()}")
    if (bad_P := (c_P < 0) | (c_P > n_P)).any():
        at = int(bad_P.argmax())
        raise ReachlabError(f"{what}: problem {at} has c = {c_P[at]} correct of n = {n_P[at]}")
    most = int(ks.max())
    if (short_P := n_P < most).any():
        at = int(short_P.argmax())
        raise ReachlabError(f"{what}: k = {most} is more than the n = {n_P[at]} samples of problem {at}")
    return n_P, c_P, ks


def none_right(n_P: NDArray[np.int64], c_P: NDArray[np.int64], ks: NDArray[np.int64]) -> NDArray[np.float64]:
    """C(n−c, k) / C(n, k): the chance that k samples drawn without replacement hold none of the c, as (P, K)."""
    pairs, row_P = np.unique(np.stack([n_P, c_P], axis=1), axis=0, return_inverse=True)
    drawn = np.arange(int(ks.max()))
    table = np.empty((len(pairs), len(ks)))
    for row, (n, c) in zip(table, pairs, strict=True):
        row[:] = np.cumprod(np.maximum(n - c - drawn, 0) / (n - drawn))[ks - 1]
    return table[row_P.reshape(-1)]
