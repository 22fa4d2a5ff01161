import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import polygamma
from scipy.stats import betabinom

from reachlab.boundary.mixture_fit import (
    LOG_SIZE_BOUNDS,
    Pairs,
    betas,
    bounds,
    derivatives,
    fit,
    log_likelihood,
    log_mixture,
    maximise,
    trigamma,
)
from reachlab.boundary.stopping import Floats

N = 12
PAIRS = Pairs(np.full(N + 1, N), np.arange(N + 1))


def counts(zero: float, a: float, b: float, problems: int = 400, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    c = rng.binomial(N, rng.beta(a, b, problems) * (rng.random(problems) >= zero))
    return np.bincount(c, minlength=N + 1).astype(np.float64)


def random_parameters(columns: int, rows: int = 5) -> Floats:
    rng = np.random.default_rng(columns)
    theta_BQ = rng.normal(size=(rows, columns))
    shares = 1 if columns == 3 else 2
    theta_BQ[:, :shares] = rng.uniform(0.05, 0.9, (rows, shares))
    return theta_BQ


def test_trigamma() -> None:
    x = np.geomspace(1e-6, 1e7, 500)
    assert trigamma(x) == pytest.approx(polygamma(1, x), rel=1e-9)


@pytest.mark.parametrize("columns", [3, 6])
def test_chances_are_those_of_scipy_and_sum_to_one(columns: int) -> None:
    theta_BQ = random_parameters(columns)
    beta_BJU, whole_BU = log_mixture(theta_BQ, PAIRS)
    assert np.exp(whole_BU).sum(axis=1) == pytest.approx(np.ones(len(theta_BQ)))
    for beta_JU, a_J, b_J in zip(beta_BJU, *betas(theta_BQ)[2:], strict=True):
        for beta_U, a, b in zip(beta_JU, a_J, b_J, strict=True):
            assert beta_U == pytest.approx(betabinom.logpmf(PAIRS.c, N, a, b))


@pytest.mark.parametrize("columns", [3, 6])
def test_derivatives_match_finite_differences(columns: int) -> None:
    pairs = Pairs(np.array([5, 5, 12, 12, 40, 40, 3]), np.array([0, 2, 0, 12, 1, 30, 3]))
    theta_BQ = random_parameters(columns)
    counts_BU = np.tile([4.0, 3, 5, 1, 2, 2, 0], (len(theta_BQ), 1))
    value_B, gradient_BQ, hessian_BQQ = derivatives(theta_BQ, pairs, counts_BU)
    assert value_B == pytest.approx(log_likelihood(theta_BQ, pairs, counts_BU))
    for q in range(columns):
        step = 1e-5 * np.eye(columns)[q]
        ends = [derivatives(theta_BQ + sign * step, pairs, counts_BU) for sign in (1, -1)]
        scale_B = np.abs(gradient_BQ).max(axis=1) + 1
        assert np.abs((ends[0][0] - ends[1][0]) / 2e-5 - gradient_BQ[:, q]).max() < 1e-6 * scale_B.max()
        scale = np.abs(hessian_BQQ).max()
        assert np.abs((ends[0][1] - ends[1][1]) / 2e-5 - hessian_BQQ[:, q]).max() < 1e-6 * scale


@pytest.mark.parametrize(("components", "zero"), [(1, False), (1, True), (2, False), (2, True)])
def test_no_other_optimiser_finds_more(components: int, zero: bool) -> None:
    rng = np.random.default_rng(1)
    low_Q, high_Q = bounds(3 * components)
    for seed, (z, a, b) in enumerate([(0.0, 0.5, 2.0), (0.3, 2.0, 5.0), (0.0, 40.0, 60.0)]):
        counts_BU = counts(z, a, b, seed=seed)[None]
        theta_BQ, found_B = fit(PAIRS, counts_BU, components=components, zero=zero)
        assert (low_Q <= theta_BQ[0]).all()
        assert (theta_BQ[0] <= high_Q).all()
        assert zero or theta_BQ[0, 0] == 0

        def loss(theta_Q: Floats, counts_BU: Floats = counts_BU) -> float:
            return -float(log_likelihood(theta_Q[None], PAIRS, counts_BU)[0])

        box = [(0, 0 if not zero else 0.999), *zip(low_Q[1:], high_Q[1:], strict=True)]
        for _ in range(3):
            start = rng.normal(size=3 * components)
            start[:components] = rng.uniform(0.05, 0.9, components) * (1, 1)[:components]
            other = minimize(loss, start, method="L-BFGS-B", bounds=box)
            assert found_B[0] >= -other.fun - 1e-3


def test_a_richer_model_is_never_less_likely() -> None:
    counts_BU = np.array([counts(z, a, b, 60, s) for s in range(5) for z, a, b in [(0.0, 0.3, 3), (0.2, 1, 1)]])
    found = {(j, zero): fit(PAIRS, counts_BU, components=j, zero=zero)[1] for j in (1, 2) for zero in (False, True)}
    for poor, rich in [
        ((1, False), (1, True)),
        ((1, False), (2, False)),
        ((1, True), (2, True)),
        ((2, False), (2, True)),
    ]:
        assert (found[rich] >= found[poor] - 1e-3).all()


def test_weightings_are_fitted_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    counts_BU = np.array([counts(0.2, 0.5, 3, 100, seed) for seed in range(7)])
    together_BQ, _ = fit(PAIRS, counts_BU, components=1, zero=True)
    alone = [fit(PAIRS, counts_U[None], components=1, zero=True)[0][0] for counts_U in counts_BU]
    assert together_BQ == pytest.approx(np.array(alone))
    monkeypatch.setattr("reachlab.boundary.mixture_fit.BLOCK", 1)
    assert fit(PAIRS, counts_BU, components=1, zero=True)[0] == pytest.approx(together_BQ)


def test_refits_come_within_their_tolerance() -> None:
    whole_U = counts(0.2, 0.5, 3)
    resampled_BU = np.random.default_rng(0).multinomial(400, whole_U / 400, size=30).astype(np.float64)
    near_BQ, _ = fit(PAIRS, whole_U[None], components=1, zero=True)
    _, refitted_B = fit(PAIRS, resampled_BU, components=1, zero=True, near_Q=near_BQ[0])
    _, cold_B = fit(PAIRS, resampled_BU, components=1, zero=True)
    assert (np.abs(cold_B - refitted_B) < 0.01).all()


def test_zero_is_reached() -> None:
    counts_U = betabinom.pmf(PAIRS.c, N, 1, 3) * 400
    counts_U[0] *= 0.9  # fewer zeros than one beta has: more of them are no help
    theta_BQ, _ = fit(PAIRS, counts_U[None], components=1, zero=True)
    assert theta_BQ[0, 0] == 0


def test_problems_all_alike_go_to_the_bound_and_stop_there() -> None:
    counts_U = betabinom.pmf(PAIRS.c, N, 3e6, 7e6) * 500
    theta_BQ, _ = fit(PAIRS, counts_U[None], components=1, zero=False)
    assert theta_BQ[0, 2] > 7
    assert theta_BQ[0, 2] <= LOG_SIZE_BOUNDS[1]
    assert 1 / (1 + np.exp(-theta_BQ[0, 1])) == pytest.approx(0.3, abs=1e-4)


def test_problems_all_or_nothing() -> None:
    counts_U = np.zeros(N + 1)
    counts_U[[0, N]] = 30, 10
    theta_BQ, found_B = fit(PAIRS, counts_U[None], components=1, zero=False)
    assert np.isfinite(theta_BQ).all()
    assert found_B[0] == pytest.approx(30 * np.log(0.75) + 10 * np.log(0.25), abs=0.05)


@pytest.mark.parametrize("components", [1, 2])
def test_nothing_or_everything_right_is_one_p_with_its_uncertainty(components: int) -> None:
    counts_BU = np.zeros((2, N + 1))
    counts_BU[0, 0], counts_BU[1, N] = 20, 20
    z_B, share_BJ, a_BJ, b_BJ = betas(fit(PAIRS, counts_BU, components=components, zero=True)[0])
    assert (z_B == 0).all()
    assert share_BJ.sum(axis=1) == pytest.approx(np.ones(2))
    assert a_BJ[:, 0] == pytest.approx(np.array([0.5, 0.5 + 20 * N]))
    assert b_BJ[:, 0] == pytest.approx(np.array([0.5 + 20 * N, 0.5]))


def test_a_start_that_leans_against_the_box_can_leave_it() -> None:
    counts_U = counts(0.4, 5, 5)
    theta_BQ, _ = maximise(np.array([[0.0, 0.0, 2.0]]), PAIRS, counts_U[None], zero=True, tolerance=1e-9)
    assert theta_BQ[0, 0] == pytest.approx(0.4, abs=0.08)
