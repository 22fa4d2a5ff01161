"""How often a model is right on each problem, given what was seen: p's posterior, on a grid.

The prior is the distribution of p over the problems, fitted to their counts (`averaged_fit`: a share that is never
solved, and one beta or two), put on a grid of values of p. Given c of n right, a value's weight is its prior times
p^c (1 − p)^(n − c). So a problem with 0 of n right is not certain to be impossible, nor as hard as a flat prior would
have it, but what problems of this benchmark are that show 0 of n.

Source: empirical Bayes, Robbins 1956; the fit as in arXiv 2510.05197. The grid is ours.
"""

import numpy as np
from scipy.special import betainc, expit, logit

from reachlab.boundary.averaged_fit import fit_average
from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.stopping import Floats, Ints

POINTS = 240
"""Values of p between impossible and certain, equally far apart in log-odds: neighbours differ by a tenth or less."""


class Rates:
    """The posterior of each problem's p.

    ``values_G`` is the grid; ``cumulative_UG`` the posterior's cumulative weights of each distinct pair (n, c);
    ``row_P`` says which of them a problem has.
    """

    def __init__(self, outcomes: Outcomes):
        pairs, self.row_P, counts_U = distinct(outcomes.n_P, outcomes.c_P)
        farthest = logit(5e-3 / max(1, int(outcomes.n_P.max())))
        edges_E = np.concatenate([[0.0], expit(np.linspace(farthest, -farthest, POINTS + 1)), [1.0]])
        inner_G = expit((logit(edges_E[1:-2]) + logit(edges_E[2:-1])) / 2)
        self.values_G: Floats = np.concatenate([[0.0], inner_G, [1.0]])
        prior_G = np.zeros(len(self.values_G))
        for model in fit_average(pairs, counts_U[None]).fits():
            a_J, b_J = model.fit.alpha[:, None], model.fit.beta[:, None]
            mass_JE = np.diff(betainc(a_J, b_J, edges_E), axis=1)
            prior_G += model.weight * (1 - model.fit.zero) * (model.fit.share @ mass_JE)
            prior_G[0] += model.weight * model.fit.zero
        with np.errstate(divide="ignore"):
            log_UG = np.log(prior_G) + _times(pairs.c, np.log(self.values_G))
            log_UG = log_UG + _times(pairs.n - pairs.c, np.log1p(-self.values_G))
        weight_UG = np.exp(log_UG - log_UG.max(axis=1, keepdims=True))
        self.weight_UG: Floats = weight_UG / weight_UG.sum(axis=1, keepdims=True)
        self._cumulative_UG = self.weight_UG.cumsum(axis=1)

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
