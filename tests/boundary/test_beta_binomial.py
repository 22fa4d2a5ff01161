from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import betabinom

from reachlab.boundary.beta_binomial import BetaBinomial, fit_beta_binomial, from_parameters
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError

ONE = BetaBinomial(0.2, np.array([0.5]), np.array([4.0]))
TWO = BetaBinomial(0.1, np.array([0.7, 6.0]), np.array([9.0, 2.0]), np.array([0.6, 0.4]))
IMPOSSIBLE = BetaBinomial(1.0, np.ones(1), np.ones(1))

fits = st.builds(
    lambda z, a, b, c, d, w: BetaBinomial(z, np.array([a, c]), np.array([b, d]), np.array([w, 1 - w])),
    st.floats(0, 0.95),
    *[st.floats(1e-3, 1e3)] * 4,
    st.floats(0, 1),
)


def expected(fit: BetaBinomial, of_p: Callable[[float], float], n: int = 0, c: int = 0) -> float:
    """The mean of a function of p given (n, c), by numerical integration."""

    def mean(f: Callable[[float], float]) -> float:
        total = fit.zero * f(0.0)
        for a, b, share in zip(fit.alpha, fit.beta, fit.share, strict=True):
            # Over p^a, which takes the pole of the density at 0 away.
            value, _ = quad(lambda x, a=a, b=b: f(x ** (1 / a)) * (1 - x ** (1 / a)) ** (b - 1), 0, 1, limit=100)
            total += (1 - fit.zero) * share * value / a / np.exp(betaln(a, b))
        return float(total)

    def seen(p: float) -> float:
        return comb(n, c) * p**c * (1 - p) ** (n - c)

    return mean(lambda p: of_p(p) * seen(p)) / mean(seen)


def solved_in(k: int) -> Callable[[float], float]:
    return lambda p: 1 - (1 - p) ** k


def test_log_likelihood_is_that_of_scipy() -> None:
    n_P, c_P = np.array([8, 8, 8, 20, 0]), np.array([0, 3, 3, 20, 0])
    chance_P = 0.8 * betabinom.pmf(c_P, n_P, 0.5, 4.0) + 0.2 * (c_P == 0)
    assert ONE.log_likelihood(n_P, c_P) == pytest.approx(np.log(chance_P).sum())
    assert IMPOSSIBLE.log_likelihood([3, 3], [0, 0]) == 0
    assert IMPOSSIBLE.log_likelihood([3], [1]) == -np.inf


@pytest.mark.parametrize("fit", [ONE, TWO])
def test_predictions_are_integrals_over_p(fit: BetaBinomial) -> None:
    ks = [1, 7, 50]
    assert fit.pass_at_k(ks) == pytest.approx([expected(fit, solved_in(k)) for k in ks], rel=1e-6)
    n_P, c_P = [5, 5, 9], [0, 2, 9]
    solved_PK = fit.posterior_pass_at_k(n_P, c_P, ks)
    above_PK = fit.posterior_share_at_least(n_P, c_P, [0.1, 0.5])
    for i, (n, c) in enumerate(zip(n_P, c_P, strict=True)):
        solved = [expected(fit, solved_in(k), n, c) for k in ks]
        assert solved_PK[i] == pytest.approx(solved, rel=1e-6)
        above = [expected(fit, lambda p, tau=tau: float(p >= tau), n, c) for tau in (0.1, 0.5)]  # type: ignore[misc]
        assert above_PK[i] == pytest.approx(above, abs=1e-3)
    assert fit.share_at_least([0.25]) == pytest.approx([expected(fit, lambda p: float(p >= 0.25))], abs=1e-3)
    assert fit.share_at_least(0).tolist() == [1.0]
    chances = fit.solved_chance([5, 12, 5, 5], [0, 0, 1, 0], [3, 3, 3, 40])
    assert chances[2] == 1
    for found, n, more in ((chances[0], 5, 3), (chances[1], 12, 3), (chances[3], 5, 40)):
        assert found == pytest.approx(expected(fit, solved_in(more), n), rel=1e-6)


@given(fit=fits, n=st.integers(0, 10_000), c=st.integers(0, 10_000))
def test_predictions_are_chances_and_grow(fit: BetaBinomial, n: int, c: int) -> None:
    c = min(c, n)
    ks = [1, 2, 16, 1024, 10**6, 10**9]
    for values_K in (
        fit.pass_at_k(ks),
        fit.posterior_pass_at_k([n], [c], ks)[0],
        fit.solved_chance([n] * len(ks), [c] * len(ks), ks),
        1 - fit.share_at_least([0, 0.001, 0.3, 0.999, 1]),
        1 - fit.posterior_share_at_least([n], [c], [0, 0.001, 0.3, 0.999, 1])[0],
    ):
        assert ((values_K >= -1e-9) & (values_K <= 1 + 1e-9)).all()
        assert (np.diff(values_K) >= -1e-9).all()
    assert fit.pass_at_k([10**9])[0] <= 1 - fit.zero + 1e-9


