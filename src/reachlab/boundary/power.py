"""How many problems, and samples of each, it takes to see a difference of x points in pass@k between two models.

Over P problems asked of both models, the mean of the paired differences D has variance (B + W(n)) / P. B is how much
the true difference varies from problem to problem; W(n) is sampling, and shrinks as n grows. With q = 1 − p the chance
of a wrong sample, and g = C(n−c, k) / C(n, k), a model's part of W(n) is the mean over problems of

    Var g = Σ_j h(j) (q^{2k−j} − q^{2k}),      h(j) = C(k, j) C(n−k, k−j) / C(n, k),

as two sets of k out of n samples share j of them with chance h(j); for k = 1 it is q (1 − q) / n. C(n−c, m) / C(n, m)
is unbiased for q^m, so W, for whatever n is planned, and B = Var(D) − W are unbiased (until a negative B is set to 0)
as long as 2k is not more than the samples at hand. For larger k q^m is taken from a fitted distribution of p given
(n, c) (`averaged_fit`), on which the answer then stands.

A difference x is found with chance `power` if x = (t + z_power) √((B + W) / P). Found is what a verdict calls sure: the
band over every k has to exclude 0 (`bands`), so that t has the tail of that band's q, which the runs at hand say, and
is Student's with P − 1 degrees of freedom. That is fine for dozens of problems, not for a handful on which the models
differ. B and W are estimates from the runs at hand, so that few problems give a rough plan. One sample of a problem
cannot tell B from W: then the plan is for one sample.

At k = n the estimate is whether any of n samples was right, and half of its variance is noise that k = n / 2 does not
have: it is planned beside.

Source: Miller 2024, *Adding Error Bars to Evals* (arXiv 2411.00640), which has k = 1; the U-statistic's variance is
Hoeffding's (1948), and the estimate of it for pass@k ours.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr, ndtri

from reachlab.boundary.averaged_fit import WeightedFit, fit_average
from reachlab.boundary.bands import Band, critical, student
from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.cluster_mean import Clusters
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import none_right
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.resampled import Resampled
from reachlab.boundary.stopping import Floats
from reachlab.errors import ReachlabError

POINTS = (1.0, 2.0, 5.0, 10.0)
"""Differences asked for unless said otherwise, in percentage points."""
RESAMPLES, LOOKED_AT = 2000, 64
"""Resamples, and values of k, that say how wide the band over every k is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Problems that show each difference with this many samples of each; None samples are as many as you like."""

    samples: int | None
    problems: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerAt:
    """One k. Differences are shares, not points.

    ``between`` and ``within`` are standard deviations of one problem's difference: of its true value over problems,
    and of the sampling of both models; None where there is one sample of a problem, which cannot tell the two apart.
    ``fitted`` says that ``within`` stands on a fitted distribution, as 2k is more than the samples at hand.
    ``detectable`` is the smallest difference that the present runs would show.
    """

    k: int
    difference: float
    between: float | None
    within: float | None
    fitted: bool
    detectable: float
    needed: tuple[Needed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What two runs say of the problems and samples that a difference takes.

    ``samples`` is the fewest of a problem; ``critical`` the standard errors that the band over every k is wide to
    either side, for many problems.
    """

    base: str
    other: str
    problems: int
    samples: int
    points: tuple[float, ...]
    level: float
    power: float
    critical: float
    ks: tuple[PowerAt, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def power_analysis(
    base: Outcomes,
    other: Outcomes,
    ks: Sequence[int] = (),
    points: Sequence[float] = POINTS,
    samples: Sequence[int] = (),
    level: float = 0.95,
    power: float = 0.8,
) -> Power:
    """Plan a comparison from two runs, on the problems of which both have scored samples.

    Args:
        base: one model's outcomes.
        other: the other's.
        ks: values of k; without any, 1, the fewest samples of a problem, and half of these.
        points: differences to show, in percentage points.
        samples: samples of a problem to plan with; without any, a quarter of the present ones, these, and four times
            as many. Those below k are left out.
        level: of the verdict.
        power: the chance to find the difference.

    Raises:
        ReachlabError: two models of one name, fewer than two common problems, k beyond the samples at hand, samples
            drawn adaptively, or a setting that makes no sense.
    """
    for name, share in (("level", level), ("power", power)):
        if not 0 < share < 1:
            raise ReachlabError(f"power: {name}={share} must be between 0 and 1")
    if not points or not all(1e-6 <= x <= 100 for x in points):
        raise ReachlabError(f"power: differences must be above 0 points (1e-6 or more) and at most 100: {list(points)}")
    if any(n < 1 for n in samples):
        raise ReachlabError(f"power: samples={min(samples)} must be 1 or more")
    if base.name == other.name:
        raise ReachlabError(f"power: both models are called {base.name}; it takes two")
    for one in (base, other):
        if one.stopping is not None:
            raise ReachlabError(
                f"power: {one.name} was sampled adaptively, and the variance of that is not planned for here; "
                "plan from runs with a fixed number of samples of every problem"
            )
    both = [o.select(_common(base, other)) for o in (base, other)]
    n = min(o.largest_k for o in both)
    ks = sorted(set(ks)) or sorted({1, max(1, n // 2), n})
    if bad := [k for k in ks if not 1 <= k <= n]:
        raise ReachlabError(f"power: k = {bad[0]} is outside 1 to {n}, the fewest scored samples of a common problem")
    planned = sorted(set(samples)) or sorted({max(1, n // 4), n, 4 * n})
    z = _band_width(both, n, level)
    sides = [_Side(o, 2 * max(ks) > n > 1) for o in both]
    return Power(
        base=base.name,
        other=other.name,
        problems=len(both[0].problem_ids),
        samples=n,
        points=tuple(float(x) for x in points),
        level=level,
        power=power,
        critical=z,
        ks=tuple(_at(both, sides, k, n, planned, [x / 100 for x in points], _Test(z, power)) for k in ks),
    )


def _band_width(both: Sequence[Outcomes], n: int, level: float) -> float:
    """q of the band that a verdict on these two rests on."""
    ks = np.unique(np.geomspace(1, n, LOOKED_AT).round().astype(np.int64))
    clusters = Clusters(len(both[0].problem_ids))
    drawn = Resampled([Recipe.of(o) for o in both], clusters, RESAMPLES, "problems", 0)
    base_PK, other_PK = (o.pass_at_k(ks) for o in both)
    difference_PK = other_PK - base_PK
    band = Band(difference_PK.mean(axis=0), drawn.differing(difference_PK), RESAMPLES, clusters.count)
    for rows, (base_KB, other_KB) in drawn.blocks([base_PK, other_PK], ks):
        band.add(rows, other_KB - base_KB)
    return critical([band], level)


@dataclass(frozen=True, slots=True)
class _Test:
    """What a difference has to reach, in standard errors, to be found with chance `power`."""

    q: float
    power: float

    def errors(self, problems: float) -> float:
        """t + z_power."""
        degrees = max(1.0, problems - 1)
        return float(student(degrees, ndtr(np.array([-self.q])))[0] + ndtri(self.power))

    def problems(self, variance: float, difference: float) -> int:
        """The fewest problems that show the difference."""
        if variance == 0:
            return 1
        found = self.errors(math.inf) ** 2 * variance / difference**2
        for _ in range(50):  # few problems take a larger t, which takes more problems
            found = self.errors(max(found, 2.0)) ** 2 * variance / difference**2
        return max(1, math.ceil(found))


def _common(base: Outcomes, other: Outcomes) -> list[str]:
    theirs = {i for i, n in zip(other.problem_ids, other.n_P, strict=True) if n}
    ids = [i for i, n in zip(base.problem_ids, base.n_P, strict=True) if n and i in theirs]
    if len(ids) < 2:
        raise ReachlabError(
            f"power: {base.name} and {other.name} have scored samples of {len(ids)} common problems; it takes 2 or more"
        )
    return ids


class _Side:
    """One model's outcomes by distinct pair, and the fits that k beyond half of the samples needs."""

    def __init__(self, outcomes: Outcomes, fitted: bool):
        self.pairs, _, counts_U = distinct(outcomes.n_P, outcomes.c_P)
        self.share_U = counts_U / counts_U.sum()
        self.fits: tuple[WeightedFit, ...] = fit_average(self.pairs, counts_U[None]).fits() if fitted else ()

    def within(self, k: int, planned: Sequence[int], fitted: bool) -> Floats:
        """The sampling variance of pass@k: as drawn, then with each of the planned n."""
        chances = {n: overlap_chances(n, k) for n in {*self.pairs.n.tolist(), *planned}}
        found = np.zeros(1 + len(planned))
        for n, c, share in zip(self.pairs.n.tolist(), self.pairs.c.tolist(), self.share_U, strict=True):
            wrong_K = self._wrong(n, c, k, fitted)
            found += share * np.array([chances[m] @ (wrong_K - wrong_K[0]) for m in (n, *planned)])
        return found

    def _wrong(self, n: int, c: int, k: int, fitted: bool) -> Floats:
        """q^m for m = 2k, 2k − 1, ..., k: the chance of m wrong samples, estimated from (n, c)."""
        m_K = np.arange(2 * k, k - 1, -1)
        one = np.array([n]), np.array([c])
        if not fitted:
            unbiased_K: Floats = none_right(*one, m_K)[0]
            return unbiased_K
        wrong_K = np.ones(k + 1)
        for model in self.fits:
            wrong_K -= model.weight * model.fit.posterior_pass_at_k(*one, m_K)[0]
        return wrong_K


def overlap_chances(n: int, k: int) -> Floats:
    """h(j) for j = 0 ... k: the chance that two sets of k out of n share j."""
    j_K = np.arange(k + 1)
    possible_K = j_K >= 2 * k - n
    j = j_K[possible_K]
    log_K = 2 * (gammaln(k + 1) - gammaln(k - j + 1)) - gammaln(j + 1)
    log_K += 2 * gammaln(n - k + 1) - gammaln(n - 2 * k + j + 1) - gammaln(n + 1)
    chance_K = np.zeros(k + 1)
    chance_K[possible_K] = np.exp(log_K)
    return chance_K


def _at(
    both: Sequence[Outcomes],
    sides: Sequence[_Side],
    k: int,
    n: int,
    planned: Sequence[int],
    differences: Sequence[float],
    test: _Test,
) -> PowerAt:
    base_P, other_P = (o.pass_at_k([k])[:, 0] for o in both)
    now = total = float((other_P - base_P).var(ddof=1))
    between, within, fitted = None, None, False
    variances: list[tuple[int | None, float]] = [(1, total)]
    if n > 1:
        fitted = 2 * k > n
        possible = [m for m in planned if m >= k]
        within, *later = np.sum([side.within(k, possible, fitted) for side in sides], axis=0).tolist()
        within = max(0.0, within)
        between = max(0.0, total - within)
        now = between + within
        variances = [*zip(possible, (between + one for one in later), strict=True), (None, between)]
    return PowerAt(
        k=k,
        difference=float((other_P - base_P).mean()),
        between=None if between is None else math.sqrt(between),
        within=None if within is None else math.sqrt(within),
        fitted=fitted,
        detectable=test.errors(len(base_P)) * math.sqrt(now / len(base_P)),
        needed=tuple(
            Needed(samples=m, problems=tuple(test.problems(variance, x) for x in differences))
            for m, variance in variances
        ),
    )
