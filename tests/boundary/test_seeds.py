import numpy as np
import pytest

from reachlab.boundary.seeds import SeedSpread, satterthwaite


def test_the_variance_is_that_of_a_mean_of_runs() -> None:
    values_RPK = np.random.default_rng(0).normal(size=(4, 30, 3))
    found = SeedSpread(values_RPK, 20_000, seed=0)
    assert found.degrees == 3
    assert found.variance_K == pytest.approx(values_RPK.mean(axis=1).var(axis=0, ddof=1) / 4)
    moved_KB = found.off_KR @ found.multipliers_RB
    assert moved_KB.var(axis=1) == pytest.approx(found.variance_K, rel=0.05)


def test_stretched_multipliers_are_students() -> None:
    values_RPK = np.zeros((3, 5, 1))
    values_RPK[:, :, 0] = [[0.0], [1.0], [2.0]]
    found = SeedSpread(values_RPK, 100_000, seed=1)
    moved_B = (found.off_KR @ found.stretched_RB)[0] / found.variance_K[0] ** 0.5
    assert np.quantile(np.abs(moved_B), 0.95) == pytest.approx(4.303, abs=0.15)  # t with 2 degrees of freedom


def test_satterthwaite() -> None:
    total_K, ν_K = satterthwaite([np.array([2.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.0])], [4, 9])
    assert total_K.tolist() == [4, 1, 0]
    # (2 + 2)² / (4/4 + 4/9); one part alone has its own; nothing varies: nothing is unknown.
    assert ν_K.tolist() == pytest.approx([16 / (1 + 4 / 9), 4, np.inf])
    assert satterthwaite([np.array([1.0])], [np.inf])[1].tolist() == [np.inf]
