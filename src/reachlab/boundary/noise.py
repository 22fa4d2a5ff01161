"""Resampling samples, not only problems: what if the same problems had been answered again?

Each problem's pass rate p* is drawn from what its c of n right samples leave open (`rates`), its right samples anew,
c* ~ Binomial(n, p*), and pass@k(n, c*) − (1 − (1 − p*)^k) is the sampling noise of one problem: an estimate less what
it estimates. Had p* been c / n, a problem with none right could never show one, and at k = n, where such problems
decide, intervals would hold the truth in 59 to 80 of 100 cases.

    over="problems"   other problems like these: noise is inside, for each was answered with noise (the default)
    over="samples"    these very problems, answered again
    over="both"       problems are drawn, and each drawn one is answered again: wider than it need be

A sum over problems of that noise is a product of counts (how often each c*, and each p*, came up) and the tables of
pass@k for every c and p, so the resamples stay the one matrix product of `bootstrap`, with more rows.

Source: the nested bootstrap of Davison and Hinkley 1997, section 3.8; Miller 2024 (arXiv 2411.00640) for the two
questions. Where problems differ in n, noise is that of the smallest n: no less than it is.
"""

from typing import Literal

import numpy as np

from reachlab.boundary.bootstrap import CHUNK_ROWS, Floats, Weights
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.rates import POINTS, Rates
from reachlab.errors import ReachlabError

Over = Literal["problems", "samples", "both"]

LARGEST = 1 << 31
"""Bytes that one model's redrawn counts may take."""


class Noise:
    """One run's redrawn samples: rows to sum beside the problems' values, and how often each counts.

    Args:
        outcomes: the run's.
        weights_BP: how often each problem is drawn, whole numbers; each time it is answered anew.
        seed: of the draws; two runs need different ones.

    Raises:
        ReachlabError: samples drawn adaptively, whose number depends on what came out; or too many to count.
    """

    def __init__(self, outcomes: Outcomes, weights_BP: Weights, seed: int):
        if outcomes.stopping is not None:
            raise ReachlabError(
                f"{outcomes.name} was sampled adaptively: its samples cannot be drawn again as if their number had "
                "been fixed; resample over problems"
            )
        self.n = n = int(outcomes.n_P.min())
        columns = n + 1 + POINTS + 2
        if 4 * len(weights_BP) * columns > LARGEST:
            raise ReachlabError(
                f"{outcomes.name}: {len(weights_BP):,} resamples of {n:,} samples a problem take "
                f"{4 * len(weights_BP) * columns / 1e9:.0f} GB; ask for fewer resamples, or resample over problems"
            )
        self.rates = Rates(outcomes)
        rng = np.random.default_rng([seed, 2])
        self.counts_BX = np.empty((len(weights_BP), columns), np.float32)
        """How often each c* = 0 ... n, and behind them each p* of the grid, came up in each resample."""
        for start in range(0, len(weights_BP), CHUNK_ROWS):
            block_BP = weights_BP[start : start + CHUNK_ROWS].astype(np.int64)
            rows, problems = np.nonzero(block_BP)
            times = block_BP[rows, problems]
            rate_N = self.rates.draw(np.repeat(problems, times), rng)
            right_N = rng.binomial(n, self.rates.values_G[rate_N])
            first_N = np.repeat(rows, times) * columns
            place = np.concatenate([first_N + right_N, first_N + n + 1 + rate_N])
            counts = np.bincount(place, minlength=len(block_BP) * columns)
            self.counts_BX[start : start + CHUNK_ROWS] = counts.reshape(-1, columns)

    def table(self, ks: Ints) -> Floats:
        """pass@k of c = 0 ... n right samples, and less that of each p of the grid: (X, K)."""
        estimated = pass_at_k(np.full(self.n + 1, self.n), np.arange(self.n + 1), ks)
        with np.errstate(divide="ignore"):
            true = np.expm1(ks * np.log1p(-self.rates.values_G)[:, None])
        return np.concatenate([estimated, true])
