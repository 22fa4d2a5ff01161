import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reachlab.boundary.binomial import exact_interval


@given(n=st.integers(1, 300), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_its_ends_are_where_the_tails_have_their_chance(n: int, share: float, level: float) -> None:
    c = round(share * n)
    low, high = exact_interval(c, n, level)
    tail = (1 - level) / 2
    assert low <= c / n <= high
    assert stats.binom.sf(c - 1, n, low) == pytest.approx(tail if c else 1.0)
    assert stats.binom.cdf(c, n, high) == pytest.approx(tail if c < n else 1.0)


def test_known_ends() -> None:
    assert exact_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert exact_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert exact_interval(0, 0) == (0.0, 1.0)
