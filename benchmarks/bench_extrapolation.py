"""pass@1024 from 64 samples a problem: how far off, against log-log regression, and what parts of the estimate give.

Populations of success probabilities are betas with and without a share of impossible problems, and others that no beta
is. Truth is the expected pass@1024 of the very problems that were sampled. Two limits:

- *floor*: who knows the population exactly (its posterior mean) is still off by this: nobody can know which of the
  unsolved problems these are.
- *limit*: who knows that it is a zero-inflated beta, and where z = 0 that it is, but must estimate the rest, is off by
  this at least, asymptotically (Cramér-Rao on top of the floor).

The peer is the log-log regression of pass@k for k = 1, 2, 4, ..., 64, in both of its common forms: log(−log pass@k) on
log k (the power law of Brown et al. 2024, arXiv 2407.21787), and log pass@k on log k.

Run: python benchmarks/bench_extrapolation.py [--replicates 100] [--problems 500] [--intervals 40]
--intervals N also asks `extrapolate` itself N times a population: how often its 95 % interval holds the truth, how
often it trusts itself, and how far off it is then. About a second each.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, xlog1py, xlogy

from reachlab.boundary.averaged_fit import MODELS, AveragedFit, Unknown, fit_average
from reachlab.boundary.extrapolation import extrapolate
from reachlab.boundary.mixture_fit import Pairs, derivatives, log_mixture
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from timing import cpu

Floats = NDArray[np.float64]
SAMPLES, K = 64, 1024
GRID = np.concatenate([[0.0], np.geomspace(1e-6, 0.999, 200), [1.0]])
"""Where the nonparametric maximum likelihood puts its masses."""


Draw = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, slots=True)
class Population:
    """A name, a way to draw P success probabilities, and z, a, b where it is a zero-inflated beta."""

    name: str
    draw: Draw
    beta: tuple[float, float, float] | None = None


def zeros(draw: Draw, share: float) -> Draw:
    return lambda rng, p: draw(rng, p) * (rng.random(p) >= share)


def beta(a: float, b: float) -> Draw:
    return lambda rng, p: rng.beta(a, b, p)


def normal(mean: float, deviation: float) -> Draw:
    return lambda rng, p: expit(rng.normal(mean, deviation, p))


def points(at: tuple[float, ...], shares: tuple[float, ...]) -> Draw:
    return lambda rng, p: rng.choice(at, p=shares, size=p)


def easy_and_hard(rng: np.random.Generator, p: int) -> Floats:
    return np.where(rng.random(p) < 0.5, rng.beta(8, 2, p), rng.beta(0.5, 10, p))


POPULATIONS = [
    Population(f"beta({a:g}, {b:g})" + (f" + {z:.0%} impossible" if z else ""), zeros(beta(a, b), z), (z, a, b))
    for a, b in ((0.3, 3), (0.5, 5), (0.2, 1), (1, 10), (0.3, 0.3))
    for z in (0.0, 0.2)
] + [
    Population("points 0.01, 0.3", points((0.01, 0.3), (0.5, 0.5))),
    Population("points 0, 0.002, 0.5", points((0, 0.002, 0.5), (0.2, 0.24, 0.56))),
    Population("logit-normal(-3, 2)", normal(-3, 2)),
    Population("logit-normal(-3, 2) + 20% impossible", zeros(normal(-3, 2), 0.2)),
    Population("logit-normal(-5, 2)", normal(-5, 2)),
    Population("logit-normal(-1, 3)", normal(-1, 3)),
    Population("easy and hard", easy_and_hard),
    Population("easy and hard + 10% impossible", zeros(easy_and_hard, 0.1)),
    Population("beta(0.5, 5) + 30% certain", lambda rng, p: np.where(rng.random(p) < 0.3, 1.0, rng.beta(0.5, 5, p))),
]


def solved(p: Floats) -> Floats:
    chance: Floats = -np.expm1(K * np.log1p(-np.minimum(p, 1 - 1e-15)))
    return chance


PAIRS = Pairs(np.full(SAMPLES + 1, SAMPLES), np.arange(SAMPLES + 1))
UNKNOWN = Unknown.of(PAIRS, np.array([K]), stopped=False)


def floor(population: Population, counts_RU: Floats, rng: np.random.Generator) -> Floats:
    """The posterior mean under the true population, from two million draws of it: (R,)."""
    p = population.draw(rng, 2_000_000)
    c = rng.binomial(SAMPLES, p)
    seen_U = np.bincount(c, minlength=SAMPLES + 1)
    mean_U = np.bincount(c, solved(p), minlength=SAMPLES + 1) / np.maximum(seen_U, 1)
    estimate: Floats = counts_RU @ mean_U / counts_RU.sum(axis=1)
    return estimate


def limit(population: Population, floor_R: Floats, problems: int) -> float:
    """The mean absolute error of an efficient estimate of z, a, b (of a, b where z = 0), on top of the floor's."""
    assert population.beta
    z, a, b = population.beta
    theta = np.array([z, np.log(a / b), np.log(a + b)])
    _, whole_BU = log_mixture(theta[None], PAIRS)
    chance_U = np.exp(whole_BU[0])
    free = slice(0 if z else 1, 3)
    information = np.zeros((3, 3))
    for u, chance in enumerate(chance_U):
        score = derivatives(theta[None], PAIRS, np.eye(len(chance_U))[[u]])[1][0]
        information += problems * chance * np.outer(score, score)

    def prediction(at: Floats) -> float:
        only = AveragedFit(PAIRS, chance_U[None], [at[None]], np.ones((1, 1)))
        return float(only.mean(UNKNOWN)[0, 0])

    steps = 1e-4 * np.eye(3)[free]
    slope = np.array([(prediction(theta + step) - prediction(theta - step)) / 2e-4 for step in steps])
    variance = slope @ np.linalg.solve(information[free, free], slope) + (floor_R**2).mean()
    return float(np.sqrt(variance * 2 / np.pi))


