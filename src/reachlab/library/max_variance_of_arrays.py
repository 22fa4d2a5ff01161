"""*max-variance* of numpy arrays (PODS, arXiv 2504.13818), as `rl/rules/max_variance.py` has it of tensors, for whoever
has no torch: of each prompt the a lowest and the M − a highest rewards, for the a in 0..M whose variance is largest.
"""

import numpy as np
from numpy.typing import NDArray

from reachlab.errors import InvalidArgumentError


def keep_most_variance(rewards_PN: NDArray[np.float64], m: int, seed: int) -> NDArray[np.int64]:
    """The M rollouts of each prompt with the largest reward variance: (P, M) indices; nan is taken last.

    Equal rewards come in an order that `seed` draws.

    Raises:
        InvalidArgumentError: a reward is infinite.
    """
    if np.isinf(rewards_PN).any():
        raise InvalidArgumentError("max_variance: a reward is infinite; rewards must be finite, or nan where unscored")
    column_N = np.random.default_rng(seed).permutation(rewards_PN.shape[1])
    column_PN = column_N[np.argsort(rewards_PN[:, column_N], axis=1, kind="stable")]
    sorted_PN = np.take_along_axis(rewards_PN, column_PN, axis=1)
    scored_P1 = np.count_nonzero(~np.isnan(rewards_PN), axis=1)[:, None]
    place_M, to_highest_P1 = np.arange(m), np.maximum(scored_P1 - m, 0)
    origin_P1 = sorted_PN[:, :1]  # variance does not depend on it; sums of squares lose fewer digits
    low_PM = sorted_PN[:, :m] - origin_P1
    high_PM = np.take_along_axis(sorted_PN, place_M + to_highest_P1, axis=1) - origin_P1
    sum_PA = _sums_of_splits(low_PM, high_PM)
    variance_PA = _sums_of_splits(low_PM**2, high_PM**2) - sum_PA**2 / m
    lowest_P1 = variance_PA.argmax(axis=1)[:, None]
    positions_PM = np.where(place_M < lowest_P1, place_M, place_M + to_highest_P1)
    kept_PM: NDArray[np.int64] = np.take_along_axis(column_PN, positions_PM, axis=1)
    return kept_PM


def _sums_of_splits(low_PM: NDArray[np.float64], high_PM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the first a of `low` and the last M − a of `high`, for every a in 0..M: (P, M + 1)."""
    steps_PA = np.pad((low_PM - high_PM).cumsum(axis=1), ((0, 0), (1, 0)))
    sums_PA: NDArray[np.float64] = steps_PA + high_PM.sum(axis=1, keepdims=True)
    return sums_PA
