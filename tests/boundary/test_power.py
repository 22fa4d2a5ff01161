import json
from math import comb

import numpy as np
import pytest
from scipy.stats import hypergeom, norm, t

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.power import _Side, overlap_chances, power_analysis
from reachlab.boundary.stopping import Floats, Ints, Stopping
from reachlab.errors import ReachlabError


def outcomes(name: str, n_P: Ints, c_P: Ints) -> Outcomes:
    return Outcomes(name, tuple(f"p{i}" for i in range(len(n_P))), n_P, c_P, np.zeros(len(n_P), np.int64))


def sampled(name: str, p_P: Floats, n: int, rng: np.random.Generator) -> Outcomes:
    return outcomes(name, np.full(len(p_P), n), rng.binomial(n, p_P))


def chances(n: int, p: float) -> Floats:
    return np.array([comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])


def sampling_variance(n: int, p: float, k: int) -> float:
    """The variance of pass@k over all that n samples can be."""
    value_C = pass_at_k(np.full(n + 1, n), np.arange(n + 1), [k])[:, 0]
    return float(chances(n, p) @ value_C**2 - (chances(n, p) @ value_C) ** 2)


@pytest.mark.parametrize(("n", "k"), [(5, 1), (6, 3), (6, 5), (7, 7), (400, 30)])
def test_overlap_chances_are_hypergeometric(n: int, k: int) -> None:
    assert overlap_chances(n, k) == pytest.approx(hypergeom.pmf(np.arange(k + 1), n, k, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5, 6])
@pytest.mark.parametrize("planned", [7, 12, 40])
def test_sampling_variance_is_unbiased_for_any_planned_n(k: int, planned: int) -> None:
    n, p = 12, 0.23
    expected = np.zeros(2)
    for c, chance in enumerate(chances(n, p)):
        side = _Side(outcomes("m", np.array([n]), np.array([c])), fitted=False)
        expected += chance * side.within(k, [planned], fitted=False)
    assert expected[0] == pytest.approx(sampling_variance(n, p, k), rel=1e-9)
    assert expected[1] == pytest.approx(sampling_variance(planned, p, k), rel=1e-9)


def test_closed_form_of_k_1() -> None:
    rng = np.random.default_rng(0)
    base, other = (sampled(name, rng.random(50), 16, rng) for name in "ab")
    plan = power_analysis(base, other, [1], [3], [16, 64])
    at = plan.ks[0]
    within = sum(float((o.c_P * (16 - o.c_P) / (16**2 * 15)).mean()) for o in (base, other))
    between = float(((other.c_P - base.c_P) / 16).var(ddof=1)) - within
    # The band over k = 1 ... 16 is wider than an interval at one k, and that of 50 problems Student's.
    assert 2.1 < plan.critical < 2.9

    def errors(problems: int) -> float:
        return float(-t.ppf(norm.cdf(-plan.critical), problems - 1) + norm.ppf(0.8))

    assert at.within == pytest.approx(within**0.5)
    assert at.between == pytest.approx(between**0.5)
    assert not at.fitted
    assert at.difference == pytest.approx(float((other.c_P - base.c_P).mean() / 16))
    assert at.detectable == pytest.approx(errors(50) * ((between + within) / 50) ** 0.5)
    for needed, samples, variance in zip(at.needed, (16, 64, None), (within, within / 4, 0), strict=True):
        (problems,) = needed.problems
        assert needed.samples == samples
        # That many show it, and one fewer would not.
        assert errors(problems) * ((between + variance) / problems) ** 0.5 <= 0.03
        assert errors(problems - 1) * ((between + variance) / (problems - 1)) ** 0.5 > 0.0299


def test_the_parts_are_unbiased_over_populations() -> None:
    """B and W against the truth, from many pilots."""
    rng = np.random.default_rng(1)
    n, k = 20, 6
    squares: list[tuple[float, float]] = []
    for _ in range(60):
        p_P, q_P = rng.beta(0.6, 3, (2, 100))
        at = power_analysis(sampled("a", p_P, n, rng), sampled("b", q_P, n, rng), [k], [1], [n]).ks[0]
        assert at.between is not None
        assert at.within is not None
        squares.append((at.between**2, at.within**2))
    p = rng.beta(0.6, 3, 200_000)
    within = 2 * np.mean([sampling_variance(n, one, k) for one in p[:1000]])
    assert np.mean(squares, axis=0) == pytest.approx([2 * ((1 - p) ** k).var(), within], rel=0.08)


@pytest.mark.parametrize("k", [40, 64])
def test_k_beyond_half_of_the_samples_stands_on_a_fit(k: int) -> None:
    rng = np.random.default_rng(2)
    n = 64
    p_P, q_P = rng.beta(0.5, 3, 800), rng.beta(0.5, 3, 800)
    at = power_analysis(sampled("a", p_P, n, rng), sampled("b", q_P, n, rng), [k], [1], [n, 200]).ks[0]
    assert at.fitted
    truth = sum(np.mean([sampling_variance(n, x, k) for x in some_P[:200]]) for some_P in (p_P, q_P))
    assert at.within == pytest.approx(truth**0.5, rel=0.08)
    assert at.between == pytest.approx(float(((1 - (1 - p_P) ** k) - (1 - (1 - q_P) ** k)).std()), rel=0.08)


