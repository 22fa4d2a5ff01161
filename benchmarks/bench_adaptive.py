"""Adaptive against uniform sampling: samples for the same interval of the solved set, its coverage, bias of pass@k.

Runs are simulated from known rates, and decided by the code that decides real runs. Uniform sampling has the same
forecast, and may stop at twice as many places. The ratio is uniform's samples over the adaptive run's, mean and range
over simulations. Run: python benchmarks/bench_adaptive.py
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.forecast import Forecast, forecast_solved
from reachlab.boundary.outcomes import Outcomes
from reachlab.store.adaptive import AdaptivePlan, Ledger, Look, choose_looks, ending
from timing import machine

PROBLEMS, RUNS = 500, 200
WIDTHS = (None, 0.1, 0.05, 0.02)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rng = np.random.Generator

POPULATIONS: dict[str, Callable[[Rng], Floats]] = {
    "beta(0.3, 3)": lambda rng: rng.beta(0.3, 3, PROBLEMS),
    "20 % impossible": lambda rng: rng.beta(0.3, 3, PROBLEMS) * (rng.random(PROBLEMS) < 0.8),
    "40 % impossible": lambda rng: rng.beta(0.3, 3, PROBLEMS) * (rng.random(PROBLEMS) < 0.6),
    "hard, 50 % impossible": lambda rng: rng.beta(0.3, 8, PROBLEMS) * (rng.random(PROBLEMS) < 0.5),
    "easy, beta(1.2, 1.2)": lambda rng: rng.beta(1.2, 1.2, PROBLEMS),
    "log-normal odds": lambda rng: 1 / (1 + np.exp(-rng.normal(-4, 2.5, PROBLEMS))),
    "half easy, half hard": lambda rng: np.where(
        rng.random(PROBLEMS) < 0.5, rng.beta(8, 2, PROBLEMS), rng.beta(0.3, 30, PROBLEMS)
    ),
}
"""The last two are no zero-inflated betas, which the forecast's formula is made of."""


@dataclass(frozen=True)
class Run:
    """How a simulated run ended: samples drawn, its last forecast, its last look, and its outcomes."""

    drawn: int
    solved: Forecast
    look: int
    outcomes: Outcomes | None = None


