import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.boundary.averaged_fit import Unknown, fit_average
from reachlab.boundary.extrapolation import extrapolate, fit_beta_binomial
from reachlab.boundary.mixture_fit import Pairs
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Floats, Ints, Stopping
from reachlab.errors import ReachlabError


def outcomes(n_P: Ints | list[int], c_P: Ints | list[int], stopping: Stopping | None = None) -> Outcomes:
    ids = tuple(f"p{i}" for i in range(len(n_P)))
    return Outcomes("m", ids, np.array(n_P), np.array(c_P), np.zeros(len(n_P), np.int64), stopping)


def sampled(p_P: Floats, n: int, seed: int = 0) -> Outcomes:
    return outcomes(np.full(len(p_P), n), np.random.default_rng(seed).binomial(n, p_P))


def solved(p_P: Floats, k: int) -> float:
    return float((1 - (1 - p_P) ** k).mean())


BETA = np.random.default_rng(0).beta(0.5, 5, 400)


def test_measured_stays_and_the_curve_goes_on_from_it() -> None:
    given = sampled(BETA, 64)
    ks = [1, 16, 64, 65, 80, 256, 1024, 10**6, 10**9]
    found = extrapolate(given, ks, resamples=20)
    assert found.values[:3] == pytest.approx(pass_at_k(given.n_P, given.c_P, [1, 16, 64]).mean(axis=0))
    assert 0 < found.values[3] - found.values[2] < 0.01
    assert (np.diff(found.values) > 0).all()
    assert (found.low <= found.values + 1e-6).all()
    assert (found.values - 1e-6 <= found.high).all()
    assert found.values[-1] <= 1
    for k, value in zip(ks[5:7], found.values[5:7], strict=True):
        assert value == pytest.approx(solved(BETA, k), abs=0.03)


def test_the_order_of_the_ks_does_not_matter() -> None:
    given = sampled(BETA[:60], 16)
    found = extrapolate(given, [100, 1, 16, 100], resamples=10)
    assert found.x.tolist() == [1, 16, 100]
    assert found.values == pytest.approx(extrapolate(given, [1, 16, 100], resamples=10).values)


@settings(max_examples=8)
@given(data=st.data())
def test_any_counts_give_a_curve(data: st.DataObject) -> None:
    n_P = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any))
    c_P = [data.draw(st.integers(0, n)) for n in n_P]
    found = extrapolate(outcomes(n_P, c_P), [1, 7, 50, 3000], resamples=5)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    assert ((found.low >= 0) & (found.high <= 1) & (found.low <= found.high)).all()
    # Across a k that only some problems were sampled for, the fit of these stands beside what others measured.
    if len({n for n in n_P if n}) == 1:
        assert (np.diff(found.values) >= -1e-12).all()


def test_back_test_extrapolates_thinned_samples() -> None:
    given = sampled(BETA, 256)
    found = extrapolate(given, [512], resamples=5, seed=3)
    quarter, sixteenth = found.back_tests
    assert (quarter.part, quarter.samples, quarter.ks.tolist()) == (4, 64, [128, 256])
    assert (sixteenth.part, sixteenth.samples, sixteenth.ks.tolist()) == (16, 16, [32, 64, 128, 256])
    for test in found.back_tests:
        assert test.observed == pytest.approx(pass_at_k(given.n_P, given.c_P, test.ks).mean(axis=0))
        assert (test.error >= np.abs(test.predicted - test.observed) - 1e-12).all()
        assert (test.error < 0.1).all()
    # The last part again, by hand.
    rng = np.random.default_rng((3, 16))
    thinned_IP = rng.hypergeometric(given.c_P, given.n_P - given.c_P, 16, size=(4, 400))
    pairs = Pairs(np.full(17, 16), np.arange(17))
    counts_IU = np.array([np.bincount(c_P, minlength=17) for c_P in thinned_IP], np.float64)
    predicted_IK = fit_average(pairs, counts_IU).mean(Unknown.of(pairs, sixteenth.ks, stopped=False))
    assert sixteenth.predicted == pytest.approx(predicted_IK.mean(axis=0), abs=1e-4)
    assert sixteenth.error == pytest.approx(np.abs(predicted_IK - sixteenth.observed).mean(axis=0), abs=1e-4)


