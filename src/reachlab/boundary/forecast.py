"""How many problems will be solved in the end: an interval for the solved set of N samples a problem, after h of them.

Solved problems are known. Of the U others, each may still be solved in its remaining draws. Those unsolved after h_0
draws are taken to have a rate from Beta(a, b), or, a share z of them, 0, so that

    S(t) = z + (1 − z) B(a, b + t) / B(a, b)

of them are unsolved t draws later. What the later looks found says of (a, b, z)

    likelihood = Π_j (S(t_{j−1}) − S(t_j))^{found_j} · S(t_J)^U,

and the problems still to be solved, D | a, b, z ~ Binomial(U, 1 − S(N − h_0) / S(h − h_0)). The interval is that of D
under the posterior of (a, b, z) on a grid: neither the parameters nor the draws are taken as known.

Only the last two octaves are fitted (h_0 is the last look at or before h/4), and the first look never is: a curve with
three parameters fits two octaves of whatever population, where a fit of all counts is ruled by the easy problems and is
too sure of the hard ones. Beyond four times what was drawn nothing is forecast: D is then anything from 0 to U. How
often the interval holds what it says it holds, also where rates are no betas, is in `benchmarks/bench_adaptive.py`.

It does not matter that problems which have enough right samples are no longer drawn: only first right samples are
counted, and their likelihood is the same whatever happens after them. Unscored samples are draws that solve nothing.

Source: ours; the zero-inflated beta-binomial as a model of pass@k is Kazdan et al. 2025 (arXiv 2510.05197).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from reachlab.boundary.stopping import Floats

OCTAVES = 2
"""How far back the fit looks, in doublings of the samples."""
FARTHEST = 4
"""How far ahead a forecast may go, in multiples of the samples."""
SHAPES = np.geomspace(0.05, 20, 16)
"""Of a: from a tail that hardly falls, to problems that are all alike. A priori log a is uniform, and so is log b."""
SCALES = np.geomspace(0.02, 50, 20)
"""Of b, in multiples of h: from problems found long before h to problems found long after."""
IMPOSSIBLE = np.concatenate([[0.0], (np.arange(25) + 0.5) / 25])
IMPOSSIBLE_PRIOR = np.concatenate([[0.5], np.full(25, 0.5 / 25)])
"""Of z: as likely as not, all problems can be solved; otherwise any share is as likely as another."""
BINS = 200
"""Posterior probabilities of being solved are told apart this finely, from 0 to the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The solved set in the end: ``low`` to ``high`` of ``problems``, of which ``solved`` are solved already."""

    problems: int
    solved: int
    low: int
    high: int

    @property
    def width(self) -> float:
        """The interval's width, as a share of the problems."""
        return (self.high - self.low) / self.problems


def forecast_solved(
    looks: Sequence[int], found: Sequence[int], problems: int, last: int, level: float = 0.95
) -> Forecast:
    """Forecast how many of the problems will be solved within `last` draws each.

    Args:
        looks: draws of each unsolved problem at each look so far, ascending; the last entry is h.
        found: how many problems had their first right sample since the look before.
        problems: how many there are, solved or not.
        last: N.
        level: share of the posterior inside the interval, the same outside at either end.
    """
    h, solved = looks[-1], int(sum(found))
    unsolved = problems - solved
    if h >= last or not unsolved:
        return Forecast(problems=problems, solved=solved, low=solved, high=solved)
    if len(looks) < 2 or last > FARTHEST * h:
        return Forecast(problems=problems, solved=solved, low=solved, high=problems)
    start = max(sum(look <= h / 2**OCTAVES for look in looks) - 1, 0)
    chance, weight = _posterior(np.array(looks[start:]), np.array(found[start + 1 :]), unsolved, last)

    outside = (1 - level) / 2
    low, high = (_quantile(share, unsolved, chance, weight) for share in (outside, 1 - outside))
    return Forecast(problems=problems, solved=solved, low=solved + low, high=solved + high)


def _posterior(looks: Floats, found: Floats, unsolved: int, last: int) -> tuple[Floats, Floats]:
    """The chance of an unsolved problem to be solved in its remaining draws: values, and how likely each is."""
    h_0, h = looks[0], looks[-1]
    a, b = (grid.reshape(-1, 1) for grid in np.meshgrid(SHAPES, SCALES * h, indexing="ij"))
    after = np.append(looks, last) - h_0
    # (G, J): the share of the solvable problems that is unsolved at each look, and in the end; 1 at h_0.
    left = np.exp(special.betaln(a, b + after) - special.betaln(a, b))
    newly = np.maximum(left[:, :-2] - left[:, 1:-1], np.finfo(float).tiny)
    still = IMPOSSIBLE + (1 - IMPOSSIBLE) * left[:, -2:-1]
    log_posterior = (
        np.log(newly) @ found[:, None]
        + found.sum() * np.log1p(-IMPOSSIBLE)
        + unsolved * np.log(still)
        + np.log(IMPOSSIBLE_PRIOR)
    )
    weight = np.exp(log_posterior - log_posterior.max()).reshape(-1)
    chance = ((1 - IMPOSSIBLE) * (left[:, -2:-1] - left[:, -1:]) / still).reshape(-1)
    # Thousands of grid points, few of them different in what they say.
    at = np.minimum(chance / max(chance.max(), np.finfo(float).tiny) * BINS, BINS - 1).astype(np.int64)
    sums = np.bincount(at, weight, minlength=BINS)
    means = np.bincount(at, weight * chance, minlength=BINS)[sums > 0] / sums[sums > 0]
    return means, sums[sums > 0] / sums.sum()


def _quantile(share: float, unsolved: int, chance: Floats, weight: Floats) -> int:
    """The smallest d with P(D ≤ d) at least `share`, D being binomial with one of these chances."""
    low, high = 0, unsolved
    while low < high:
        middle = (low + high) // 2
        if weight @ special.bdtr(middle, unsolved, chance) >= share:
            high = middle
        else:
            low = middle + 1
    return low