def nonparametric(counts_RU: Floats) -> Floats:
    """Posterior mean under the nonparametric maximum likelihood (EM on a grid): (R,)."""
    c = np.arange(SAMPLES + 1)
    ways = gammaln(SAMPLES + 1) - gammaln(c + 1) - gammaln(SAMPLES - c + 1)
    chance_GU = np.exp(ways + xlogy(c, GRID[:, None]) + xlog1py(SAMPLES - c, -GRID[:, None]))
    weight_RG = np.full((len(counts_RU), len(GRID)), 1 / len(GRID))
    share_RU = counts_RU / counts_RU.sum(axis=1, keepdims=True)
    for _ in range(1000):
        weight_RG *= (share_RU / np.maximum(weight_RG @ chance_GU, 1e-300)) @ chance_GU.T
    predicted_RU = (weight_RG * solved(GRID)) @ chance_GU / np.maximum(weight_RG @ chance_GU, 1e-300)
    estimate: Floats = (share_RU * predicted_RU).sum(axis=1)
    return estimate


def regressions(counts_RU: Floats) -> tuple[Floats, Floats]:
    """log(−log pass@k) on log k, and log pass@k on log k."""
    ks = 2 ** np.arange(7)
    table_UK = pass_at_k(np.full(SAMPLES + 1, SAMPLES), np.arange(SAMPLES + 1), ks)
    curve_RK = counts_RU @ table_UK / counts_RU.sum(axis=1, keepdims=True)
    power, plain = np.empty((2, len(curve_RK)))
    for i, curve_K in enumerate(curve_RK):
        below = curve_K < 1
        slope, at = np.polyfit(np.log(ks[below]), np.log(-np.log(curve_K[below])), 1)
        power[i] = np.exp(-np.exp(at + slope * np.log(K)))
        slope, at = np.polyfit(np.log(ks), np.log(curve_K), 1)
        plain[i] = min(1.0, np.exp(at + slope * np.log(K)))
    return power, plain


