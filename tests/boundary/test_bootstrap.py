import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln

from reachlab.boundary import bootstrap
from reachlab.boundary.bootstrap import (
    bootstrap_interval,
    resampled_means,
    resampling_weights,
    tail,
    tail_positions,
)
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError


def test_weights_are_multinomial() -> None:
    problems, resamples = 4, 20_000
    weights_BP = resampling_weights(problems, resamples, seed=3)
    assert (weights_BP.sum(axis=1) == problems).all()
    found = Counter(tuple(int(x) for x in row) for row in weights_BP)
    truth = Counter(
        tuple(drawn.count(p) for p in range(problems)) for drawn in itertools.product(range(problems), repeat=problems)
    )
    assert set(found) == set(truth)
    for pattern, ways in truth.items():
        share = ways / problems**problems
        spread = (share * (1 - share) / resamples) ** 0.5
        assert found[pattern] / resamples == pytest.approx(share, abs=5 * spread)


def test_weights_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = resampling_weights(7, 300, seed=1)
    assert not np.array_equal(first, resampling_weights(7, 300, seed=2))
    monkeypatch.setattr(bootstrap, "CHUNK_ROWS", 11)
    assert np.array_equal(first, resampling_weights(7, 300, seed=1))


def test_means_are_those_of_the_drawn_problems() -> None:
    rng = np.random.default_rng(0)
    values_PK, weights_BP = rng.normal(size=(9, 300)), resampling_weights(9, 50)
    means_KB = np.concatenate([means_KB.copy() for _, means_KB in resampled_means(values_PK, weights_BP)])
    drawn = [np.repeat(np.arange(9), row.astype(int)) for row in weights_BP]
    expected_KB = np.array([values_PK[problems].mean(axis=0) for problems in drawn]).T
    assert means_KB == pytest.approx(expected_KB, abs=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_is_scipys_bca(level: float) -> None:
    """Where problems are many, Student's quantile is the normal one, and what is left is two draws of resamples."""
    values_P1 = np.random.default_rng(1).beta(0.3, 3, size=(4000, 1))
    low_K, high_K = bootstrap_interval(values_P1, resampling_weights(4000, 8000), level)
    peer = stats.bootstrap(
        (values_P1[:, 0],), np.mean, n_resamples=8000, confidence_level=level, method="BCa", batch=500, rng=0
    ).confidence_interval
    assert (low_K[0], high_K[0]) == pytest.approx((peer.low, peer.high), abs=0.06 * (peer.high - peer.low))


def test_ends_are_order_statistics() -> None:
    values_PK = np.random.default_rng(1).random((40, 200))
    weights_BP = resampling_weights(40, 999)
    means_KB = np.concatenate([m.copy() for _, m in resampled_means(values_PK, weights_BP)])
    low_K, high_K = bootstrap_interval(values_PK, weights_BP, 0.9)
    assert all(low in means_B and high in means_B for low, high, means_B in zip(low_K, high_K, means_KB, strict=True))
    inside_K = ((means_KB >= low_K[:, None]) & (means_KB <= high_K[:, None])).mean(axis=1)
    assert (inside_K >= 0.9).all()


def test_a_skewed_mean_gets_the_longer_end_where_the_tail_is() -> None:
    values_P1 = np.array([[0.0]] * 55 + [[1.0]] * 5)
    low_K, high_K = bootstrap_interval(values_P1, resampling_weights(60, 4000))
    assert high_K[0] - 5 / 60 > 1.2 * (5 / 60 - low_K[0])


def test_tails_widen_for_few_problems() -> None:
    assert tail(0.95, 10**6) == pytest.approx(0.025, rel=1e-4)
    assert tail(0.95, 30) == pytest.approx(stats.norm.cdf(-((30 / 29) ** 0.5) * stats.t.ppf(0.975, 29)))
    assert tail(0.95, 1) == pytest.approx(0.025)
    assert tail_positions(101, 0.1) == (10, 90)


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 150])
def test_intervals_cover_at_their_level(problems: int) -> None:
    """pass@1 and pass@8 of a skewed population: 95 of 100 intervals hold the truth."""
    rng = np.random.default_rng(problems)
    n, simulations = 16, 500
    ks = np.array([1, 8])
    truth_K = 1 - np.exp([betaln(0.3, 3 + k) - betaln(0.3, 3) for k in ks])
    table_CK = pass_at_k(np.full(n + 1, n), np.arange(n + 1), ks)
    held_K = np.zeros(2)
    for seed in range(simulations):
        values_PK = table_CK[rng.binomial(n, rng.beta(0.3, 3, size=problems))]
        low_K, high_K = bootstrap_interval(values_PK, resampling_weights(problems, 500, seed))
        held_K += (low_K - 1e-6 <= truth_K) & (truth_K <= high_K + 1e-6)
    spread = (0.95 * 0.05 / simulations) ** 0.5
    assert held_K / simulations == pytest.approx(0.95, abs=4 * spread)


def test_interval_matches_the_normal_one_for_many_problems() -> None:
    values_PK = np.random.default_rng(2).random((2000, 1))
    low_K, high_K = bootstrap_interval(values_PK, resampling_weights(2000, 4000))
    half = 1.96 * values_PK.std() / 2000**0.5
    assert (low_K[0], high_K[0]) == pytest.approx((values_PK.mean() - half, values_PK.mean() + half), abs=half / 10)


@pytest.mark.parametrize("tiny", [1e-30, 1e-110, 1e-160, 1e-300, 5e-324])
def test_what_is_hardly_above_zero_has_an_interval(tiny: float) -> None:
    values_PK = np.zeros((50, 2))
    values_PK[:5, 0] = tiny
    low_K, high_K = bootstrap_interval(values_PK, resampling_weights(50, 200))
    assert np.isfinite([low_K, high_K]).all()
    assert high_K == pytest.approx(np.zeros(2), abs=1e-20)


def test_certainty_stays_exact() -> None:
    values_PK = np.tile([0.0, 1.0], (333, 1))
    low_K, high_K = bootstrap_interval(values_PK, resampling_weights(333, 200))
    assert low_K.tolist() == high_K.tolist() == [0.0, 1.0]


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="problems=0"):
        resampling_weights(0, 100)
    with pytest.raises(ReachlabError, match="resamples=1 "):
        resampling_weights(3, 1)
    with pytest.raises(ReachlabError, match=r"level 95\.0"):
        bootstrap_interval(np.zeros((3, 1)), resampling_weights(3, 10), 95.0)
