"""A band that holds the whole curve of a difference at once: d(k) ± t(k) se(k) for every k.

q is the `level` quantile, over resamples, of max_k |d*(k) − d(k)| / se(k): the largest studentised deviation anywhere
on the curve, and on the curves of all pairs that are looked at together. An interval at one k answers a question about
that k; whoever looks for the k, or the pair, at which two models differ needs this. t(k) has the tail of q, but is
Student's: se(k) is known from few problems, clusters or seeds (`seeds`), with the degrees of freedom of its parts.

Where fewer than `FEW` problems differ, a resample says nothing, and the edges are at least as far out as the share of
problems that may differ unseen (`bootstrap.unseen`).

Source: the sup-t band (Montiel Olea and Plagborg-Møller 2019, *Simultaneous Confidence Bands*).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reachlab.boundary.bootstrap import Floats, Weights, unseen
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.seeds import SeedSpread, satterthwaite

FEW = 6
"""Where fewer problems differ, a resample holds so few that its studentised deviation says nothing: q is not taken
from there."""


class Band:
    """Collects what a band needs from blocks of resampled means.

    Args:
        mean_K: the differences. differing_K: on how many problems (clusters) the models differ at each k.
        resamples: B.
        drawn: how many problems (clusters) are resampled; None where they are fixed.
        seeds: of the sides that have several runs.
    """

    def __init__(
        self,
        mean_K: Floats,
        differing_K: Ints,
        resamples: int,
        drawn: int | None,
        seeds: Sequence[SeedSpread] = (),
    ):
        self._mean_K, self._differing_K, self._drawn, self._seeds = mean_K, differing_K, drawn, seeds
        self._variance_K = np.zeros(len(mean_K))
        # A resample of G spreads by √((G − 1) / G) of what it should.
        self._stretch = 1.0 if drawn is None or drawn < 2 else drawn / (drawn - 1)
        self.most_B: Weights = np.zeros(resamples, np.float32)
        """The largest studentised deviation of each resample."""

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled differences of some rows of K."""
        off_KB = means_KB - self._mean_K[rows, None].astype(np.float32)
        variance_K = np.einsum("kb,kb->k", off_KB, off_KB) / off_KB.shape[1]
        self._variance_K[rows] = self._stretch * variance_K
        tells_K = (self._differing_K[rows] >= FEW) & (variance_K > 0)
        if not tells_K.any():
            return
        if self._seeds:
            off_KB *= self._stretch**0.5
            for seeds in self._seeds:
                off_KB += seeds.off_KR[rows].astype(np.float32) @ seeds.multipliers_RB
            variance_K = np.einsum("kb,kb->k", off_KB, off_KB) / off_KB.shape[1]
        if not tells_K.all():
            off_KB, variance_K = off_KB[tells_K], variance_K[tells_K]
        np.abs(off_KB, out=off_KB)
        off_KB *= (1 / np.sqrt(variance_K))[:, None].astype(np.float32)
        np.maximum(self.most_B, off_KB.max(axis=0), out=self.most_B)

    def edges(self, q: float, level: float) -> tuple[Floats, Floats]:
        """The band's two edges, (low_K, high_K), with the q of all bands that are looked at together."""
        se_K, t_K = self._student(q)
        half_K = t_K * se_K
        low_K, high_K = self._mean_K - half_K, self._mean_K + half_K
        if self._drawn is not None:
            for at in np.flatnonzero(self._differing_K < FEW):
                unknown = unseen(self._drawn, level, int(self._differing_K[at]))
                low_K[at], high_K[at] = min(low_K[at], -unknown), max(high_K[at], unknown)
        return low_K, high_K

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Student's interval at each k by itself: (low_K, high_K)."""
        se_K, t_K = self._student(normal(level))
        return self._mean_K - t_K * se_K, self._mean_K + t_K * se_K

    def p(self, most_B: Weights) -> Floats:
        """How often the largest deviation of all bands together reaches the difference at k: (K,).

        It is at most 1 − level just where the band at that level excludes 0.
        """
        total_K, ν_K = self._variance()
        t_K = np.divide(np.abs(self._mean_K), np.sqrt(total_K), out=np.zeros(len(total_K)), where=total_K > 0)
        z_K = np.where(np.isfinite(ν_K), -special.ndtri(np.maximum(special.stdtr(ν_K, -t_K), 1e-300)), t_K)
        sorted_B = np.sort(most_B)
        reached_K = len(sorted_B) - np.searchsorted(sorted_B, z_K)
        alone_K = 2 * special.ndtr(-z_K)
        found_K: Floats = np.minimum(np.maximum((reached_K + 1) / (len(sorted_B) + 1), alone_K), 1.0)
        return found_K

    def _variance(self) -> tuple[Floats, Floats]:
        known = np.inf if self._drawn is None or self._drawn < 2 else self._drawn - 1
        parts = [self._variance_K, *(s.variance_K for s in self._seeds)]
        return satterthwaite(parts, [known, *(s.degrees for s in self._seeds)])

    def _student(self, q: float) -> tuple[Floats, Floats]:
        """The standard error, and the quantile of Student's with the normal q's own tail."""
        total_K, ν_K = self._variance()
        t_K = np.where(np.isfinite(ν_K), -special.stdtrit(np.minimum(ν_K, 1e9), special.ndtr(-q)), q)
        return np.sqrt(total_K), t_K


def normal(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return float(special.ndtri((1 + level) / 2))


def critical(bands: Sequence[Band], level: float) -> float:
    """q of bands that are looked at together; at one k, and one pair, no less than the interval there takes."""
    most_B = largest(bands)
    return max(float(np.quantile(most_B, level, method="higher")), normal(level))


def largest(bands: Sequence[Band]) -> Weights:
    """The largest studentised deviation of each resample on any of the bands: (B,)."""
    found: Weights = np.max([band.most_B for band in bands], axis=0)
    return found
