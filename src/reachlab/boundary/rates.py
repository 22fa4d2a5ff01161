"""How often a model is right on each problem, given what was seen: p's posterior, on a grid.

The prior w over values of p is learned from all problems' counts, whatever shape it has: from w every problem's
posterior is w_g p_g^c (1 − p_g)^(n − c), and from their mean the next w, with a few problems' worth of Jeffreys' law
1 / √(p (1 − p)) among them. So a problem with 0 of n right is not certain to be impossible, nor as hard as a flat prior
would have it, but what problems of this benchmark are that show 0 of n; and what the problems leave open (is it
impossible, or right once in 3 n?) stays open.

Source: Laird 1978, *Nonparametric Maximum Likelihood Estimation of a Mixing Distribution* (the EM iteration); empirical
Bayes, Robbins 1956. The share of Jeffreys' law is ours: without it few problems say too surely what cannot be.
"""

import numpy as np
from scipy.special import expit, logit

from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.stopping import Floats, Ints

POINTS = 240
"""Values of p between impossible and certain, equally far apart in log-odds: neighbours differ by a tenth or less."""
OPEN = 3.0
"""Problems' worth of Jeffreys' law in the prior."""
ITERATIONS = 60
"""The prior then moves no longer by what would be seen in an interval."""


class Rates:
    """The posterior of each problem's p.

    ``values_G`` is the grid; ``weight_UG`` the posterior's weights of each distinct pair (n, c); ``row_P`` says which
    of them a problem has.
    """

    def __init__(self, outcomes: Outcomes):
        pairs, self.row_P, counts_U = distinct(outcomes.n_P, outcomes.c_P)
        farthest = logit(5e-3 / max(1, int(outcomes.n_P.max())))
        inner_G = expit(np.linspace(farthest, -farthest, POINTS))
        self.values_G: Floats = np.concatenate([[0.0], inner_G, [1.0]])
        open_G = np.concatenate([[0.0], np.gradient(np.arcsin(np.sqrt(inner_G))), [0.0]])
        open_G *= OPEN / open_G.sum()
        with np.errstate(divide="ignore"):
            log_UG = _times(pairs.c, np.log(self.values_G))
            log_UG = log_UG + _times(pairs.n - pairs.c, np.log1p(-self.values_G))
        likely_UG = np.exp(log_UG - log_UG.max(axis=1, keepdims=True))
        prior_G = np.full(POINTS + 2, 1 / (POINTS + 2))
        for _ in range(ITERATIONS):
            weight_UG = likely_UG * prior_G
            weight_UG /= weight_UG.sum(axis=1, keepdims=True)
            prior_G = (counts_U @ weight_UG + open_G) / (counts_U.sum() + OPEN)
        self.weight_UG: Floats = weight_UG
        self._cumulative_UG = weight_UG.cumsum(axis=1)

    def draw(self, problems: Ints, rng: np.random.Generator) -> Ints:
        """A position on the grid for each of these problems, by its posterior."""
        rows_N = self.row_P[problems]
        # All rows in one sorted array: row u's weights lie between u and u + 1.
        flat = (self._cumulative_UG + np.arange(len(self._cumulative_UG))[:, None]).reshape(-1)
        at_N = np.searchsorted(flat, rows_N + rng.random(len(rows_N)))
        found: Ints = np.minimum(at_N - rows_N * len(self.values_G), len(self.values_G) - 1)
        return found


def _times(counts_U: Ints, log_G: Floats) -> Floats:
    """counts × log, where 0 × −∞ is 0: (U, G)."""
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(counts_U[:, None] == 0, 0.0, counts_U[:, None] * log_G)
    return found
