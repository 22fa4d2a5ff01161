import numpy as np
import pytest

from reachlab.boundary import averaged_fit
from reachlab.boundary.averaged_fit import MODELS, Unknown, fit_average, sum_by
from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.mixture_fit import Pairs
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Floats, Ints


def drawn(problems: int, n: int, seed: int = 0) -> tuple[Ints, Ints]:
    rng = np.random.default_rng(seed)
    return np.full(problems, n), rng.binomial(n, rng.beta(0.5, 4, problems) * (rng.random(problems) > 0.2))


def test_the_average_is_that_of_its_fits() -> None:
    n_P, c_P = drawn(150, 20)
    pairs, _, counts_U = distinct(n_P, c_P)
    ks = np.array([5, 20, 40, 500])
    average = fit_average(pairs, counts_U[None])
    found_K = average.mean(Unknown.of(pairs, ks, stopped=False))[0]
    fits = average.fits()
    assert sum(one.weight for one in fits) == pytest.approx(1)
    by_hand_K = np.zeros(4)
    by_hand_K[:2] = pass_at_k(n_P, c_P, ks[:2]).mean(axis=0)
    for one in fits:
        for i in (2, 3):
            by_hand_K[i] += one.weight * one.fit.solved_chance(n_P, c_P, ks[i] - 20).mean()
    assert found_K == pytest.approx(by_hand_K, abs=1e-9)


def test_weights_are_likelihoods_less_their_penalties() -> None:
    n_P, c_P = drawn(150, 20)
    pairs, _, counts_U = distinct(n_P, c_P)
    fits = fit_average(pairs, counts_U[None]).fits()
    penalty = [(components - 1) * 1.5 * np.log(150) + zero for components, zero in MODELS]
    log_M = np.array([one.fit.log_likelihood(n_P, c_P) for one in fits]) - penalty
    weight_M = np.exp(log_M - log_M.max())
    assert [one.weight for one in fits] == pytest.approx(weight_M / weight_M.sum(), abs=1e-6)


def test_easy_and_hard_problems_get_the_second_beta() -> None:
    rng = np.random.default_rng(0)
    c_P = rng.binomial(64, np.where(rng.random(500) < 0.5, rng.beta(8, 2, 500), rng.beta(1, 20, 500)))
    pairs, _, counts_U = distinct(np.full(500, 64), c_P)
    one, one_z, two, two_z = (f.weight for f in fit_average(pairs, counts_U[None]).fits())
    assert two + two_z > 0.99
    assert two > two_z > 0
    assert one + one_z < 0.01


def test_what_is_unknown() -> None:
    pairs = Pairs(np.array([10, 10, 10, 20]), np.array([0, 3, 10, 0]))
    unknown = Unknown.of(pairs, np.array([4, 10, 15, 40]), stopped=False)
    measured_UK = pass_at_k(pairs.n, pairs.c, [4, 10])
    assert unknown.known[:, :2] == pytest.approx(measured_UK)
    assert unknown.known[:, 2:].tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]
    assert unknown.more.tolist() == [[0, 0, 5, 30], [0] * 4, [0] * 4, [0, 0, 0, 20]]
    stopped = Unknown.of(pairs, np.array([4, 15]), stopped=True)
    assert stopped.known.tolist() == [[0, 0], [0, 1], [0, 1], [0, 0]]
    assert stopped.more.tolist() == [[0, 5], [4, 0], [4, 0], [0, 0]]


def test_ends_are_those_of_the_weighted_values() -> None:
    n_P, c_P = drawn(60, 16)
    pairs, row_P, counts_U = distinct(n_P, c_P)
    average = fit_average(pairs, counts_U[None])
    rng = np.random.default_rng(0)
    weights_BP = rng.multinomial(60, np.full(60, 1 / 60), size=50)
    again = fit_average(pairs, sum_by(row_P, weights_BP.astype(np.float32), len(pairs.n)), near=average)
    unknown = Unknown.of(pairs, np.array([64]), stopped=False)
    values: list[tuple[float, float]] = []
    for b in range(50):
        drawn_c_P = np.repeat(c_P, weights_BP[b])
        for one in again.fits(b):
            value = float(one.fit.solved_chance(np.full(60, 16), drawn_c_P, 48).mean())
            values.append((value, one.weight / 50))
    values.sort()
    below = np.cumsum([weight for _, weight in values])
    low_K, high_K = again.ends(unknown, (0.1, 0.9))
    assert low_K[0] == pytest.approx(values[int(np.searchsorted(below, 0.1))][0], abs=1e-6)
    assert high_K[0] == pytest.approx(values[int(np.searchsorted(below, 0.9))][0], abs=1e-6)


def test_sum_by() -> None:
    values_BX: Floats = np.arange(10.0).reshape(2, 5)
    assert sum_by(np.array([1, 0, 1, 2, 0]), values_BX, 3).tolist() == [[5, 2, 3], [15, 12, 8]]


def test_merging_pairs_that_say_nearly_the_same_changes_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    n_P, c_P = drawn(800, 5000)
    pairs, _, counts_U = distinct(n_P, c_P)
    assert len(pairs.n) > 300
    unknown = Unknown.of(pairs, np.array([20_000, 80_000]), stopped=False)
    exact = fit_average(pairs, counts_U[None])
    monkeypatch.setattr(averaged_fit, "MOST_PAIRS", 50)
    merged = fit_average(pairs, counts_U[None])
    assert merged.theta_MBQ[1] == pytest.approx(exact.theta_MBQ[1], abs=0.02)
    assert merged.mean(unknown) == pytest.approx(exact.mean(unknown), abs=5e-4)