@given(fit=fits, k=st.integers(1, 30))
def test_drawing_on_is_pass_at_k(fit: BetaBinomial, k: int) -> None:
    """Solved after n samples, or else in k more: pass@(n + k)."""
    n = 10
    at_once, unsolved = fit.pass_at_k([n + k])[0], 1 - fit.pass_at_k([n])[0]
    assert 1 - unsolved * (1 - fit.solved_chance([n], [0], k)[0]) == pytest.approx(at_once, abs=1e-9)


def test_fit_finds_what_it_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    n_P = rng.integers(30, 200, 40_000)
    c_P = rng.binomial(n_P, rng.beta(0.6, 3.0, len(n_P)) * (rng.random(len(n_P)) < 0.75))
    fit = fit_beta_binomial(n_P, c_P)
    assert fit.zero == pytest.approx(0.25, abs=0.015)
    assert (fit.alpha[0], fit.beta[0]) == pytest.approx((0.6, 3.0), rel=0.05)
    measured_K = pass_at_k(n_P, c_P, [1, 4, 16, 30]).mean(axis=0)
    assert fit.pass_at_k([1, 4, 16, 30]) == pytest.approx(measured_K, abs=0.005)
    assert fit_beta_binomial(n_P, c_P, zero=False).zero == 0


def test_two_betas_for_easy_and_hard() -> None:
    rng = np.random.default_rng(1)
    c_P = rng.binomial(64, np.where(rng.random(4000) < 0.5, rng.beta(8, 2, 4000), rng.beta(1, 20, 4000)))
    n_P = np.full(4000, 64)
    one, two = fit_beta_binomial(n_P, c_P, zero=False), fit_beta_binomial(n_P, c_P, components=2, zero=False)
    assert two.log_likelihood(n_P, c_P) > one.log_likelihood(n_P, c_P) + 100
    means = np.sort(two.alpha / (two.alpha + two.beta))
    assert means == pytest.approx([1 / 21, 0.8], abs=0.02)


def test_samples_that_were_stopped_fit_as_well() -> None:
    """Drawn until the first right one, or 64: the rule is no part of the likelihood."""
    rng = np.random.default_rng(2)
    first_P = rng.geometric(np.maximum(rng.beta(0.8, 4.0, 40_000), 1e-12))
    fit = fit_beta_binomial(np.minimum(first_P, 64), first_P <= 64, zero=False)
    assert (fit.alpha[0], fit.beta[0]) == pytest.approx((0.8, 4.0), rel=0.05)


def test_fewer_samples_than_could_tell() -> None:
    for n_P, c_P in (([1], [0]), ([1], [1]), ([1, 1, 1], [0, 1, 1]), ([7], [3]), ([4, 0], [4, 0]), ([10**6], [1])):
        for components in (1, 2):
            fit = fit_beta_binomial(n_P, c_P, components=components)
            chance = fit.solved_chance([10], [0], 5)[0]
            assert 0 <= chance <= 1
            assert np.isfinite(fit.log_likelihood(n_P, c_P))
    none_right = fit_beta_binomial([50] * 4, [0] * 4)
    assert 0 < none_right.solved_chance([50], [0], 50)[0] < 0.2
    assert fit_beta_binomial([50] * 4, [50] * 4).pass_at_k([1])[0] > 0.99


def test_a_million_samples() -> None:
    rng = np.random.default_rng(3)
    n_P = np.full(300, 1_000_000)
    fit = fit_beta_binomial(n_P, rng.binomial(n_P, rng.beta(0.5, 5, 300)))
    assert fit.alpha[0] == pytest.approx(0.5, rel=0.25)


def test_parameters_and_fits_are_the_same_thing() -> None:
    (fit,) = from_parameters(np.array([[0.1, 0.3, 0.0, np.log(4.0), np.log(3.0), np.log(8.0)]]))
    assert (fit.zero, *fit.share, *fit.alpha, *fit.beta) == pytest.approx((0.1, 0.7, 0.3, 2, 6, 2, 2))


@pytest.mark.parametrize(
    ("n_P", "c_P", "message"),
    [
        ([3], [4], "problem 0 has c = 4 correct of n = 3"),
        ([3, 3], [-1, 0], "c = -1"),
        ([3, 3], [1], "one length"),
        ([0, 0], [0, 0], "no scored sample"),
        ([], [], "no scored sample"),
    ],
)
def test_refuses(n_P: list[int], c_P: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        fit_beta_binomial(n_P, c_P)


def test_refuses_parameters() -> None:
    with pytest.raises(ReachlabError, match="components=3"):
        fit_beta_binomial([3], [1], components=3)
    for zero, a, b, share in ((1.2, 1, 1, 1), (0.5, 0, 1, 1), (0.5, 1, np.inf, 1), (0.5, 1, 1, 0.9)):
        with pytest.raises(ReachlabError, match="must be shares"):
            BetaBinomial(zero, np.array([a]), np.array([b]), np.array([share]))
