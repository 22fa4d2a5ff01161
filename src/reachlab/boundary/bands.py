"""A band that holds the whole curve of a difference at once: d(k) ± q se(k) for every k.

q is the `level` quantile, over resamples, of max_k |d*(k) − d(k)| / se(k): the largest studentised deviation anywhere
on the curve. An interval at one k answers a question about that k; whoever looks for the k at which two models differ
needs this.

Source: the sup-t band (Montiel Olea and Plagborg-Møller 2019, *Simultaneous Confidence Bands*), with Student's
quantile's ratio to the normal one for few problems.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reachlab.boundary.bootstrap import Floats, tail
from reachlab.boundary.outcomes import Ints

FEW = 6
"""Where fewer problems differ, a resample holds so few that its studentised deviation says nothing: q is not taken
from there."""


class Band:
    """Collects the band from blocks of resampled differences.

    Args:
        mean_K: the differences. differing_K: on how many problems the models differ at each k.
        resamples: B.
    """

    def __init__(self, mean_K: Floats, differing_K: Ints, resamples: int):
        self._mean_K, self._tells_K = mean_K, differing_K >= FEW
        self._se_K = np.zeros(len(mean_K))
        self._most_B = np.zeros(resamples, np.float32)

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled differences of some rows of K."""
        off_KB = means_KB - self._mean_K[rows, None].astype(np.float32)
        se_K = np.sqrt(np.einsum("kb,kb->k", off_KB, off_KB) / off_KB.shape[1])
        self._se_K[rows] = se_K
        if (tells_K := self._tells_K[rows] & (se_K > 0)).any():
            off_KB = np.abs(off_KB[tells_K]) / se_K[tells_K, None]
            np.maximum(self._most_B, off_KB.max(axis=0), out=self._most_B)

    def result(self, level: float, problems: int) -> tuple[Floats, Floats]:
        """The band's two edges: (low_K, high_K)."""
        share = tail(level, problems)
        q = float(np.quantile(self._most_B, level, method="higher"))
        q = max(q, -float(special.ndtri((1 - level) / 2)))  # at one k, no narrower than the interval there
        half_K = q * special.ndtri(share) / special.ndtri((1 - level) / 2) * self._se_K
        return self._mean_K - half_K, self._mean_K + half_K