def test_the_interval_is_never_narrower_than_the_back_test_error() -> None:
    rng = np.random.default_rng(0)
    given = sampled(1 / (1 + np.exp(-rng.normal(-3, 2, 150))), 64)
    found = extrapolate(given, [64, 128, 256, 512, 1024, 10**5], resamples=10)
    quarter, sixteenth = found.back_tests
    error_K = np.array([0, *quarter.error, *sixteenth.error[2:], sixteenth.error[-1]])
    assert (found.low <= np.maximum(found.values - error_K, 0) + 1e-12).all()
    assert (found.high >= np.minimum(found.values + error_K, 1) - 1e-12).all()
    between = extrapolate(given, [180], resamples=10)
    assert between.low[0] <= between.values[0] - quarter.error.min() + 1e-12


def test_trust_goes_as_far_as_the_back_test_is_right() -> None:
    given = sampled(BETA[:40], 128)
    generous, strict, none = (extrapolate(given, [1024], resamples=5, tolerance=t) for t in (0.3, 0.02, 1e-9))
    assert generous.trusted_to == 16 * 128
    assert generous.trusted
    assert generous.words.startswith("trusted to k = 2,048: from 32 samples it was ")
    assert 128 <= strict.trusted_to < generous.trusted_to
    assert not strict.trusted
    assert none.trusted_to == 128
    assert not extrapolate(given, [2049], resamples=5, tolerance=0.3).trusted


@pytest.mark.parametrize(
    ("n_P", "c_P", "words"),
    [
        ([15] * 30, [3] * 30, "a back-test needs 16 samples of every problem"),
        ([64] * 30, [0] * 30, "no sample is right, so there is nothing to go by"),
        ([64] * 19, [9] * 19, "19 problems are too few for a back-test"),
        ([64] * 29 + [9], [9] * 30, "a back-test needs 16"),
    ],
)
def test_not_trusted(n_P: list[int], c_P: list[int], words: str) -> None:
    found = extrapolate(outcomes(n_P, c_P), [1000], resamples=5)
    assert found.trusted_to == min(n_P)
    assert not found.trusted
    assert words in found.words
    assert f"not trusted beyond k = {min(n_P)}" in found.words


def test_what_is_measured_is_trusted() -> None:
    assert extrapolate(outcomes([8] * 3, [1, 0, 2]), [1, 8], resamples=5).trusted


def test_nothing_right_is_no_proof_and_everything_right_is() -> None:
    nothing = extrapolate(outcomes([32] * 40, [0] * 40), [32, 1024], resamples=10)
    assert nothing.values[0] == 0 < nothing.values[1] < 0.3
    assert (nothing.low[1], nothing.high[1]) == (0, 1)
    everything = extrapolate(outcomes([32] * 40, [32] * 40), [1, 1024], resamples=10)
    assert everything.values.tolist() == [1, 1]
    # Of other problems some may be wrong at first: all of 40 were right, so 91 % or more are.
    assert everything.low.tolist() == pytest.approx([0.025 ** (1 / 40), 1])


def test_problems_may_differ_in_n_and_unscored_ones_are_left_out() -> None:
    n_P, c_P = np.array([64, 16, 0, 64, 32]), np.array([0, 4, 0, 9, 0])
    found = extrapolate(outcomes(n_P, c_P), [16, 32, 100], resamples=10)
    assert found.largest_k == 16
    used = [0, 1, 3, 4]
    assert found.values[0] == pytest.approx(pass_at_k(n_P[used], c_P[used], [16]).mean())
    parts = [pass_at_k([64], [0], [32])[0, 0], 1.0, pass_at_k([64], [9], [32])[0, 0], 0.0]
    assert found.values[1] == pytest.approx(np.mean(parts))
    hundred = sum(one.weight * one.fit.solved_chance(n_P[used], c_P[used], 100 - n_P[used]) for one in found.fits)
    assert found.values[2] == pytest.approx(np.mean(hundred), abs=1e-9)


def test_stopped_samples_are_extrapolated_without_a_back_test() -> None:
    rng = np.random.default_rng(1)
    p_P = rng.beta(0.5, 5, 2000)
    first_P = rng.geometric(np.maximum(p_P, 1e-12))
    looks = np.array([1, 2, 4, 8, 16, 32, 64])
    at_P = np.searchsorted(looks, np.minimum(first_P, 64))
    n_P = looks[at_P]
    extra_P = rng.binomial(n_P - np.minimum(first_P, n_P), p_P)
    c_P = np.where(first_P <= 64, 1 + extra_P, 0)
    before_P = np.where(first_P <= 64, np.where(at_P > 0, looks[at_P - 1], 0), -1)
    given = outcomes(n_P, c_P, Stopping(enough=1, before_P=before_P))
    found = extrapolate(given, [1, 64, 256, 1024], resamples=20)
    assert found.largest_k == 64
    assert found.back_tests == ()
    assert not found.trusted
    assert "cannot be back-tested" in found.words
    assert found.values == pytest.approx([solved(p_P, k) for k in (1, 64, 256, 1024)], abs=0.04)
    assert found.low[2] < solved(p_P, 256) < found.high[2]


