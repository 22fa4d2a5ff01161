"""Bootstrap over problems, with the same resamples for every model, and BCa intervals of a curve's mean.

Drawing P problems with replacement is the same as giving the problems multinomial weights, so that all B
resampled means of all K values are one matrix product: means_KB = values_PKᵀ weights_BPᵀ / P. Models that
share the weights are paired.

The interval is the BCa one: its ends are the order statistics at Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))), with z₀ from
the share of resamples below the estimate and a = Σ d³ / 6 (Σ d²)^1.5 over the problems' deviations d. Plain
percentiles miss a mean of few, skewed values (rarely solved problems are) too often on one side. z is Student's, so
that few problems do not pretend to be many.

Source: Efron 1987, *Better Bootstrap Confidence Intervals*; the wider z is that of Hesterberg 2015 (arXiv 1411.5279,
section 3.5). The ends are order statistics without interpolation, rounded outwards.

Where all problems came out the same, no resample differs, and the interval is not of no width for that: a share u =
1 − (α/2)^(1/P) of other problems may be anything (Clopper and Pearson 1934), so that 0 of 10 is 0 to 31 %.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reachlab.errors import ReachlabError

CHUNK_ROWS = 128
"""Rows of a block of work: enough for a fast matrix product, few enough for a block to stay in the cache."""
EQUAL = 1e-6
"""Differences of pass@k up to this count as none: resampled means are float32, and none would notice."""

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Ends = tuple[float, float]
SHARE: Ends = (0.0, 1.0)
"""The ends of a share."""


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


def resampled_means(
    values_XK: Floats, weights_BX: Weights, problems: int | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield (rows of K, means_KB) block by block; the block is the caller's to overwrite until the next one.

    In float32: a mean of values in [−1, 1] is right to about 3e-7, and exact where every value is a whole
    number, so that a curve which is 1 on every problem is 1 on every resample.

    Args:
        values_XK: a row a problem, and whatever else is summed (see `noise`).
        weights_BX: how often each row counts in each resample.
        problems: what sums are divided by; None where the rows are the problems.
    """
    values_KX = np.ascontiguousarray(values_XK.T, np.float32)
    block_KB = np.empty((CHUNK_ROWS, len(weights_BX)), np.float32)
    for start in range(0, len(values_KX), CHUNK_ROWS):
        rows = slice(start, min(start + CHUNK_ROWS, len(values_KX)))
        means_KB = np.matmul(values_KX[rows], weights_BX.T, out=block_KB[: rows.stop - rows.start])
        means_KB /= problems or weights_BX.shape[1]
        yield rows, means_KB


def tail(level: float, problems: int) -> float:
    """The share of resamples beyond either end: Φ(−√(P / (P − 1)) t), t Student's with P − 1 degrees of freedom.

    Raises:
        ReachlabError: a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ReachlabError(f"bootstrap: level {level} is not between 0 and 1")
    if problems < 2:
        return (1 - level) / 2
    t = -special.stdtrit(problems - 1, (1 - level) / 2)
    # Two problems at a high level ask for a tail that float64 does not have; z has to stay finite.
    return max(float(special.ndtr(-t * (problems / (problems - 1)) ** 0.5)), 1e-300)


def tail_positions(resamples: int, share: float) -> tuple[int, int]:
    """Positions, among B sorted values, of the two ends with `share` of the values beyond each."""
    low = int(round(share * (resamples - 1), 9))  # 0.1 × 100 may come out as 9.999…
    return low, resamples - 1 - low


class Interval:
    """Collects BCa intervals from blocks of resampled means; it takes a block's order, so it comes last.

    Args:
        values_PK: the problems' own values.
        resamples: B. level: of the interval.
        ends: the least and the largest that a value can be, where that is known (see `unseen`).
        fixed: the problems are not resampled, only their samples: how problems differ then says nothing of the
            mean's skewness, and few of them do not make it less sure (a = 0, and z is the normal one).
    """

    def __init__(self, values_PK: Floats, resamples: int, level: float, fixed: bool = False, ends: Ends | None = None):
        self.low_K, self.high_K = np.empty((2, values_PK.shape[1]))
        self._ends, self._unseen = None if fixed else ends, unseen(len(values_PK), level)
        self._alike_K = np.ptp(values_PK, axis=0) <= EQUAL
        self._mean_K = values_PK.mean(axis=0)
        off_PK = values_PK - self._mean_K
        # Of unit length first: the cube of a tiny deviation (pass^k at large k) is below what float64 has.
        length_K = np.sqrt((off_PK * off_PK).sum(axis=0))
        unit_PK = np.divide(off_PK, length_K, out=np.zeros_like(off_PK), where=length_K > 0)
        self._bend_K = (unit_PK**3).sum(axis=0) / 6
        if fixed:
            self._bend_K[:] = 0
        share = tail(level, 1 if fixed else len(values_PK))
        self._z, self._last = float(special.ndtri(share)), resamples - 1

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled means of some rows of K."""
        mean_K, bend_K = self._mean_K[rows], self._bend_K[rows]
        below_K = np.count_nonzero(means_KB < (mean_K - EQUAL)[:, None], axis=1)
        upto_K = np.count_nonzero(means_KB <= (mean_K + EQUAL)[:, None], axis=1)
        share_K = (below_K + upto_K) / 2 / means_KB.shape[1]
        # Beyond three deviations the correction would be a guess about a tail nobody has seen.
        shift_K = np.clip(special.ndtri(share_K), -3, 3)
        # The last bit of a share must not push an end outwards: 0.1 × 100 may come out as 9.999…
        low_K, high_K = (
            (self._last * special.ndtr(shift_K + (shift_K + z) / np.maximum(1 - bend_K * (shift_K + z), 0.1))).round(9)
            for z in (self._z, -self._z)
        )
        for at, low, high, means_B in zip(
            range(rows.start, rows.stop),
            np.floor(low_K).astype(int),
            np.ceil(high_K).astype(int),
            means_KB,
            strict=True,
        ):
            # Two partitions at one position each: numpy has a vectorised path for one position, not for two.
            means_B.partition(low)
            self.low_K[at] = means_B[low]
            if high > low:
                above_B = means_B[low + 1 :]
                above_B.partition(high - low - 1)
            self.high_K[at] = means_B[high]
            if self._ends is not None and self._alike_K[at]:
                least, most = self._ends
                self.low_K[at] -= self._unseen * (self._mean_K[at] - least)
                self.high_K[at] += self._unseen * (most - self._mean_K[at])


def unseen(problems: int, level: float, differing: int = 0) -> float:
    """The largest share of problems that differ of which P drawn ones may have shown so few (Clopper and Pearson)."""
    if differing >= problems:
        return 1.0
    return float(special.betaincinv(differing + 1, problems - differing, (1 + level) / 2))


def bootstrap_interval(
    values_PK: Floats, weights_BP: Weights, level: float = 0.95, ends: Ends | None = None
) -> tuple[Floats, Floats]:
    """The interval of each column's mean over problems: (low_K, high_K). `ends` as of `Interval`."""
    found = Interval(values_PK, len(weights_BP), level, ends=ends)
    for rows, means_KB in resampled_means(values_PK, weights_BP):
        found.add(rows, means_KB)
    return found.low_K, found.high_K