def fine(looks: tuple[int, ...]) -> tuple[int, ...]:
    """Looks and the numbers half way between them."""
    between = [(a + b) // 2 for a, b in pairwise(looks)]
    return tuple(sorted({*looks, *between}))


def adaptive(plan: AdaptivePlan, grid: tuple[int, ...], right_PX: Ints) -> Run:
    """The run that the plan makes of right samples counted along a finer grid."""
    at = np.searchsorted(grid, plan.looks)
    right_PJ = np.diff(right_PX.cumsum(axis=1)[:, at], axis=1, prepend=0)
    sizes = np.diff(plan.looks, prepend=0)
    ledger = Ledger(plan, PROBLEMS)
    looks: list[Look] = []
    while not ending(plan, looks):
        standing = ledger.standing()
        going, j = standing.going, standing.done
        ledger.drawn_PJ[going, j] = ledger.scored_PJ[going, j] = sizes[j]
        ledger.right_PJ[going, j] = right_PJ[going, j]
        standing = ledger.standing()
        looks.append(ledger.look(standing, standing.done - 1))
    names = tuple(map(str, range(PROBLEMS)))
    outcomes = Outcomes("run", names, *ledger.outcomes("run"))
    return Run(looks[-1].drawn, looks[-1].solved, looks[-1].look, outcomes)


def uniform(grid: tuple[int, ...], right_PX: Ints) -> dict[float | None, Run]:
    """The run that ends at the first place of the grid where the interval is narrow enough, by width."""
    solved = (right_PX.cumsum(axis=1) > 0).sum(axis=0)
    found = np.diff(solved, prepend=0).tolist()
    runs: dict[float | None, Run] = {}
    for at, look in enumerate(grid):
        forecast = forecast_solved(grid[: at + 1], found[: at + 1], PROBLEMS, grid[-1])
        for width in WIDTHS:
            if width not in runs and (look == grid[-1] or (width is not None and forecast.width <= width)):
                runs[width] = Run(PROBLEMS * look, forecast, look)
    return runs


def report(samples: int, population: str) -> None:
    """The table of one population: a row a width."""
    plans = {w: AdaptivePlan(looks=choose_looks(samples), enough=1, target_width=w) for w in WIDTHS}
    grid = fine(choose_looks(samples))
    ratios: dict[float | None, list[float]] = {w: [] for w in WIDTHS}
    savings: dict[float | None, list[float]] = {w: [] for w in WIDTHS}
    ends: dict[float | None, list[int]] = {w: [] for w in WIDTHS}
    errors: dict[float | None, list[list[float]]] = {w: [] for w in WIDTHS}
    hits: dict[float | None, list[list[bool]]] = {w: [] for w in WIDTHS}
    bias: dict[float | None, list[Floats]] = {w: [] for w in WIDTHS}
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, samples, list(POPULATIONS).index(population)])
        rate_P = POPULATIONS[population](rng)
        right_PX = rng.binomial(np.diff(grid, prepend=0), rate_P[:, None])
        truth = int((right_PX.sum(axis=1) > 0).sum())
        opponents = uniform(grid, right_PX)
        for width, plan in plans.items():
            ours, theirs = adaptive(plan, grid, right_PX), opponents[width]
            ratios[width].append(theirs.drawn / ours.drawn)
            savings[width].append(PROBLEMS * samples / ours.drawn)
            ends[width].append(ours.look)
            errors[width].append([off(ours, truth), off(theirs, truth)])
            hits[width].append([holds(ours, truth), holds(theirs, truth)])
            assert ours.outcomes is not None
            ks = np.array([k for k in (1, 16, samples) if k <= ours.outcomes.largest_k])
            off_K = ours.outcomes.pass_at_k(ks).mean(axis=0) - (1 - (1 - rate_P[:, None]) ** ks).mean(axis=0)
            bias[width].append(np.pad(off_K, (0, 3 - len(ks)), constant_values=np.nan))
    print(f"\n{population}, {samples} samples")
    for width in WIDTHS:
        ratio, covers = np.array(ratios[width]), np.mean(hits[width], axis=0)
        rms = np.sqrt(np.mean(np.square(errors[width]), axis=0))
        line = f"  {width or 'exact':>5}  {ratio.mean():6.2f}x ({ratio.min():.2f} to {ratio.max():.2f})"
        line += f"  of all N {np.mean(savings[width]):6.2f}x  ends at {np.mean(ends[width]):5.0f}"
        line += f"  covers {covers[0]:.3f} ({covers[1]:.3f})  rms {100 * rms[0]:.2f} ({100 * rms[1]:.2f})"
        print(f"{line}  bias {said(np.array(bias[width]))}", flush=True)


def off(run: Run, truth: int) -> float:
    """How far the interval's middle is from the solved set in the end, as a share of the problems."""
    return ((run.solved.low + run.solved.high) / 2 - truth) / PROBLEMS


def holds(run: Run, truth: int) -> bool:
    """Whether the interval holds the solved set in the end."""
    return run.solved.low <= truth <= run.solved.high


def said(bias_SK: Floats) -> str:
    """Mean error of pass@k in points, and its Monte-Carlo error; runs that did not come to k are left out."""
    words = []
    for error_S in bias_SK.T:
        known = error_S[~np.isnan(error_S)]
        words.append(
            f"{100 * known.mean():+.2f} ± {100 * known.std() / np.sqrt(len(known)):.2f}"
            if len(known) > RUNS / 2
            else "-"
        )
    return ", ".join(words)


