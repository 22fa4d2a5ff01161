"""The models of a comparison and its pairs, resampled and tested as one family.

Each mean, a model's pass@k or a pair's difference, gets an interval at each k (`bands`). All pairs share one q of their
bands and one largest z of every flip (`signflip`), so that the words about all of them together are wrong in at most
1 − level.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bands import Band, critical, largest
from reachlab.boundary.bootstrap import Floats, Weights
from reachlab.boundary.cluster_mean import Clusters
from reachlab.boundary.comparison import Pair
from reachlab.boundary.coverage import coverage
from reachlab.boundary.crossing import Crossings
from reachlab.boundary.curve import Curve
from reachlab.boundary.gap import Gap, sampling_efficiency_gap
from reachlab.boundary.noise import Over
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.resampled import Resampled
from reachlab.boundary.seeds import SeedSpread
from reachlab.boundary.signflip import Flips, even, flip, random_signs
from reachlab.boundary.verdict import Difference, surely, verdict


class Family:
    """The models, on the same problems, each with a scored sample of every run.

    Args:
        models, clusters, resamples, level, over, seed: as of `compare`.
        ks: the values of k, ascending.
    """

    def __init__(
        self,
        models: Sequence[Recipe],
        clusters: Clusters,
        ks: Ints,
        *,
        resamples: int,
        level: float,
        over: Over,
        seed: int,
    ):
        self.models, self.clusters, self.ks, self.level, self.seed = models, clusters, ks, level, seed
        self.drawn = Resampled(models, clusters, resamples, over, seed)
        each = [model.tables(ks) for model in models]
        self.tables = [table_RPK.mean(axis=0) for table_RPK in each]
        self.spreads = [self.drawn.spread(i, table_RPK, seed) for i, table_RPK in enumerate(each)]

    def compare(
        self, pairs: Sequence[tuple[int, int]], gap_k: int, same_within: float
    ) -> tuple[list[Curve], list[Pair]]:
        """Every model's curve, and every pair of positions (model, base)."""
        curves = [_Mean(self, table_PK, [spread]) for table_PK, spread in zip(self.tables, self.spreads, strict=True)]
        differences = [
            _Difference(self, self.tables[i] - self.tables[j], [self.spreads[i], self.spreads[j]]) for i, j in pairs
        ]
        for rows, means in self.drawn.blocks(self.tables, self.ks):
            for (i, j), difference in zip(pairs, differences, strict=True):
                difference.add(rows, means[i] - means[j])
            for curve, means_KB in zip(curves, means, strict=True):
                curve.add(rows, means_KB)
        flips = [self._flips(i, j) for i, j in pairs]
        found = [
            self._pair(i, j, difference, p_K, gap_k, same_within, alone=len(pairs) == 1)
            for (i, j), difference, p_K in zip(pairs, differences, self._p(differences, flips), strict=True)
        ]
        shown = [Curve(self.ks, c.values_K, *c.band.share_interval(self.level), self.level) for c in curves]
        return shown, found

    def _p(self, differences: "Sequence[_Difference]", flips: Sequence[Flips | None]) -> list[Floats]:
        """Each pair's p-values, and its band, with all pairs looked at."""
        if not differences:
            return []
        bands = [difference.band for difference in differences]
        q, most_B = critical(bands, self.level), largest(bands)
        most_flipped_B = np.max([f.most_B for f in flips if f is not None] or [np.zeros(1, np.float32)], axis=0)
        found = []
        for difference, flipped in zip(differences, flips, strict=True):
            difference.edges = difference.band.edges(q, self.level)
            if difference.several or self.drawn.fixed:
                # Signs are flipped by problem, and neither seeds nor these very problems' samples are problems.
                found.append(difference.band.p(most_B))
            else:
                difference.tested = flipped is not None
                found.append(np.ones(len(self.ks)) if flipped is None else flipped.p(most_flipped_B))
        return found

    def _pair(
        self,
        model: int,
        base: int,
        mean: "_Difference",
        p_K: Floats,
        gap_k: int,
        same_within: float,
        *,
        alone: bool,
    ) -> Pair:
        sets = coverage(
            self.models[base].pooled, self.models[model].pooled, self.level, pooled=mean.several, seed=self.seed
        )
        if sets.mid_p is not None and not self.clusters.single:
            sets = replace(sets, mid_p=None)  # it takes every problem for itself
        if sets.mid_p is not None and alone and not self.drawn.fixed:
            p_K = np.full(len(self.ks), sets.mid_p)  # one sample of each: the sign-flip test is McNemar's
        low_K, high_K = mean.band.interval(self.level)
        difference = Difference(
            x=self.ks,
            values=mean.values_K,
            low=low_K,
            high=high_K,
            level=self.level,
            band=mean.edges,
            p=p_K,
            differing=mean.differing_K,
            sign=surely(*mean.edges, p_K, self.level),
            unit="problem" if self.clusters.single else "cluster",
            tested=mean.tested,
        )
        crossing = mean.crossings.result(mean.values_K, self.ks, self.level, self.drawn.drawn)
        return Pair(
            name=self.models[model].name,
            base=self.models[base].name,
            difference=difference,
            crossing=crossing,
            coverage=sets,
            gap=self._gap(base, model, gap_k),
            verdict=verdict(self.ks, difference, crossing, same_within),
        )

    def _flips(self, model: int, base: int) -> Flips | None:
        """The sign-flip test's, on as many samples of both; None where such a pair has none."""
        if self.drawn.fixed or self.spreads[model] is not None or self.spreads[base] is not None:
            return None
        pair = even(self.models[model].runs[0], self.models[base].runs[0], self.seed)
        if pair is None:
            return None
        difference_PK = pair[0].pass_at_k(self.ks) - pair[1].pass_at_k(self.ks)
        return flip(self.clusters.sums(difference_PK), self._signs)

    @cached_property
    def _signs(self) -> Weights:
        return random_signs(self.clusters.count, self.drawn.resamples, self.seed)

    def _gap(self, base: int, trained: int, k: int) -> Gap:
        """ΔSE at k, or at the common n where that is less."""
        k = min(k, *(model.largest_k for model in self.models))
        reach_P, reach_B = self.drawn.means_at(base, k)
        single_P, single_B = self.drawn.means_at(trained, 1)
        spreads = [self.drawn.spread(i, self.models[i].tables([at]), self.seed) for i, at in ((base, k), (trained, 1))]
        mean = _Mean(self, (reach_P - single_P)[:, None], spreads)
        mean.add(slice(0, 1), (reach_B - single_B)[None])
        low_K, high_K = mean.band.interval(self.level)
        value = sampling_efficiency_gap(float(reach_P.mean()), float(single_P.mean()))
        return Gap(k, value, float(low_K[0]), float(high_K[0]))


