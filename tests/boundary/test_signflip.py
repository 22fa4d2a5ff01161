import itertools

import numpy as np
import pytest

from reachlab.boundary.bootstrap import Floats, Weights
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.signflip import even, flip, random_signs
from reachlab.boundary.stopping import Stopping


def adjusted_p(difference_PK: Floats, signs_BP: Weights) -> Floats:
    """Of one pair."""
    flips = flip(difference_PK, signs_BP)
    return flips.p(flips.most_B)


def test_equals_all_flips() -> None:
    rng = np.random.default_rng(0)
    difference_PK = rng.normal(0.3, 1, size=(8, 5))
    signs_BP = np.array(list(itertools.product([-1, 1], repeat=8)), np.float32)
    length_K = np.sqrt((difference_PK**2).sum(axis=0))
    z_BK = np.abs(signs_BP @ difference_PK) / length_K
    seen_K = np.abs(difference_PK.sum(axis=0)) / length_K
    expected_K = [((z_BK.max(axis=1) >= seen - 1e-5).sum() + 1) / 257 for seen in seen_K]
    assert adjusted_p(difference_PK, signs_BP) == pytest.approx(expected_K)


def test_one_k_is_the_sign_test_where_all_differ_by_as_much() -> None:
    difference_P1 = np.array([[1.0]] * 6 + [[0.0]] * 30)
    p = adjusted_p(difference_P1, random_signs(36, 20_000))[0]
    assert p == pytest.approx(2 * 0.5**6, abs=0.006)


def test_no_difference_is_never_small() -> None:
    assert adjusted_p(np.zeros((9, 3)), random_signs(9, 100)).tolist() == [1, 1, 1]


def test_looking_at_more_ks_takes_more() -> None:
    rng = np.random.default_rng(1)
    difference_PK = rng.normal(size=(40, 30))
    difference_PK[:, 0] += 0.4
    signs_BP = random_signs(40, 4000)
    assert adjusted_p(difference_PK, signs_BP)[0] > 3 * adjusted_p(difference_PK[:, :1], signs_BP)[0]


def test_equal_models_look_different_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(2)
    signs_BP = random_signs(7, 400)
    # Heavy tails and seven problems: what normal theory gets wrong.
    smallest = [adjusted_p(rng.standard_cauchy((7, 4)), signs_BP).min() for _ in range(1500)]
    assert np.mean(np.array(smallest) <= 0.1) <= 0.1 + 3 * (0.1 * 0.9 / 1500) ** 0.5
    assert np.mean(np.array(smallest) <= 0.1) >= 0.06


def outcomes(n_P: list[int], c_P: list[int], stopping: Stopping | None = None) -> Outcomes:
    return Outcomes("m", ("a", "b"), np.array(n_P), np.array(c_P), np.zeros(2, np.int64), stopping)


def test_the_larger_one_is_thinned_by_lot() -> None:
    drawn = []
    for seed in range(2000):
        pair = even(outcomes([10, 4], [5, 4]), outcomes([4, 8], [2, 2]), seed)
        assert pair is not None
        one, other = pair
        assert one.n_P.tolist() == other.n_P.tolist() == [4, 4]
        assert (one.c_P[1], other.c_P[0]) == (4, 2)
        drawn.append((one.c_P[0], other.c_P[1]))
    assert np.mean(drawn, axis=0) == pytest.approx([2, 1], abs=0.07)


def test_only_one_rule_of_sampling_is_a_symmetry() -> None:
    def stopped(enough: int) -> Outcomes:
        return outcomes([4, 8], [2, 0], Stopping(enough=enough, before_P=np.array([0, -1])))

    uniform = outcomes([8, 8], [2, 0])
    assert even(uniform, stopped(1)) is None
    assert even(stopped(1), stopped(2)) is None
    assert even(stopped(1), stopped(1)) is not None