def test_bootstrap_is_over_problems() -> None:
    """Where all are solved or never will be, the interval is that of a share."""
    found = extrapolate(outcomes([200] * 100, [200] * 60 + [0] * 40), [2000], resamples=400)
    assert found.values[0] == pytest.approx(0.6, abs=0.01)
    assert (found.low[0], found.high[0]) == pytest.approx((0.5, 0.7), abs=0.03)


def test_seed_decides() -> None:
    given = sampled(BETA[:80], 32)
    first, again, other = (extrapolate(given, [100], resamples=20, seed=s) for s in (1, 1, 2))
    assert first.low == again.low
    assert first.back_tests[0].error.tolist() == again.back_tests[0].error.tolist()
    assert first.low != other.low
    assert first.values == other.values


def test_names_stay_and_fields_are_plain() -> None:
    found = extrapolate(sampled(BETA[:40], 32), [64], resamples=5)
    assert found.name == "m"
    assert json.dumps([found.words, found.trusted, found.trusted_to, [one.weight for one in found.fits]])
    assert fit_beta_binomial([4], [1]).pass_at_k([1])[0] == pytest.approx(0.25, abs=0.01)


def test_refuses() -> None:
    good = outcomes([4, 4], [0, 1])
    with pytest.raises(ReachlabError, match="every k must be at least 1"):
        extrapolate(good, [0, 3])
    with pytest.raises(ReachlabError, match="there must be one"):
        extrapolate(good, [])
    with pytest.raises(ReachlabError, match="m has no problem with a scored sample"):
        extrapolate(outcomes([0], [0]), [3])
    with pytest.raises(ReachlabError, match="level 2"):
        extrapolate(good, [3], level=2)
    with pytest.raises(ReachlabError, match="resamples=1 "):
        extrapolate(good, [3], resamples=1)


@pytest.mark.slow
def test_closer_than_log_log_regression() -> None:
    """From 64 samples of 500 problems to pass@1024, with and without impossible problems."""
    rng = np.random.default_rng(5)
    pairs = Pairs(np.full(65, 64), np.arange(65))
    unknown = Unknown.of(pairs, np.array([1024]), stopped=False)
    ks = 2 ** np.arange(7)
    table_UK = pass_at_k(pairs.n, pairs.c, ks)
    ours, theirs = [], []
    shapes: list[Callable[[], Floats]] = [
        lambda: rng.beta(0.3, 3, 500) * (rng.random(500) >= 0.2),
        lambda: rng.beta(0.5, 5, 500),
        lambda: rng.beta(0.2, 1, 500) * (rng.random(500) >= 0.2),
        lambda: rng.beta(1, 10, 500),
    ]
    for shape in shapes:
        p_RP = np.array([shape() for _ in range(8)])
        counts_RU = np.array([np.bincount(c_P, minlength=65) for c_P in rng.binomial(64, p_RP)]).astype(np.float64)
        truth_R = np.array([solved(p_P, 1024) for p_P in p_RP])
        ours.append(np.abs(fit_average(pairs, counts_RU).mean(unknown)[:, 0] - truth_R).mean())
        lines = [np.polyfit(np.log(ks), np.log(-np.log(curve_K)), 1) for curve_K in counts_RU @ table_UK / 500]
        guess_R = np.array([np.exp(-np.exp(np.polyval(line, np.log(1024)))) for line in lines])
        theirs.append(np.abs(guess_R - truth_R).mean())
    assert np.mean(ours) < 0.025
    assert np.mean(ours) < np.mean(theirs) / 2


@pytest.mark.slow
def test_intervals_hold_the_population() -> None:
    rng = np.random.default_rng(6)
    held, truth = 0, solved(rng.beta(0.5, 5, 1_000_000) * (rng.random(1_000_000) >= 0.2), 256)
    for i in range(10):
        p_P = rng.beta(0.5, 5, 100) * (rng.random(100) >= 0.2)
        found = extrapolate(sampled(p_P, 15, seed=i), [256], resamples=40, seed=i)
        held += bool(found.low[0] <= truth <= found.high[0])
        assert found.high[0] - found.low[0] < 0.7
    assert held >= 8


def test_a_part_without_right_samples_can_be_back_tested() -> None:
    """Thinning may leave nothing right."""
    found = extrapolate(outcomes([64] * 25, [1] + [0] * 24), [128], resamples=10)
    assert all(np.isfinite(test.error).all() for test in found.back_tests)
    assert replace(found, seed=1).trusted == found.trusted
