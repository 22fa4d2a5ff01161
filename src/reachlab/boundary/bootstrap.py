"""Percentile bootstrap over problems, with the same resamples for every model.

Drawing P problems with replacement is the same as giving the problems multinomial weights, so that all B
resampled means of all K values are one matrix product: means_KB = values_PKᵀ weights_BPᵀ / P. Models that
share the weights are paired.

Source: Efron 1979, *Bootstrap Methods: Another Look at the Jackknife*. The ends are order statistics without
interpolation, rounded outwards.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reachlab.errors import ReachlabError

CHUNK_ROWS = 128
"""Rows of a block of work: enough for a fast matrix product, few enough for a block to stay in the cache."""

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]


def resampling_weights(problems: int, resamples: int, seed: int = 0) -> Weights:
    """How often each of P problems is drawn in each of B resamples: (B, P), each row's sum is P."""
    if problems < 1 or resamples < 2:
        raise ReachlabError(f"bootstrap: resamples={resamples} must be 2 or more, and problems={problems} 1 or more")
    rng = np.random.default_rng(seed)
    weights_BP = np.empty((resamples, problems), np.float32)
    for start in range(0, resamples, CHUNK_ROWS):
        block_BP = weights_BP[start : start + CHUNK_ROWS]
        drawn_BP = rng.integers(0, problems, size=block_BP.shape)
        # Each row's numbers get a range of their own, so that one bincount counts all rows of the block.
        drawn_BP += np.arange(0, block_BP.size, problems)[:, None]
        block_BP[:] = np.bincount(drawn_BP.reshape(-1), minlength=block_BP.size).reshape(block_BP.shape)
    return weights_BP


def resampled_means(values_PK: Floats, weights_BP: Weights) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield (rows of K, means_KB) block by block; the block is the caller's to overwrite until the next one.

    In float32: a mean of values in [−1, 1] is right to about 3e-7, and exact where every value is a whole
    number, so that a curve which is 1 on every problem is 1 on every resample.
    """
    values_KP = np.ascontiguousarray(values_PK.T, np.float32)
    block_KB = np.empty((CHUNK_ROWS, len(weights_BP)), np.float32)
    for start in range(0, len(values_KP), CHUNK_ROWS):
        rows = slice(start, min(start + CHUNK_ROWS, len(values_KP)))
        means_KB = np.matmul(values_KP[rows], weights_BP.T, out=block_KB[: rows.stop - rows.start])
        means_KB /= weights_BP.shape[1]
        yield rows, means_KB


def tail_positions(resamples: int, level: float) -> tuple[int, int]:
    """Positions, among B sorted values, of the two ends of the interval that holds `level` of them."""
    if not 0 < level < 1:
        raise ReachlabError(f"bootstrap: level {level} is not between 0 and 1")
    low = int(round((1 - level) / 2 * (resamples - 1), 9))  # 0.1 × 100 may come out as 9.999…
    return low, resamples - 1 - low


def percentile_interval(values_PK: Floats, weights_BP: Weights, level: float = 0.95) -> tuple[Floats, Floats]:
    """The interval of each column's mean over problems: (low_K, high_K)."""
    low_K, high_K = np.empty((2, values_PK.shape[1]))
    low, high = tail_positions(len(weights_BP), level)
    for rows, means_KB in resampled_means(values_PK, weights_BP):
        # Two partitions at one position each: numpy has a vectorised path for one position, not for two.
        means_KB.partition(low, axis=1)
        low_K[rows] = means_KB[:, low]
        above_KB = means_KB[:, low + 1 :]
        above_KB.partition(high - low - 1, axis=1)
        high_K[rows] = above_KB[:, high - low - 1]
    return low_K, high_K
