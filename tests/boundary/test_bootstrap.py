import itertools
from collections import Counter

import numpy as np
import pytest

from reachlab.boundary import bootstrap
from reachlab.boundary.bootstrap import (
    percentile_interval,
    resampled_means,
    resampling_weights,
    tail_positions,
)
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


@pytest.mark.parametrize(("resamples", "level"), [(2, 0.95), (99, 0.5), (1000, 0.95), (1001, 0.99)])
def test_interval_is_two_order_statistics(resamples: int, level: float) -> None:
    values_PK = np.random.default_rng(1).random((40, 200))
    weights_BP = resampling_weights(40, resamples)
    sorted_KB = np.sort(np.concatenate([m.copy() for _, m in resampled_means(values_PK, weights_BP)]), axis=1)
    low, high = tail_positions(resamples, level)
    assert (high - low + 1) / resamples >= level
    low_K, high_K = percentile_interval(values_PK, weights_BP, level)
    assert np.array_equal(low_K, sorted_KB[:, low])
    assert np.array_equal(high_K, sorted_KB[:, high])


def test_interval_matches_the_normal_one_for_many_problems() -> None:
    values_PK = np.random.default_rng(2).random((2000, 1))
    low_K, high_K = percentile_interval(values_PK, resampling_weights(2000, 4000))
    half = 1.96 * values_PK.std() / 2000**0.5
    assert (low_K[0], high_K[0]) == pytest.approx((values_PK.mean() - half, values_PK.mean() + half), abs=half / 10)


def test_certainty_stays_exact() -> None:
    values_PK = np.tile([0.0, 1.0], (333, 1))
    low_K, high_K = percentile_interval(values_PK, resampling_weights(333, 200))
    assert low_K.tolist() == high_K.tolist() == [0.0, 1.0]


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="problems=0"):
        resampling_weights(0, 100)
    with pytest.raises(ReachlabError, match="resamples=1 "):
        resampling_weights(3, 1)
    with pytest.raises(ReachlabError, match=r"level 95\.0"):
        percentile_interval(np.zeros((3, 1)), resampling_weights(3, 10), 95.0)
