"""pass@k of these very problems from few samples: a posterior, for counts that no bootstrap can make anything of.

p of a problem is drawn from Beta(μ s, (1 − μ) s), and what μ and s are is as open as p: every μ is a priori as likely
as another, and log s is uniform. Given c of n right, E[(1 − p)^k] = B(a + c, b + n − c + k) / B(a + c, b + n − c). The
mean over problems of 1 − (1 − p)^k then has a mean and a variance in closed form for each (μ, s); they are averaged
over the posterior of (μ, s), and the interval is that of the beta distribution with these two moments, so that it stays
within 0 and 1 and 0 of 10 is no 0.0 to 0.0.

Source: Hariri et al. 2025, *Don't Pass@k: A Bayesian Framework for Large Language Model Evaluation* (arXiv 2510.04265),
Bayes@N. Where we depart: they give every problem a flat prior, which at one sample a problem moves 10 % to 37 %; here
the prior is learned from all problems (Gelman et al., *Bayesian Data Analysis*, chapter 5).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, expit, gammaln, log_expit, logit

from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.curve import Curve
from reachlab.boundary.mixture_fit import Pairs
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.stopping import Floats

MOST_SAMPLES = 16
"""Few, in `compare`: with more samples of every problem resampled ones (`noise`) say the same."""
MEANS, SIZES = 60, 13
"""Points of the grid over μ, equally far apart in log-odds, and over s, in logarithms."""
LIMITS = (logit(1e-7), logit(1 - 1e-7)), (np.log(0.1), np.log(100.0))
REFINED = 4
"""Times that the grid is laid anew over where the posterior is: of thousands of problems it is narrow."""
UNLIKELY = 1e-6
"""Points that are so much less likely than the likeliest are outside."""


def posterior_pass_at_k(outcomes: Outcomes, ks: Ints, level: float = 0.95) -> Curve:
    """The posterior mean of pass@k on these problems, whatever samples are drawn next, and an interval that holds
    `level` of it; samples drawn adaptively are as good as others."""
    pairs, _, counts_U = distinct(outcomes.n_P, outcomes.c_P)
    weight_H, a_HU, b_HU = _grid(pairs, counts_U)
    problems = counts_U.sum()
    whole_HU = gammaln(a_HU + b_HU) - gammaln(b_HU)

    def failing(k: int) -> Floats:
        """E[(1 − p)^k]: (H, U)."""
        found: Floats = np.exp(whole_HU + gammaln(b_HU + k) - gammaln(a_HU + b_HU + k))
        return found

    values_K, low_K, high_K = np.empty((3, len(ks)))
    for at, k in enumerate(ks.tolist()):
        once_HU = failing(k)
        solved_H = 1 - (once_HU @ counts_U) / problems
        spread_H = ((failing(2 * k) - once_HU**2) @ counts_U) / problems**2
        value = float(weight_H @ solved_H)
        variance = float(weight_H @ (spread_H + (solved_H - value) ** 2))
        size = max(value * (1 - value) / max(variance, 1e-300) - 1, 1e-6)
        values_K[at] = value
        low_K[at], high_K[at] = betaincinv(
            value * size, (1 - value) * size, np.array([(1 - level) / 2, (1 + level) / 2])
        )
    return Curve(ks, values_K, low_K, high_K, level)


def _grid(pairs: Pairs, counts_U: Floats) -> tuple[Floats, Floats, Floats]:
    """The posterior's weights of each (μ, s) on a grid, (H,), and a + c and b + n − c there, (H, U)."""
    (low_μ, high_μ), (low_s, high_s) = LIMITS
    for left in reversed(range(REFINED + 1)):
        at_μ, at_s = np.linspace(low_μ, high_μ, MEANS), np.linspace(low_s, high_s, SIZES)
        odds_H, size_H = (x.reshape(-1, 1) for x in np.meshgrid(at_μ, np.exp(at_s), indexing="ij"))
        a_H, b_H = size_H * expit(odds_H), size_H * expit(-odds_H)
        a_HU, b_HU = a_H + pairs.c, b_H + (pairs.n - pairs.c)
        log_H = ((betaln(a_HU, b_HU) - betaln(a_H, b_H)) * counts_U).sum(axis=1)
        # μ is uniform, and the grid is not: dμ = μ (1 − μ) d log-odds.
        log_H += (log_expit(odds_H) + log_expit(-odds_H))[:, 0]
        weight_H = np.exp(log_H - log_H.max())
        if left:
            likely_MS = (weight_H > UNLIKELY).reshape(MEANS, SIZES)
            low_μ, high_μ = _around(at_μ, likely_MS.any(axis=1))
            low_s, high_s = _around(at_s, likely_MS.any(axis=0))
    return weight_H / weight_H.sum(), a_HU, b_HU


def _around(points: Floats, likely: NDArray[np.bool_]) -> tuple[float, float]:
    """From the point before the first likely one to the point after the last."""
    first, last = np.flatnonzero(likely)[[0, -1]]
    return float(points[max(0, first - 1)]), float(points[min(len(points) - 1, last + 1)])
