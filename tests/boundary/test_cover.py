from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.averaged_fit import WeightedFit
from reachlab.boundary.beta_binomial import BetaBinomial
from reachlab.boundary.cover import TAUS, at_least, cover, cover_difference
from reachlab.boundary.extrapolation import extrapolate
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Floats, Stopping
from reachlab.errors import ReachlabError


def sampled(name: str, p_P: Floats, n: int, seed: int = 0) -> Outcomes:
    ids = tuple(f"p{i}" for i in range(len(p_P)))
    c_P = np.random.default_rng(seed).binomial(n, p_P)
    return Outcomes(name, ids, np.full(len(p_P), n), c_P, np.zeros(len(p_P), np.int64))


def test_edges_are_whole_numbers() -> None:
    """Each of these is wrong with floating point: 0.3 × 10 > 3, 0.07 × 100 > 7, 0.57 × 100 < 57, ..."""
    for percent in range(1, 101):
        for n in (10, 100, 1000, 300_000, 1_000_000):
            exact, remainder = divmod(percent * n, 100)
            needed = exact + bool(remainder)
            found = at_least(np.array([n, n]), np.array([needed - 1, needed]), [percent / 100])
            assert found.tolist() == [[0], [1]]


@given(n=st.integers(1, 1_000_000), c=st.integers(0, 1_000_000), tau=st.floats(1e-9, 1))
def test_at_least(n: int, c: int, tau: float) -> None:
    c = min(c, n)
    written = Fraction(str(tau))
    assert at_least(np.array([n]), np.array([c]), [tau])[0, 0] == (c >= written * n)


def test_measured_falls_from_the_solved_share_to_the_share_of_certain_problems() -> None:
    given = sampled("m", np.random.default_rng(0).beta(0.4, 0.6, 300), 32)
    found = cover(given, [1e-6, *TAUS], resamples=200)
    assert (np.diff(found.values) <= 0).all()
    assert (np.diff(found.smoothed) <= 0).all()
    assert found.values[0] == (given.c_P > 0).mean()
    assert found.values[-1] == (given.c_P == 32).mean()
    assert (found.low <= found.values + 1e-6).all()
    assert (found.values - 1e-6 <= found.high).all()
    assert found.name == "m"


def test_pass_at_k_is_a_mean_of_cover() -> None:
    """pass@k = E[Cover@τ] over τ ~ Beta(1, k), here of the plug-in: 1 − (1 − c/n)^k."""
    given = sampled("m", np.random.default_rng(1).beta(0.5, 1, 50), 16)
    taus = (np.arange(20_000) + 0.5) / 20_000
    covered_K = at_least(given.n_P, given.c_P, taus.tolist()).mean(axis=0)
    for k in (1, 4, 16):
        weight_K = k * (1 - taus) ** (k - 1)
        plug_in = (1 - (1 - given.c_P / given.n_P) ** k).mean()
        assert (covered_K * weight_K).mean() == pytest.approx(plug_in, abs=1e-3)


def test_smoothed_takes_the_noise_off() -> None:
    rng = np.random.default_rng(2)
    taus = [0.1, 0.25, 0.5, 0.9]
    measured, smoothed = [], []
    for seed in range(5):
        p_P = rng.beta(0.5, 5, 400)
        truth_K = (p_P[:, None] >= taus).mean(axis=0)
        found = cover(sampled("m", p_P, 8, seed), taus, resamples=10)
        measured.append(np.abs(found.values - truth_K).mean())
        smoothed.append(np.abs(found.smoothed - truth_K).mean())
    assert np.mean(smoothed) < np.mean(measured) / 3


def test_difference_is_paired() -> None:
    rng = np.random.default_rng(3)
    p_P = rng.random(200)
    base, other = sampled("base", p_P, 100, 1), sampled("other", np.minimum(p_P + 0.03, 1), 100, 2)
    alone = cover(base, [0.5], resamples=500)
    found = cover_difference(base, other, [0.5], resamples=500)
    assert (found.base, found.name, found.problems) == ("base", "other", 200)
    assert found.values == pytest.approx(cover(other, [0.5], resamples=10).values - alone.values)
    assert found.low[0] <= found.values[0] <= found.high[0]
    assert found.high[0] - found.low[0] < (alone.high[0] - alone.low[0]) * 0.7
    reverse = cover_difference(other, base, [0.5], resamples=500)
    assert reverse.values == pytest.approx(-found.values)


def test_fits_may_be_handed_in() -> None:
    given = sampled("m", np.random.default_rng(4).random(40), 16)
    fits = extrapolate(given, [16], resamples=2).fits
    assert cover(given, [0.3], fits=fits, resamples=2).smoothed == pytest.approx(
        cover(given, [0.3], resamples=2).smoothed
    )
    narrow = (WeightedFit(fit=BetaBinomial(0.0, np.array([9e5]), np.array([1e5])), weight=1.0),)
    assert cover(given, [0.8, 0.95], fits=narrow, resamples=2).smoothed == pytest.approx(np.array([1.0, 0.0]))
    assert cover_difference(given, given, [0.8], fits=(narrow, fits), resamples=2).smoothed[0] < -0.5


def test_difference_is_over_common_scored_problems() -> None:
    a = Outcomes("a", ("x", "y", "z", "only a"), np.array([8, 0, 6, 8]), np.array([1, 0, 6, 8]), np.array([0, 8, 2, 0]))
    b = Outcomes("b", ("z", "y", "x"), np.array([7, 8, 8]), np.array([0, 2, 3]), np.array([1, 0, 0]))
    found = cover_difference(a, b, [0.2, 1.0], resamples=10)
    assert found.problems == 2
    assert found.values.tolist() == [0.0, -0.5]
    with pytest.raises(ReachlabError, match="a and c have no scored samples of a common problem"):
        cover_difference(a, Outcomes("c", ("q",), np.array([1]), np.array([1]), np.array([0])), [0.5])


def test_a_million_samples_and_all_alike() -> None:
    same = Outcomes("m", ("a", "b"), np.array([10**6] * 2), np.array([3 * 10**5] * 2), np.zeros(2, np.int64))
    found = cover(same, [0.29, 0.3, 0.31], resamples=10)
    assert found.values.tolist() == [1, 1, 0]
    assert found.smoothed[[0, 2]] == pytest.approx(np.array([1.0, 0.0]), abs=1e-6)
    assert pass_at_k([4], [2], [1])[0, 0] == at_least(np.array([4]), np.array([2]), [0.5])[0, 0] / 2


def test_refuses() -> None:
    good = sampled("m", np.full(3, 0.5), 4)
    for taus in ([0.0], [1.1], [-0.5, 0.5], [], [float("nan")]):
        with pytest.raises(ReachlabError, match="every τ must be above 0 and at most 1"):
            cover(good, taus)
    with pytest.raises(ReachlabError, match="m has no scored sample"):
        cover(Outcomes("m", ("a",), np.array([0]), np.array([0]), np.array([3])))
    stopped = Outcomes(
        "m", ("a",), np.array([4]), np.array([1]), np.array([0]), Stopping(enough=1, before_P=np.array([2]))
    )
    with pytest.raises(ReachlabError, match="m was sampled adaptively"):
        cover(stopped)
    with pytest.raises(ReachlabError, match="m was sampled adaptively"):
        cover_difference(good, stopped)
