"""The forecast against the same posterior summed point by point, and against simulated runs."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.boundary.forecast import (
    IMPOSSIBLE,
    IMPOSSIBLE_PRIOR,
    SCALES,
    SHAPES,
    Forecast,
    forecast_solved,
)


def cdf(looks: list[int], found: list[int], unsolved: int, last: int) -> list[float]:
    """P(D ≤ d), the forecast starting at the first look given; survival by its product formula."""
    total, more = 0.0, np.zeros(unsolved + 1)
    for a in SHAPES:
        for b in SCALES * looks[-1]:
            draws = np.arange(last - looks[0])
            left = np.concatenate([[1.0], np.cumprod((b + draws) / (a + b + draws))])
            for z, prior in zip(IMPOSSIBLE, IMPOSSIBLE_PRIOR, strict=True):
                curve = z + (1 - z) * left
                weight = prior * curve[looks[-1] - looks[0]] ** unsolved
                for before, after, n in zip(looks, looks[1:], found, strict=False):
                    weight *= (curve[before - looks[0]] - curve[after - looks[0]]) ** n
                u = 1 - curve[-1] / curve[looks[-1] - looks[0]]
                pmf = [comb(unsolved, d) * u**d * (1 - u) ** (unsolved - d) for d in range(unsolved + 1)]
                total, more = total + weight, more + weight * np.array(pmf)
    return [float(x) for x in more.cumsum() / total]


@settings(max_examples=6)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=3), st.integers(1, 12), st.sampled_from([9, 12, 20, 30]))
def test_is_the_interval_of_the_posterior(found: list[int], unsolved: int, last: int) -> None:
    looks = [2, 4, 6, 8][-len(found) - 1 :]
    at_most = cdf(looks, found, unsolved, last)
    forecast = forecast_solved(looks, [5, *found], 5 + sum(found) + unsolved, last)
    assert forecast.solved == 5 + sum(found)
    low, high = forecast.low - forecast.solved, forecast.high - forecast.solved
    # What is binned there is summed here.
    slack = 2e-3
    assert at_most[low] >= 0.025 - slack
    assert low == 0 or at_most[low - 1] < 0.025 + slack
    assert at_most[high] >= 0.975 - slack
    assert high == 0 or at_most[high - 1] < 0.975 + slack


def test_only_the_last_two_octaves_are_fitted() -> None:
    late = forecast_solved([32, 64, 128], [0, 20, 14], 200, 256)
    assert late == forecast_solved([2, 4, 8, 16, 32, 64, 128], [0, 0, 0, 0, 0, 20, 14], 200, 256)
    moved = forecast_solved([4, 30, 32, 64, 128], [100, 100, 30, 20, 14], 430, 256)
    assert (moved.low - moved.solved, moved.high - moved.solved) == (late.low - late.solved, late.high - late.solved)


@pytest.mark.parametrize(
    ("looks", "found", "last", "low", "high"),
    [
        ([8], [30], 16, 30, 100),  # the first look says nothing of the next
        ([8, 16], [30, 10], 65, 40, 100),  # farther than four times as far
        ([8, 16], [30, 10], 16, 40, 40),  # the end
        ([8, 16], [90, 10], 64, 100, 100),  # all are solved
    ],
)
def test_where_there_is_nothing_to_forecast(looks: list[int], found: list[int], last: int, low: int, high: int) -> None:
    assert forecast_solved(looks, found, 100, last) == Forecast(problems=100, solved=sum(found), low=low, high=high)


def test_a_population_a_thousand_times_as_large_is_surer() -> None:
    small = forecast_solved([16, 32, 64, 128], [0, 30, 20, 14], 264, 256)
    large = forecast_solved([16, 32, 64, 128], [0, 30_000, 20_000, 14_000], 264_000, 256)
    assert 0 < large.width < small.width
    # After 20 and 14 thousand some ten come next, if the share that cannot be solved is not known.
    assert 6_000 < large.low - large.solved < large.high - large.solved < 14_000


POPULATIONS = {
    "beta": lambda rng, size: rng.beta(0.3, 3, size),
    "beta and impossible": lambda rng, size: rng.beta(0.3, 3, size) * (rng.random(size) > 0.4),
    "log-normal": lambda rng, size: 1 / (1 + np.exp(-rng.normal(-4, 2.5, size))),
    "easy and hard": lambda rng, size: np.where(rng.random(size) < 0.5, rng.beta(8, 2, size), rng.beta(0.3, 30, size)),
}


@pytest.mark.slow
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("start", [4, 7])
def test_holds_the_truth_as_often_as_it_says(population: str, start: int) -> None:
    runs, problems, looks = 150, 500, [8, 16, 32, 64, 128, 256, 512, 1024]
    rng = np.random.default_rng(start)
    hits = 0
    for _ in range(runs):
        rate = POPULATIONS[population](rng, problems)
        first = np.where(rate > 0, rng.geometric(np.maximum(rate, 1e-12)), 1 << 40)
        found = [int(((first > a) & (first <= b)).sum()) for a, b in zip([0, *looks], looks, strict=False)]
        last = 2 * looks[start]
        forecast = forecast_solved(looks[: start + 1], found[: start + 1], problems, last)
        hits += forecast.low <= (first <= last).sum() <= forecast.high
    assert hits >= 0.9 * runs