class _Mean:
    """A mean over problems at each k."""

    def __init__(self, family: Family, values_PK: Floats, spreads: Sequence[SeedSpread | None]):
        drawn = family.drawn
        self.spreads = [spread for spread in spreads if spread is not None]
        self.values_K: Floats = values_PK.mean(axis=0)
        self.differing_K: Ints = drawn.differing(values_PK)
        self.band = Band(
            self.values_K, self.differing_K, drawn.resamples, drawn.drawn, self.spreads, family.clusters.degrees
        )

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled means of some rows of K."""
        self.band.add(rows, means_KB)


class _Difference(_Mean):
    """A pair's difference: besides, its band's edges and where it crosses."""

    edges: tuple[Floats, Floats]
    """Once all pairs have been looked at."""
    tested = True
    """False once there is no sign-flip test."""

    def __init__(self, family: Family, values_PK: Floats, spreads: Sequence[SeedSpread | None]):
        super().__init__(family, values_PK, spreads)
        self.several = bool(self.spreads)
        self.crossings = Crossings(family.drawn.resamples)

    def add(self, rows: slice, means_KB: NDArray[np.float32]) -> None:
        """Take the resampled differences of some rows of K."""
        super().add(rows, means_KB)
        for spread in self.spreads:
            means_KB = means_KB + spread.off_KR[rows].astype(np.float32) @ spread.stretched_RB
        self.crossings.add(rows, means_KB)
