from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.allk import pass_hat_k
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError


@given(n=st.integers(1, 9), data=st.data())
def test_equals_the_share_of_subsets_that_are_all_correct(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = [all(i < c for i in subset) for subset in combinations(range(n), k)]
    assert pass_hat_k([n], [c], [k])[0, 0] == pytest.approx(sum(subsets) / len(subsets))


@given(n=st.integers(1, 400), data=st.data())
def test_is_exact_and_falls(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    found = pass_hat_k([n], [c], range(1, n + 1))[0]
    exact = [comb(c, k) / comb(n, k) for k in range(1, n + 1)]
    assert found == pytest.approx(exact, rel=1e-10)
    assert (np.diff(found) <= 0).all()
    assert found[0] == c / n
    assert (found[c:] == 0).all()
    assert (found <= pass_at_k([n], [c], range(1, n + 1))[0] + 1e-12).all()


def test_is_unbiased() -> None:
    p, n, k = 0.8, 12, 5
    c = np.arange(n + 1)
    chance = np.array([comb(n, int(i)) * p**i * (1 - p) ** (n - i) for i in c])
    assert chance @ pass_hat_k(np.full(n + 1, n), c, [k])[:, 0] == pytest.approx(p**k, abs=1e-13)


def test_small_values_keep_their_digits() -> None:
    n, c, k = 1_000_000, 500_000, 60
    exact = comb(c, k) / comb(n, k)
    assert exact < 1e-17
    assert pass_hat_k([n], [c], [k])[0, 0] == pytest.approx(exact, rel=1e-10)


def test_problems_may_differ_in_n() -> None:
    found_PK = pass_hat_k([4, 9, 4], [3, 9, 3], [3, 1])
    assert found_PK == pytest.approx(np.array([[1 / 4, 3 / 4], [1, 1], [1 / 4, 3 / 4]]))


@pytest.mark.parametrize(
    ("n_P", "c_P", "ks", "message"),
    [
        ([8, 4], [0, 0], [5], r"pass\^k: k = 5 is more than the n = 4 samples of problem 1"),
        ([8], [9], [1], r"pass\^k: problem 0 has c = 9 correct of n = 8"),
        ([8], [-1], [1], "c = -1"),
        ([8], [1], [0], "at least 1"),
        ([8], [1], [], "there must be one"),
        ([8, 8], [1], [1], "one length"),
    ],
)
def test_refuses(n_P: list[int], c_P: list[int], ks: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        pass_hat_k(n_P, c_P, ks)
