"""A band that holds the whole curve of a difference at once: d(k) ± t(k) se(k) for every k.

q is the `level` quantile, over resamples, of max_k |d*(k) − d(k)| / se(k): the largest studentised deviation anywhere
on the curve, and on the curves of all pairs that are looked at together. An interval at one k answers a question about
that k; whoever looks for the k, or the pair, at which two models differ needs this. The half width is

    h(k)² = t_{G−1}² U(k) + t_ν² V(k),

with U the variance over the G problems (clusters) that are drawn and V that over seeds, each with Student's quantile
for its own degrees of freedom, at the tail of q: a few seeds that came out alike by luck do not hide behind many
problems. Where nothing is known of seeds, V = 0.

Where fewer than `FEW` problems differ, a resample says nothing, and the edges are at least as far out as the share of
problems that may differ unseen (`bootstrap.unseen`).

Source: the sup-t band (Montiel Olea and Plagborg-Møller 2019, *Simultaneous Confidence Bands*); squared half widths
that add up, Zou and Donner 2008 (MOVER). The intervals at one k are Student's, of a share in log-odds (Newcombe 2001).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reachlab.boundary.bootstrap import Floats, Weights, unseen
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.seeds import SeedSpread, satterthwaite

TINY = 1e-9
"""Shares nearer to 0 or 1, and widths below it, are those of problems that all came out the same."""
FARTHEST = 12.0
"""Deviations beyond so many standard errors all count as so many."""
FARTHEST_SHARE = 4.0
"""Half widths from a share to the end of its interval, at most. In log-odds a share that is nearly 0, but not surely
(samples answered again), would end near 1."""
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
        degrees: of freedom of their variance; None: one fewer than are drawn.
    """

    def __init__(
        self,
        mean_K: Floats,
        differing_K: Ints,
        resamples: int,
        drawn: int | None,
        seeds: Sequence[SeedSpread] = (),
        degrees: float | None = None,
    ):
        self._mean_K, self._differing_K, self._drawn, self._seeds = mean_K, differing_K, drawn, seeds
        self._known = np.inf
        if drawn is not None and drawn > 1:
            self._known = drawn - 1 if degrees is None else degrees
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
        return self._ends(q, level)

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """The interval of a difference at each k by itself: (low_K, high_K)."""
        return self._ends(normal(level), level)

    def share_interval(self, level: float) -> tuple[Floats, Floats]:
        """The interval of a share at each k by itself: (low_K, high_K). Its log-odds are what is taken for normal.
        No end is further off than `FARTHEST_SHARE` half widths.

        Where all problems came out the same, it is as wide as what may be unseen among others, so that 0 of 10 is 0 to
        31 %.
        """
        half_K = self._half(np.full(len(self._mean_K), normal(level)))
        inner_K = np.clip(self._mean_K, TINY, 1 - TINY)
        far_K = half_K / (inner_K * (1 - inner_K))
        low_K, high_K = special.expit(special.logit(inner_K) - far_K), special.expit(special.logit(inner_K) + far_K)
        low_K = np.maximum(low_K, self._mean_K - FARTHEST_SHARE * half_K)
        high_K = np.minimum(high_K, self._mean_K + FARTHEST_SHARE * half_K)
        alike_K = half_K <= TINY
        unknown = 0.0 if self._drawn is None else unseen(self._drawn, level)
        low_K = np.where(alike_K, (1 - unknown) * self._mean_K, low_K)
        high_K = np.where(alike_K, self._mean_K + unknown * (1 - self._mean_K), high_K)
        return low_K, high_K

    def p(self, most_B: Weights) -> Floats:
        """How often the largest deviation of all bands together reaches the difference at k: (K,).

        It is at most 1 − level just where the band at that level excludes 0.
        """
        low_K, high_K = np.zeros(len(self._mean_K)), np.full(len(self._mean_K), FARTHEST)
        for _ in range(40):
            z_K = (low_K + high_K) / 2
            inside_K = self._half(z_K) <= np.abs(self._mean_K)
            low_K, high_K = np.where(inside_K, z_K, low_K), np.where(inside_K, high_K, z_K)
        sorted_B = np.sort(most_B)
        reached_K = len(sorted_B) - np.searchsorted(sorted_B, low_K)
        alone_K = 2 * special.ndtr(-low_K)
        found_K: Floats = np.minimum(np.maximum((reached_K + 1) / (len(sorted_B) + 1), alone_K), 1.0)
        return found_K

    def _half(self, z_K: Floats) -> Floats:
        """Half the width at k of the interval with the normal z's own tail: each part's, squared and summed."""
        tail_K = special.ndtr(-z_K)
        squares_K = student(self._known, tail_K) ** 2 * self._variance_K
        if self._seeds:
            variance_K, ν_K = satterthwaite([s.variance_K for s in self._seeds], [s.degrees for s in self._seeds])
            squares_K = squares_K + student(ν_K, tail_K) ** 2 * variance_K
        half_K: Floats = np.sqrt(squares_K)
        return half_K

    def _ends(self, z: float, level: float) -> tuple[Floats, Floats]:
        """The ends of a difference at the normal z's tail: within ±1, and no nearer to 0 than what may differ unseen
        where few problems do. Where all problems came out the same, they are as far off as others' may be unseen."""
        half_K = self._half(np.full(len(self._mean_K), z))
        low_K, high_K = np.maximum(self._mean_K - half_K, -1), np.minimum(self._mean_K + half_K, 1)
        if self._drawn is not None:
            for at in np.flatnonzero(self._differing_K < FEW):
                unknown = unseen(self._drawn, level, int(self._differing_K[at]))
                low_K[at], high_K[at] = min(low_K[at], -unknown), max(high_K[at], unknown)
            alike_K = (half_K <= TINY) & (self._differing_K >= FEW)
            unknown_K = np.where(alike_K, unseen(self._drawn, level), 0.0)
            low_K -= unknown_K * (low_K + 1)
            high_K += unknown_K * (1 - high_K)
        return low_K, high_K


def student(degrees: float | Floats, tail_K: Floats) -> Floats:
    """Student's quantile with so much beyond it, normal where the degrees of freedom are infinite: (K,)."""
    ν_K = np.broadcast_to(np.asarray(degrees, np.float64), tail_K.shape)
    normal_K = -special.ndtri(tail_K)
    found_K: Floats = np.where(np.isinf(ν_K), normal_K, -special.stdtrit(np.where(np.isinf(ν_K), 1.0, ν_K), tail_K))
    return found_K


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
