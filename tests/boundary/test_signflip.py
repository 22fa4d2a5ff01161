import itertools

import numpy as np
import pytest

from reachlab.boundary.signflip import adjusted_p, random_signs


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
