import numpy as np
import pytest

from reachlab.boundary.bands import Band, critical, largest
from reachlab.boundary.bootstrap import Floats, resampled_means, resampling_weights


def band(values_PK: Floats, resamples: int = 2000, level: float = 0.95, seed: int = 0) -> tuple[Floats, Floats]:
    differing_K = np.count_nonzero(values_PK, axis=0)
    found = Band(values_PK.mean(axis=0), differing_K, resamples, len(values_PK))
    for rows, means_KB in resampled_means(values_PK, resampling_weights(len(values_PK), resamples, seed)):
        found.add(rows, means_KB)
    return found.edges(critical([found], level), level)


def test_one_k_is_the_normal_interval() -> None:
    values_P1 = np.random.default_rng(0).normal(size=(3000, 1))
    low_K, high_K = band(values_P1, 8000)
    assert high_K[0] - low_K[0] == pytest.approx(2 * 1.96 * values_P1.std() / 3000**0.5, rel=0.05)


def test_independent_ks_take_the_sidak_width() -> None:
    values_PK = np.random.default_rng(1).normal(size=(2000, 200))
    low_K, high_K = band(values_PK)
    widths = (high_K - low_K) / 2 / (values_PK.std(axis=0) / 2000**0.5)
    assert np.median(widths) == pytest.approx(3.66, abs=0.15)  # the normal quantile at 0.95^(1/200), both sides


def test_whole_curves_are_held() -> None:
    rng = np.random.default_rng(2)
    trend_K, held = np.linspace(0.3, -0.2, 40), 0
    for seed in range(300):
        walk_PK = trend_K + np.cumsum(rng.normal(size=(60, 40)), axis=1) / 10
        low_K, high_K = band(walk_PK, 300, seed=seed)
        held += bool(((low_K <= trend_K) & (trend_K <= high_K)).all())
    assert held / 300 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 300) ** 0.5)


def test_a_k_at_which_one_problem_differs_does_not_widen_the_rest() -> None:
    values_PK = np.random.default_rng(3).normal(size=(200, 2))
    values_PK[1:, 1] = 0
    alone = band(values_PK[:, :1])
    low_K, high_K = band(values_PK)
    assert (low_K[0], high_K[0]) == pytest.approx((alone[0][0], alone[1][0]))
    assert low_K[1] < values_PK[:, 1].mean() < high_K[1]


def test_no_difference_is_as_wide_as_what_may_differ_unseen() -> None:
    low_K, high_K = band(np.zeros((10, 3)), 50)
    # 0 of 10 differ: at 95 %, up to 30.8 % of others may (Clopper and Pearson).
    assert high_K == pytest.approx([0.3085] * 3, abs=1e-4)
    assert low_K == pytest.approx(-high_K)


def test_alike_differences_are_no_surer_than_what_may_be_unseen() -> None:
    low_K, high_K = band(np.ones((10, 3)), 50)
    assert high_K == pytest.approx([1.0] * 3)
    assert low_K == pytest.approx([1 - 2 * 0.3085] * 3, abs=1e-4)  # as if all that may be unseen differed by −1
    low_K, high_K = band(np.full((10, 1), 0.5), 50)
    assert (low_K[0], high_K[0]) == pytest.approx((0.5 - 1.5 * 0.3085, 0.5 + 0.5 * 0.3085), abs=1e-4)


def test_fixed_problems_leave_nothing_unseen() -> None:
    found = Band(np.zeros(3), np.zeros(3, np.int64), 50, None)
    for rows, means_KB in resampled_means(np.zeros((10, 3)), resampling_weights(10, 50)):
        found.add(rows, means_KB)
    assert not np.any(found.edges(critical([found], 0.95), 0.95))


def test_two_curves_looked_at_together_take_more() -> None:
    rng, found = np.random.default_rng(4), []
    weights_BP = resampling_weights(400, 2000)
    for _ in range(2):
        values_PK = rng.normal(size=(400, 30))
        found.append(Band(values_PK.mean(axis=0), np.full(30, 400), 2000, 400))
        for rows, means_KB in resampled_means(values_PK, weights_BP):
            found[-1].add(rows, means_KB)
    alone, together = critical(found[:1], 0.95), critical(found, 0.95)
    # Of 30 and of 60 independent normal deviations: the quantiles at 0.95^(1/30) and 0.95^(1/60).
    assert (alone, together) == pytest.approx((3.13, 3.33), abs=0.12)
    assert found[0].p(largest(found))[3] >= found[0].p(found[0].most_B)[3]


def test_p_is_small_just_where_the_band_excludes_0() -> None:
    rng, weights_BP = np.random.default_rng(5), resampling_weights(50, 999)
    values_PK = rng.normal(size=(50, 40)) + np.linspace(0, 1, 40)
    found = Band(values_PK.mean(axis=0), np.full(40, 50), 999, 50)
    for rows, means_KB in resampled_means(values_PK, weights_BP):
        found.add(rows, means_KB)
    low_K, high_K = found.edges(critical([found], 0.95), 0.95)
    apart_K = (low_K > 0) | (high_K < 0)
    p_K = found.p(found.most_B)
    assert 0 < apart_K.sum() < 40
    assert p_K[apart_K].max() <= 0.051
    assert p_K[~apart_K].min() >= 0.049


def test_a_share_of_0_that_answering_again_might_move_does_not_end_at_1() -> None:
    """Of fixed problems answered again the resamples move though all answers were wrong."""
    noise_KB = np.abs(np.random.default_rng(6).normal(0, 0.01, (2, 4000))).astype(np.float32)
    for mean, sign in ((0.0, 1), (1.0, -1)):
        found = Band(np.full(2, mean), np.zeros(2, np.int64), 4000, None)
        found.add(slice(0, 2), (mean + sign * noise_KB).astype(np.float32))
        low_K, high_K = found.share_interval(0.95)
        assert np.abs(np.array([low_K, high_K]) - mean).max(axis=0) == pytest.approx([4 * 1.96 * 0.01] * 2, rel=0.05)
        assert (low_K >= 0).all()
        assert (high_K <= 1).all()


def test_edges_end_at_what_a_difference_can_be() -> None:
    low_K, high_K = band(np.array([[1.0], [-0.5], [1.0]]), 50)
    assert (low_K[0], high_K[0]) == (-1, 1)
