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

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reachlab.boundary.bootstrap import CHUNK_ROWS, Floats, Weights
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError

Over = Literal["problems", "samples", "both"]


@dataclass(frozen=True, eq=False)
class Noise:
    """One model's redrawn samples: rows to put under a table of values, and how often each counts."""

    mean_PK: Floats
    """pass@k's mean over redrawn samples, to be taken off the problems' rows."""
    table_CK: Floats
    """pass@k of c = 0 ... n right samples."""
    counts_BC: Weights


def sampling_noise(outcomes: Outcomes, ks: Ints, weights_BP: Weights, seed: int) -> Noise:
    """Redraw a model's samples in every resample.

    Args:
        outcomes: the model's; ks: the values of k, up to its smallest n.
        weights_BP: how often each problem is drawn, whole numbers; each time it is answered anew.
        seed: of the draws; two models need different ones.

    Raises:
        ReachlabError: samples drawn adaptively, whose number depends on what came out.
    """
    if outcomes.stopping is not None:
        raise ReachlabError(
            f"{outcomes.name} was sampled adaptively: its samples cannot be drawn again as if their number had been "
            "fixed; resample over problems"
        )
    rng = np.random.default_rng([seed, 2])
    chance_P = outcomes.c_P / outcomes.n_P
    n = int(outcomes.n_P.min())
    counts_BC = np.empty((len(weights_BP), n + 1), np.float32)
    for start in range(0, len(weights_BP), CHUNK_ROWS):
        block_BP = weights_BP[start : start + CHUNK_ROWS].astype(np.int64)
        rows, problems = np.nonzero(block_BP)
        times = block_BP[rows, problems]
        redrawn = rng.binomial(n, np.repeat(chance_P[problems], times))
        place = np.repeat(rows, times) * (n + 1) + redrawn
        counts_BC[start : start + CHUNK_ROWS] = np.bincount(place, minlength=len(block_BP) * (n + 1)).reshape(-1, n + 1)
    mean_PK = -np.expm1(ks * np.log1p(-np.minimum(chance_P, 1 - 1e-16))[:, None])
    return Noise(mean_PK, pass_at_k(np.full(n + 1, n), np.arange(n + 1), ks), counts_BC)
