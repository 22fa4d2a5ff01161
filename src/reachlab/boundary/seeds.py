"""Seeds, the second level: how far the mean over R runs of one recipe would move with other seeds.

With m_r(k) the run's own mean over problems and m its mean over runs, V(k) = Σ_r (m_r − m)² / (R (R − 1)), which knows
itself with R − 1 degrees of freedom only. The problems' variance U(k), with G − 1, is added to those of both sides, and
Satterthwaite's ν = (Σ V)² / Σ (V² / ν_V) says which of Student's quantiles the sum takes. What sampling adds to a run's
mean is in U and in V, so that the sum is rather too large.

Source: Satterthwaite 1946, *An Approximate Distribution of Estimates of Variance Components*; Agarwal et al. 2021,
*Deep RL at the Edge of the Statistical Precipice* (arXiv 2108.13264), for the question. Percentiles of three resampled
seeds cover 73 %, not 95 %.
"""

from collections.abc import Sequence

import numpy as np

from reachlab.boundary.bootstrap import Floats


class SeedSpread:
    """How a recipe's mean varies over its R ≥ 2 runs; ``multipliers_RB`` are standard normal, the recipe's own.

    ``off_KR`` are the runs' deviations over √(R (R − 1)): Σ_r off² = V, and off @ multipliers has variance V.
    """

    def __init__(self, values_RPK: Floats, resamples: int, seed: int):
        runs = len(values_RPK)
        self.degrees = runs - 1
        means_RK = values_RPK.mean(axis=1)
        self.off_KR = (means_RK - means_RK.mean(axis=0)).T / (runs * (runs - 1)) ** 0.5
        self.variance_K: Floats = (self.off_KR**2).sum(axis=1)
        rng = np.random.default_rng([seed, 4])
        self.multipliers_RB = rng.normal(size=(runs, resamples)).astype(np.float32)
        # Student's: the same directions, stretched as far as R runs do not know their own spread.
        stretch_B = (self.degrees / rng.chisquare(self.degrees, size=resamples)) ** 0.5
        self.stretched_RB = (self.multipliers_RB * stretch_B).astype(np.float32)


def satterthwaite(variances: Sequence[Floats], degrees: Sequence[float]) -> tuple[Floats, Floats]:
    """The sum of independent variances, (K,), and its degrees of freedom; infinite ones are known exactly."""
    total_K: Floats = np.sum(variances, axis=0)
    parts_K = np.sum([v_K * v_K / ν for v_K, ν in zip(variances, degrees, strict=True)], axis=0)
    ν_K = np.divide(total_K * total_K, parts_K, out=np.full(len(total_K), np.inf), where=parts_K > 0)
    return total_K, ν_K
