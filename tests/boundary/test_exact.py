import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reachlab.boundary.exact import fisher_p, holm

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