@pytest.mark.slow
def test_the_promised_power_is_there() -> None:
    """A pilot says how many problems show the true difference; experiments of that size find it 80 % of the time.

    k = 1 and k = n are among the situations of `test_promises.py`.
    """
    k, n = 8, 16
    rng = np.random.default_rng(3)

    def chances_of(problems: int) -> tuple[Floats, Floats]:
        p_P = rng.beta(0.7, 2, problems)
        return p_P, np.clip(p_P + 0.05 + 0.08 * rng.normal(size=problems), 0, 1)

    p_P, q_P = chances_of(1_000_000)
    difference = float(((1 - p_P) ** k - (1 - q_P) ** k).mean())
    p_P, q_P = chances_of(3000)
    pilot = sampled("a", p_P, 24, rng), sampled("b", q_P, 24, rng)
    plan = power_analysis(pilot[0], pilot[1], [k], [100 * difference], [n]).ks[0]
    assert plan.needed[0].samples == n
    (problems,) = plan.needed[0].problems
    assert problems > 40
    found, runs = 0, 300
    for seed in range(runs):
        before, after = (sampled(name, one_P, n, rng) for name, one_P in zip("ab", chances_of(problems), strict=True))
        (pair,) = compare([before, after], resamples=400, seed=seed).pairs
        found += bool(pair.difference.sign[k - 1])
    assert found / runs == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / runs) ** 0.5)


def test_more_is_never_worse() -> None:
    rng = np.random.default_rng(4)
    p_P = rng.beta(0.5, 2, 80)
    plan = power_analysis(sampled("a", p_P, 32, rng), sampled("b", p_P**0.9, 32, rng), points=(1, 2, 5))
    assert [at.k for at in plan.ks] == [1, 16, 32]
    assert (plan.problems, plan.samples, plan.points) == (80, 32, (1.0, 2.0, 5.0))
    for at, first in zip(plan.ks, (8, 32, 32), strict=True):
        assert at.needed[0].samples == first
        assert at.needed[-1].samples is None
        table = np.array([needed.problems for needed in at.needed])
        assert (np.diff(table, axis=0) <= 0).all()
        assert (np.diff(table, axis=1) <= 0).all()
    assert json.loads(json.dumps(plan.to_dict(), allow_nan=False))["ks"][0]["needed"][0]["samples"] == 8


def test_models_that_are_the_same_vary_by_sampling_alone() -> None:
    rng = np.random.default_rng(5)
    certain = np.repeat([0.0, 1.0], 20)
    at = power_analysis(sampled("a", certain, 16, rng), sampled("b", certain, 16, rng), [1, 16]).ks
    assert (at[0].between, at[0].within, at[0].detectable) == (0, 0, 0)
    assert all(needed.problems == (1, 1, 1, 1) for needed in at[0].needed)
    assert at[1].within == pytest.approx(0, abs=0.15)


def test_one_sample_of_each_is_a_plan_for_one_sample() -> None:
    rng = np.random.default_rng(7)
    a, b = sampled("a", rng.random(200), 1, rng), sampled("b", rng.random(200), 1, rng)
    (at,) = power_analysis(a, b, points=[2], samples=[1, 64]).ks
    assert (at.between, at.within, at.fitted) == (None, None, False)
    deviation = float((b.c_P - a.c_P).std(ddof=1))
    # At one k the band is an interval, but for what 2,000 resamples know of its width.
    errors = t.ppf(0.975, 199) + norm.ppf(0.8)
    assert at.detectable == pytest.approx(errors * deviation / 200**0.5, rel=0.03)
    (needed,) = at.needed
    assert needed.samples == 1
    assert needed.problems[0] == pytest.approx((errors * deviation / 0.02) ** 2, rel=0.06)


def test_only_common_scored_problems_count() -> None:
    a = Outcomes("a", ("x", "y", "z", "w"), np.array([8, 0, 6, 9]), np.array([1, 0, 6, 3]), np.array([0, 8, 2, 0]))
    b = Outcomes("b", ("w", "z", "y", "x"), np.array([5, 7, 8, 8]), np.array([1, 0, 2, 3]), np.array([0, 1, 0, 0]))
    plan = power_analysis(a, b, [1, 5])
    assert (plan.problems, plan.samples) == (3, 5)
    assert plan.ks[0].difference == pytest.approx(np.mean([2 / 8, -1, 1 / 5 - 3 / 9]))


def test_refuses() -> None:
    rng = np.random.default_rng(6)
    a, b = sampled("a", np.full(5, 0.5), 8, rng), sampled("b", np.full(5, 0.5), 8, rng)
    with pytest.raises(ReachlabError, match="k = 9 is outside 1 to 8"):
        power_analysis(a, b, [1, 9])
    with pytest.raises(ReachlabError, match=r"level=95 must be between 0 and 1"):
        power_analysis(a, b, level=95)
    with pytest.raises(ReachlabError, match=r"power=1\.0 must be between"):
        power_analysis(a, b, power=1.0)
    with pytest.raises(ReachlabError, match="above 0 points"):
        power_analysis(a, b, points=[2, 0])
    with pytest.raises(ReachlabError, match="samples=0 must be 1 or more"):
        power_analysis(a, b, samples=[0])
    with pytest.raises(ReachlabError, match="both models are called a"):
        power_analysis(a, a)
    one = a.select(["p0"])
    with pytest.raises(ReachlabError, match="a and b have scored samples of 1 common problems; it takes 2"):
        power_analysis(one, b)
    stopped = Outcomes(
        "s", ("a",), np.array([4]), np.array([1]), np.array([0]), Stopping(enough=1, before_P=np.array([2]))
    )
    with pytest.raises(ReachlabError, match="s was sampled adaptively"):
        power_analysis(a, stopped)
