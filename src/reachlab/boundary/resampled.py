"""All models of a comparison, resampled together: the same problems, or clusters of them, drawn for every model.

A resample's mean of one model is a row of one matrix product (`bootstrap`), and that of a pair is the difference of two
such rows, so that pairs cost no products of their own. What is told apart is chance over problems, over samples
(`noise`) and over seeds (`seeds`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import CHUNK_ROWS, EQUAL, Floats, Weights, resampling_weights
from reachlab.boundary.cluster_mean import Clusters
from reachlab.boundary.noise import Noise, Over
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.seeds import SeedSpread

Block = tuple[slice, list[NDArray[np.float32]]]
"""Some rows of K, and each model's resampled means there, (rows, B)."""


class Resampled:
    """B resamples of the models' problems.

    Args:
        models: on the same problems, each with a scored sample of every run.
        clusters: of the problems.
        resamples: B. over: what is resampled. seed: of it.
    """

    def __init__(self, models: Sequence[Recipe], clusters: Clusters, resamples: int, over: Over, seed: int):
        self.models, self.clusters, self.resamples = models, clusters, resamples
        self.weights_BG = resampling_weights(clusters.count, resamples, seed)
        self.fixed = over == "samples"
        if self.fixed:
            self.weights_BG = np.ones_like(self.weights_BG)
        self.drawn = None if self.fixed else clusters.count
        self._divisor_B = clusters.drawn(self.weights_BG)
        self._noises: list[list[Noise]] = [[] for _ in models]
        if over != "problems":
            weights_BP = clusters.by_problem(self.weights_BG)
            seeds = iter(range(seed, seed + sum(len(model.runs) for model in models)))
            self._noises = [[Noise(run, weights_BP, next(seeds)) for run in model.runs] for model in models]

    def blocks(self, tables: Sequence[Floats], ks: Ints) -> Iterator[Block]:
        """Each model's resampled means, some rows of K at a time; they are overwritten by the next ones.

        In float32: a mean of values in [−1, 1] is right to about 3e-7.

        Args:
            tables: each model's values, (P, K), at `ks`.
        """
        sums = [np.ascontiguousarray(self.clusters.sums(table_PK).T, np.float32) for table_PK in tables]
        noises = [
            [(noise, np.ascontiguousarray(noise.table(ks).T / len(own), np.float32)) for noise in own]
            for own in self._noises
        ]
        blocks = [np.empty((min(CHUNK_ROWS, len(ks)), self.resamples), np.float32) for _ in tables]
        for start in range(0, len(ks), CHUNK_ROWS):
            rows = slice(start, min(start + CHUNK_ROWS, len(ks)))
            means = []
            for sums_KG, own, block_KB in zip(sums, noises, blocks, strict=True):
                means_KB = np.matmul(sums_KG[rows], self.weights_BG.T, out=block_KB[: rows.stop - rows.start])
                for noise, table_KX in own:
                    means_KB += table_KX[rows] @ noise.counts_BX.T
                means_KB /= self._divisor_B
                means.append(means_KB)
            yield rows, means

    def differing(self, difference_PK: Floats) -> Ints:
        """How many clusters differ at each k: (K,)."""
        found: Ints = np.count_nonzero(self.clusters.sums(np.abs(difference_PK)) > EQUAL, axis=0)
        return found

    def means_at(self, model: int, k: int) -> tuple[Floats, Weights]:
        """One model's values at one k, (P,), and its resampled means, (B,)."""
        at = np.array([k])
        value_P1 = self.models[model].tables(at).mean(axis=0)
        sums_G = self.clusters.sums(value_P1)[:, 0].astype(np.float32)
        means_B = self.weights_BG @ sums_G
        own = self._noises[model]
        for noise in own:
            means_B += noise.counts_BX @ (noise.table(at)[:, 0] / len(own)).astype(np.float32)
        return value_P1[:, 0], means_B / self._divisor_B

    def spread(self, model: int, values_RPK: Floats, seed: int) -> SeedSpread | None:
        """How a model's mean varies over its runs; None where there is one."""
        return None if len(values_RPK) < 2 else SeedSpread(values_RPK, self.resamples, seed + model)