def trade(samples: int, population: str) -> None:
    """What more right samples cost and give: a row each of `enough`, run to the end and stopped on the width."""
    ks = np.array([1, 4, 16, 64, 256])
    print(f"\n{population}, {samples} samples: --enough r, samples, and the error of mean pass@k at k = {ks.tolist()}")
    print(
        "  as a share of its standard error over problems; the same of uniform sampling; bias with --target-width 0.05"
    )
    grid = fine(choose_looks(samples))
    rows: dict[int, list[tuple[float, Floats, Floats, Floats]]] = {1: [], 2: [], 4: [], 8: []}
    spread = []
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, 99])
        rate_P = POPULATIONS[population](rng)
        right_PX = rng.binomial(np.diff(grid, prepend=0), rate_P[:, None])
        truth_PK = 1 - (1 - rate_P[:, None]) ** ks
        spread.append(truth_PK.std(axis=0) / np.sqrt(PROBLEMS))
        n_P, zero_P = np.full(PROBLEMS, samples), np.zeros(PROBLEMS, np.int64)
        names = tuple(map(str, range(PROBLEMS)))
        whole_K = Outcomes("all", names, n_P, right_PX.sum(axis=1), zero_P).pass_at_k(ks).mean(axis=0)
        for enough, row in rows.items():
            plan = AdaptivePlan(looks=choose_looks(samples), enough=enough, target_width=None)
            ours = adaptive(plan, grid, right_PX)
            early = adaptive(AdaptivePlan(looks=plan.looks, enough=enough, target_width=0.05), grid, right_PX)
            assert ours.outcomes is not None
            assert early.outcomes is not None
            found_K, truth_K = ours.outcomes.pass_at_k(ks).mean(axis=0), truth_PK.mean(axis=0)
            few = ks[ks <= early.outcomes.largest_k]
            early_K = early.outcomes.pass_at_k(few).mean(axis=0) - truth_K[: len(few)]
            padded_K = np.pad(early_K, (0, len(ks) - len(few)), constant_values=np.nan)
            row.append((PROBLEMS * samples / ours.drawn, found_K - truth_K, whole_K - truth_K, padded_K))
    for enough, row in rows.items():
        ratio, ours_SK, whole_SK, early_SK = (np.array(column) for column in zip(*row, strict=True))
        share, whole = (
            " ".join(f"{x:.2f}" for x in np.sqrt((e**2).mean(axis=0)) / np.mean(spread, axis=0))
            for e in (ours_SK, whole_SK)
        )
        print(f"  r = {enough}  {ratio.mean():5.2f}x fewer  {share}  ({whole})  {said(early_SK)}", flush=True)


def bookkeeping() -> None:
    """Seconds to count, follow and forecast a run of 5 million samples, and to list what another stretch lacks."""
    problems, samples = 500, 10_000
    rng = np.random.default_rng(0)
    plan = AdaptivePlan(looks=choose_looks(samples), enough=1, target_width=None)
    p, s = np.repeat(np.arange(problems), samples), np.tile(np.arange(samples), problems)
    right = rng.random(p.size) < 1e-5
    start = time.perf_counter()
    ledger = Ledger(plan, problems)
    ledger.load(p, s, np.ones(p.size, bool), right)
    loaded = time.perf_counter() - start
    start = time.perf_counter()
    standing = ledger.standing()
    looks = [ledger.look(standing, at) for at in range(standing.done)]
    ledger.outcomes("run")
    followed = time.perf_counter() - start
    begun = Ledger(plan, problems)
    keep = s < plan.looks[-2]
    begun.load(p[keep], s[keep], np.ones(int(keep.sum()), bool), right[keep])
    start = time.perf_counter()
    listed = sum(len(part) for part in begun.parts(begun.standing(), 4096))
    lists = time.perf_counter() - start
    print(f"\n5 million samples: counted in {loaded:.2f} s, {len(looks)} looks and outcomes in {followed:.2f} s,")
    print(f"a stretch of {listed:,} missing samples listed in {lists:.2f} s")


def main() -> None:
    print(machine(threads=1))
    print(f"{PROBLEMS} problems, {RUNS} simulations; in brackets after a number: uniform sampling")
    print(
        "a row a --target-width (exact: none): uniform's samples at that width over the adaptive run's, mean (range);"
    )
    print("all N samples of every problem over the adaptive run's; the look it ends at; coverage of the 95 % interval;")
    print("RMS error of its middle, in points; bias of pass@1, pass@16, pass@N ± Monte-Carlo error, in points")
    names = [n for n in POPULATIONS if n in sys.argv[1:] or len(sys.argv) == 1]
    for samples in (256, 1024):
        for population in names:
            report(samples, population)
    for population in names[:3]:
        trade(1024, population)
    bookkeeping()


if __name__ == "__main__":
    main()
