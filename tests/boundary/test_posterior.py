import numpy as np
import pytest

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.posterior import posterior_pass_at_k


def outcomes(n: int, c_P: list[int]) -> Outcomes:
    ids = tuple(map(str, range(len(c_P))))
    return Outcomes("m", ids, np.full(len(c_P), n), np.array(c_P), np.zeros(len(c_P), np.int64))


def test_none_of_ten_is_not_never() -> None:
    found = posterior_pass_at_k(outcomes(1, [0] * 10), np.array([1]))
    assert 0 < found.values[0] < 0.15
    assert 0.1 < found.high[0] < 0.35
    assert found.low[0] < 0.01


def test_one_sample_each_is_not_pulled_to_a_third() -> None:
    """A flat prior a problem would make 10 % of 200 problems 37 %."""
    found = posterior_pass_at_k(outcomes(1, [1] * 20 + [0] * 180), np.array([1]))
    assert found.values[0] == pytest.approx(0.1, abs=0.01)
    assert 0.05 < found.low[0] < 0.09 < 0.11 < found.high[0] < 0.16


def test_many_samples_are_the_plain_mean() -> None:
    found = posterior_pass_at_k(outcomes(4000, [400, 2000, 3600]), np.array([1, 2]))
    p_P = np.array([0.1, 0.5, 0.9])
    assert found.values == pytest.approx([0.5, (1 - (1 - p_P) ** 2).mean()], abs=2e-3)
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.96 * (sum(p_P * (1 - p_P)) / 4000) ** 0.5 / 3, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "n"), [(30, 1), (100, 1), (30, 4), (100, 16)])
def test_intervals_cover(problems: int, n: int) -> None:
    rng, held, simulations = np.random.default_rng(0), 0, 300
    for _ in range(simulations):
        p_P = rng.beta(0.3, 3, problems)
        found = posterior_pass_at_k(outcomes(n, rng.binomial(n, p_P).tolist()), np.array([1]))
        held += bool(found.low[0] <= p_P.mean() <= found.high[0])
    assert held / simulations >= 0.92


@pytest.mark.parametrize("share", [0.001, 0.01, 0.097, 0.5, 0.985])
def test_of_thousands_of_problems_it_is_as_sure_as_counting(share: float) -> None:
    """The prior is then known to a part of a percent, and no coarser grid may stand for it."""
    right = round(5000 * share)
    found = posterior_pass_at_k(outcomes(1, [1] * right + [0] * (5000 - right)), np.array([1]))
    error = (share * (1 - share) / 5000) ** 0.5
    assert found.values[0] == pytest.approx(share, abs=0.35 * error)
    assert error < found.high[0] - found.low[0] < 2 * 2.1 * error


def test_of_thousands_of_easy_problems_the_truth_is_held() -> None:
    p_P = np.random.default_rng(1).beta(19, 1, 1319) ** 0.5
    found = posterior_pass_at_k(outcomes(4, np.random.default_rng(2).binomial(4, p_P).tolist()), np.array([1]))
    assert found.low[0] < p_P.mean() < found.high[0] < found.low[0] + 0.012
