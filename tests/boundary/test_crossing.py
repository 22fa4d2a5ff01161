import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.bootstrap import Floats, Weights, resampled_means, resampling_weights, tail, tail_positions
from reachlab.boundary.crossing import Crossing, Crossings
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.passk import pass_at_k

KS = np.array([1, 2, 4, 8])


def find_crossing(difference_PK: Floats, ks: Ints, weights_BP: Weights, level: float = 0.95) -> Crossing:
    crossings = Crossings(len(weights_BP))
    for rows, means_KB in resampled_means(difference_PK, weights_BP):
        crossings.add(rows, means_KB)
    return crossings.result(difference_PK.mean(axis=0), ks, level, len(difference_PK))


def brute_force(difference_K: list[int], ks: list[int]) -> int | None:
    for at, k in enumerate(ks):
        if all(d <= 0 for d in difference_K[at:]):
            return k
    return None


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=7))
def test_equals_its_definition(difference_K: list[int]) -> None:
    # One problem: every resample is the sample itself, so all three numbers are the definition's.
    ks = list(range(1, len(difference_K) + 1))
    found = find_crossing(np.array([difference_K], float), np.array(ks), resampling_weights(1, 20))
    assert found.k == found.low == found.high == brute_force(difference_K, ks)


@pytest.mark.parametrize(
    ("difference", "k"),
    [
        ([3, 1, -1, -2], 4),
        ([3, -1, 1, -2], 8),
        ([-1, -1, -1, -1], 1),
        ([0, 0, 0, 0], 1),
        ([1, 1, 1, 1], None),
    ],
)
def test_by_hand(difference: list[int], k: int | None) -> None:
    difference_PK = np.tile(np.array(difference) / 10, (30, 1))
    assert find_crossing(difference_PK, KS, resampling_weights(30, 50)) == Crossing(k, k, k)


def test_interval_against_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    ks = np.arange(1, 301)  # more than one block of work
    trend_K = np.linspace(0.2, -0.2, len(ks))
    difference_PK = trend_K + rng.normal(size=(60, 1)) * 0.3
    weights_BP = resampling_weights(60, 101)
    crossings = []
    for weights_P in weights_BP.astype(float):
        ahead = np.flatnonzero(weights_P @ difference_PK > 0)
        crossings.append(ahead[-1] + 1 if ahead.size else 0)
    crossings.sort()
    found = find_crossing(difference_PK, ks, weights_BP, level=0.8)
    low, high = tail_positions(101, tail(0.8, 60))
    assert found.low == ks[crossings[low]]
    assert found.high == ks[crossings[high]]
    assert found.low < found.k < found.high  # type: ignore[operator]


def test_end_is_open_where_resamples_do_not_cross() -> None:
    difference_PK = np.array([[1.0, 1.0]] * 24 + [[1.0, -1.0]] * 26)
    found = find_crossing(difference_PK, np.array([1, 2]), resampling_weights(50, 1000))
    assert found == Crossing(2, 2, None)


def test_rounding_is_no_difference() -> None:
    # 0.1 + 0.2 − 0.3 is not 0 in floating point; a base that is equal is not below.
    difference_PK = np.tile(np.array([[0.1], [0.2], [-0.3]]), (100, 4))
    assert find_crossing(difference_PK, KS, resampling_weights(300, 10)).k == 1


@pytest.mark.slow
def test_its_interval_covers() -> None:
    """A base that is overtaken at small k and catches up: the true crossing is inside at least as often as promised."""
    rng = np.random.default_rng(0)
    n, problems, simulations = 32, 80, 300
    ks = np.arange(1, n + 1)

    def draw(size: int) -> tuple[np.ndarray, np.ndarray]:
        base_P = rng.beta(0.5, 4, size=size)
        return base_P, np.where(rng.random(size) < 0.6, np.minimum(1, 3 * base_P), 0.02 * base_P)

    base_P, other_P = draw(200_000)
    true_K = np.array([((1 - base_P) ** k - (1 - other_P) ** k).mean() for k in ks])
    crossing = int(ks[np.flatnonzero(true_K > 0)[-1] + 1])
    table_CK = pass_at_k(np.full(n + 1, n), np.arange(n + 1), ks)
    held = 0
    for seed in range(simulations):
        base_P, other_P = draw(problems)
        difference_PK = table_CK[rng.binomial(n, other_P)] - table_CK[rng.binomial(n, base_P)]
        found = find_crossing(difference_PK, ks, resampling_weights(problems, 400, seed))
        held += (found.low or n + 1) <= crossing <= (found.high or n + 1)
    assert 1 < crossing < n
    assert held / simulations > 0.95 - 3 * (0.95 * 0.05 / simulations) ** 0.5
