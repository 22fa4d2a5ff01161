"""Resampling samples, not only problems: what if the same problems had been answered again?

A problem's c of n right samples are drawn anew, c* ~ Binomial(n, c/n), and pass@k(n, c*) less its mean over such
draws, 1 − (1 − c/n)^k, is the sampling noise of one problem. Taking the mean off keeps the estimate where it is: near
k = n the bootstrap's own mean is far from pass@k(n, c), since a third of the draws miss a problem solved once in n.

    over="problems"   other problems like these: noise is inside, for each was answered with noise (the default)
    over="samples"    these very problems, answered again
    over="both"       problems are drawn, and each drawn one is answered again: wider than it need be

A sum over problems of pass@k(n, c*) is a product of counts (how often each c* came up) and the table of pass@k for
every c, so the resamples stay the one matrix product of `bootstrap`, with more rows.

Source: the nested bootstrap of Davison and Hinkley 1997, section 3.8; Miller 2024 (arXiv 2411.00640) for the two
questions. Where problems differ in n, noise is that of the smallest n: no less than it is.
"""

from typing import Literal

import numpy as np

from reachlab.boundary.bootstrap import CHUNK_ROWS, Floats, Weights
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError

Over = Literal["problems", "samples", "both"]

LARGEST = 1 << 31
"""Bytes that one model's redrawn counts may take."""


class Noise:
    """One model's redrawn samples: rows to put under a table of values, and how often each counts.

    Args:
        outcomes: the model's.
        weights_BP: how often each problem is drawn, whole numbers; each time it is answered anew.
        seed: of the draws; two models need different ones.

    Raises:
        ReachlabError: samples drawn adaptively, whose number depends on what came out; or too many to count.
    """

    def __init__(self, outcomes: Outcomes, weights_BP: Weights, seed: int):
        if outcomes.stopping is not None:
            raise ReachlabError(
                f"{outcomes.name} was sampled adaptively: its samples cannot be drawn again as if their number had "
                "been fixed; resample over problems"
            )
        self.chance_P = outcomes.c_P / outcomes.n_P
        self.n = n = int(outcomes.n_P.min())
        if 4 * len(weights_BP) * (n + 1) > LARGEST:
            raise ReachlabError(
                f"{outcomes.name}: {len(weights_BP):,} resamples of {n:,} samples a problem take "
                f"{4 * len(weights_BP) * (n + 1) / 1e9:.0f} GB; ask for fewer resamples, or resample over problems"
            )
        rng = np.random.default_rng([seed, 2])
        self.counts_BC = np.empty((len(weights_BP), n + 1), np.float32)
        """How often each c* came up in each resample."""
        for start in range(0, len(weights_BP), CHUNK_ROWS):
            block_BP = weights_BP[start : start + CHUNK_ROWS].astype(np.int64)
            rows, problems = np.nonzero(block_BP)
            times = block_BP[rows, problems]
            redrawn = rng.binomial(n, np.repeat(self.chance_P[problems], times))
            place = np.repeat(rows, times) * (n + 1) + redrawn
            counts = np.bincount(place, minlength=len(block_BP) * (n + 1))
            self.counts_BC[start : start + CHUNK_ROWS] = counts.reshape(-1, n + 1)

    def mean(self, ks: Ints) -> Floats:
        """pass@k's mean over redrawn samples, to be taken off the problems' rows: (P, K)."""
        found: Floats = -np.expm1(ks * np.log1p(-np.minimum(self.chance_P, 1 - 1e-16))[:, None])
        return found

    def table(self, ks: Ints) -> Floats:
        """pass@k of c = 0 ... n right samples: (n + 1, K)."""
        return pass_at_k(np.full(self.n + 1, self.n), np.arange(self.n + 1), ks)