def simulate(population: Population, problems: int, replicates: int, seed: int) -> dict[str, Floats]:
    """Errors of each estimate on each replicate."""
    rng = np.random.default_rng(seed)
    p_RP = np.array([population.draw(rng, problems) for _ in range(replicates)])
    c_RP = rng.binomial(SAMPLES, p_RP)
    truth_R = solved(p_RP).mean(axis=1)
    counts_RU = np.array([np.bincount(c_P, minlength=SAMPLES + 1) for c_P in c_RP]).astype(np.float64)
    average = fit_average(PAIRS, counts_RU)
    found = {"ours": average.mean(UNKNOWN)[:, 0]}
    for m, (components, zero) in enumerate(MODELS):
        only = AveragedFit(PAIRS, counts_RU, average.theta_MBQ, np.eye(len(MODELS))[[m] * replicates])
        found[f"{components} beta{'s' * (components > 1)}{', z' * zero}"] = only.mean(UNKNOWN)[:, 0]
    found["NPMLE"] = nonparametric(counts_RU)
    found["log(-log)-log"], found["log-log"] = regressions(counts_RU)
    found["floor"] = floor(population, counts_RU, rng)
    errors = {name: value_R - truth_R for name, value_R in found.items()}
    fits = [average.fits(r) for r in range(replicates)]
    fitted_R = np.array([sum(one.weight * one.fit.pass_at_k([K])[0] for one in four) for four in fits])
    return errors | {"population": fitted_R - solved(population.draw(rng, 2_000_000)).mean()}


def ask(population: Population, problems: int, times: int) -> tuple[int, int, int, list[float], list[float]]:
    """`extrapolate` itself: intervals that hold the very problems' truth and the population's, trusted, errors."""
    rng = np.random.default_rng(7)
    whole = solved(population.draw(rng, 2_000_000)).mean()
    very = of_population = trusted = 0
    errors: dict[bool, list[float]] = {True: [], False: []}
    for i in range(times):
        p_P = population.draw(rng, problems)
        n_P, c_P = np.full(problems, SAMPLES), rng.binomial(SAMPLES, p_P)
        ids = tuple(map(str, range(problems)))
        found = extrapolate(Outcomes("m", ids, n_P, c_P, np.zeros(problems, np.int64)), [K], seed=i)
        truth = solved(p_P).mean()
        very += bool(found.low[0] <= truth <= found.high[0])
        of_population += bool(found.low[0] <= whole <= found.high[0])
        trusted += found.trusted
        errors[found.trusted].append(abs(found.values[0] - truth))
    return very, of_population, trusted, errors[True], errors[False]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--intervals", type=int, default=0)
    asked = parser.parse_args()
    print(f"{cpu()}; {asked.problems} problems, {SAMPLES} samples, k = {K}, {asked.replicates} replicates")
    print("mean absolute error in points; the last column is the fitted population's against the true population")
    rows: dict[str, dict[str, float]] = {}
    for i, population in enumerate(POPULATIONS):
        errors = simulate(population, asked.problems, asked.replicates, i)
        row = {name: 100 * float(np.abs(e_R).mean()) for name, e_R in errors.items()}
        row["limit"] = 100 * limit(population, errors["floor"], asked.problems) if population.beta else float("nan")
        row["population"] = row.pop("population")
        rows[population.name] = row
        if not i:
            print(f"{'':38}", *(f"{name:>13}" for name in row))
        print(f"{population.name:38}", *(f"{value:13.2f}" for value in row.values()), flush=True)
    for name, chosen in (
        ("mean of the betas", [p.name for p in POPULATIONS if p.beta]),
        ("  none impossible", [p.name for p in POPULATIONS if p.beta and not p.beta[0]]),
        ("  some impossible", [p.name for p in POPULATIONS if p.beta and p.beta[0]]),
        ("mean of the others", [p.name for p in POPULATIONS if not p.beta]),
    ):
        means = {key: float(np.mean([rows[row][key] for row in chosen])) for key in rows[chosen[0]]}
        times = min(means["log(-log)-log"], means["log-log"]) / means["ours"]
        print(f"{name:38}", *(f"{value:13.2f}" for value in means.values()), f"  {times:.1f}x closer than the peer")
    if asked.intervals:
        print(f"\n{asked.intervals} times each: share of 95 % intervals that hold these problems' pass@{K}, and the")
        print("population's; how often it is trusted; mean absolute error in points when it is, and when it is not")
        for population in POPULATIONS:
            very, whole, trusted, good, bad = ask(population, asked.problems, asked.intervals)
            off = [f"{100 * np.mean(errors):5.2f}" if errors else "    –" for errors in (good, bad)]
            shares = (f"{count / asked.intervals:6.0%}" for count in (very, whole, trusted))
            print(f"{population.name:38}", *shares, *off, flush=True)


if __name__ == "__main__":
    main()
