import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reachlab.boundary.exact import fisher_p, holm, mid_p_mcnemar

counts = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=5))
def test_equals_scipys(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    (n_P, c_P), (other_n_P, other_c_P) = (np.array(x).T for x in zip(*pairs, strict=True))
    expected = [stats.fisher_exact([[c, n - c], [oc, on - oc]])[1] for (n, c), (on, oc) in pairs]
    assert fisher_p(n_P, c_P, other_n_P, other_c_P) == pytest.approx(expected, rel=1e-6)


def test_large_numbers() -> None:
    p_P = fisher_p([10**6, 10**6], [0, 500], [10**6, 10**6], [40, 520])
    assert p_P[0] == pytest.approx(2 * 0.5**40, rel=0.01)  # all 40 on one side, or all on the other
    z = 20 / 1020**0.5
    assert p_P[1] == pytest.approx(2 * stats.norm.sf(z - 0.5 / 1020**0.5 * 2), rel=0.05)


def test_nothing_gives_nothing() -> None:
    assert len(fisher_p([], [], [], [])) == 0


def test_it_is_exact() -> None:
    """Equal models: p at most α in at most a share α of all outcomes, weighed by their chance."""
    n, chance = 12, 0.3
    c, other = (x.ravel() for x in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    weight = stats.binom.pmf(c, n, chance) * stats.binom.pmf(other, n, chance)
    p = fisher_p(np.full(len(c), n), c, np.full(len(c), n), other)
    for alpha in (0.01, 0.05, 0.2):
        assert weight[p <= alpha].sum() <= alpha


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_is_the_step_down(p: list[float], alpha: float) -> None:
    rejected, order = set[int](), sorted(range(len(p)), key=lambda i: p[i])
    for step, i in enumerate(order):
        if p[i] * (len(p) - step) > alpha:
            break
        rejected.add(i)
    assert set(np.flatnonzero(holm(np.array(p)) <= alpha).tolist()) == rejected


def test_mid_p_leaves_half_of_the_seen_split_out() -> None:
    for gained, lost in ((9, 1), (0, 6), (3, 4), (700, 900)):
        total, fewest = gained + lost, min(gained, lost)
        expected = 2 * (stats.binom.cdf(fewest, total, 0.5) - stats.binom.pmf(fewest, total, 0.5) / 2)
        assert mid_p_mcnemar(gained, lost) == pytest.approx(expected)
        assert mid_p_mcnemar(lost, gained) == mid_p_mcnemar(gained, lost)
    assert mid_p_mcnemar(0, 0) == mid_p_mcnemar(5, 5) == 1


def test_mid_p_keeps_its_level() -> None:
    """Over all that chance can deal to models that differ on so many problems; a word also takes six that differ."""
    told = [
        stats.binom.pmf(np.arange(total + 1), total, 0.5)
        @ np.array([mid_p_mcnemar(i, total - i) <= 0.05 for i in range(total + 1)])
        for total in range(6, 121)
    ]
    for problems in (20, 40, 120):
        for differing in np.arange(1, 10) / 10:
            chance = stats.binom.pmf(np.arange(6, problems + 1), problems, differing)
            assert chance @ told[: problems - 5] <= 0.053
