import numpy as np
import pytest
from scipy import stats

from reachlab.boundary.student import interval, quantile
from reachlab.errors import ReachlabError


@pytest.mark.parametrize(("seeds", "level", "t"), [(2, 0.95, 12.7062), (3, 0.95, 4.30265), (3, 0.9, 2.91999)])
def test_quantiles_are_those_of_the_tables(seeds: int, level: float, t: float) -> None:
    assert quantile(seeds, level) == pytest.approx(t, rel=1e-5)


def test_many_values_are_normal() -> None:
    assert quantile(100_000) == pytest.approx(1.95996, rel=1e-4)


def test_the_interval_is_scipys_in_every_column() -> None:
    values_SX = np.random.default_rng(0).normal(3, 2, (5, 4))
    mean_X, low_X, high_X = interval(values_SX, level=0.9)
    assert mean_X == pytest.approx(values_SX.mean(axis=0))
    for x in range(4):
        found = stats.ttest_1samp(values_SX[:, x], 0).confidence_interval(0.9)
        assert (low_X[x], high_X[x]) == pytest.approx((found.low, found.high))


def test_three_seeds_of_the_log() -> None:
    """32 experts, 4 active: `linear`'s loss less top-k's in three seeds (LOG.md, 2026-11-26)."""
    assert interval([-0.030, -0.016, -0.005]) == pytest.approx((-0.017, -0.048, 0.014), abs=5e-4)


def test_one_value_has_no_interval() -> None:
    mean, low, high = interval([0.4])
    assert mean == 0.4
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("values", [[], [0.1, np.nan], [0.1, np.inf]])
def test_what_is_no_number_is_refused(values: list[float]) -> None:
    with pytest.raises(ReachlabError, match="every seed needs a finite value"):
        interval(values)


def test_one_value_has_no_quantile() -> None:
    with pytest.raises(ReachlabError, match="1 values do not tell"):
        quantile(1)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_levels(level: float) -> None:
    with pytest.raises(ReachlabError, match="not between 0 and 1"):
        quantile(3, level)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_it_covers_what_it_promises(seeds: int) -> None:
    values_SX = np.random.default_rng(seeds).normal(0.3, 1, (seeds, 20_000))
    _, low_X, high_X = interval(values_SX)
    assert ((low_X <= 0.3) & (high_X >= 0.3)).mean() == pytest.approx(0.95, abs=0.006)


def test_a_percentile_bootstrap_over_three_seeds_covers_three_quarters() -> None:
    """Why it is not used: 95 % promised."""
    rng = np.random.default_rng(0)
    held, simulations = 0, 2000
    for _ in range(simulations):
        values_S = rng.normal(size=3)
        means_B = values_S[rng.integers(3, size=(500, 3))].mean(axis=1)
        low, high = np.quantile(means_B, [0.025, 0.975])
        held += low <= 0 <= high
    assert 0.70 < held / simulations < 0.78
