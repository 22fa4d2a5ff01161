import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError


def exact(n: int, c: int, k: int) -> Fraction:
    return 1 - Fraction(comb(n - c, k), comb(n, k))


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    n_P = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    c_P = [draw(st.integers(0, n)) for n in n_P]
    ks = draw(st.lists(st.integers(1, min(n_P)), min_size=1, max_size=8))
    return n_P, c_P, ks


@given(problems())
def test_equals_the_binomial_formula(drawn: tuple[list[int], list[int], list[int]]) -> None:
    n_P, c_P, ks = drawn
    found_PK = pass_at_k(n_P, c_P, ks)
    for (p, (n, c)), (i, k) in itertools.product(enumerate(zip(n_P, c_P, strict=True)), enumerate(ks)):
        truth = exact(n, c, k)
        assert found_PK[p, i] == pytest.approx(float(truth), abs=1e-13)
        if truth in (0, 1):
            assert found_PK[p, i] == float(truth)


@given(st.integers(1, 9), st.data())
def test_equals_the_mean_over_all_subsets(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    solved = [any(i < c for i in chosen) for chosen in itertools.combinations(range(n), k)]
    assert pass_at_k([n], [c], [k])[0, 0] == pytest.approx(sum(solved) / len(solved), abs=1e-13)


def test_a_million_samples() -> None:
    n = 10**6
    ks = [1, 1000, n // 2, n]
    found_PK = pass_at_k([n] * 4, [0, 1, 3, n], ks)
    assert (found_PK[0] == 0).all()
    assert (found_PK[3] == 1).all()
    assert found_PK[1] == pytest.approx([k / n for k in ks], rel=1e-9)
    none_of_three = [(n - k) * (n - k - 1) * (n - k - 2) / (n * (n - 1) * (n - 2)) for k in ks]
    assert 1 - found_PK[2] == pytest.approx(none_of_three, abs=1e-12)
    assert found_PK[2, -1] == 1


@pytest.mark.parametrize(
    ("n_P", "c_P", "ks", "message"),
    [
        ([8, 5], [1, 1], [2, 6], "k = 6 is more than the n = 5 samples of problem 1"),
        ([8, 5], [1, 6], [2], "problem 1 has c = 6 correct of n = 5"),
        ([8, 5], [-1, 5], [2], "problem 0 has c = -1 correct of n = 8"),
        ([8], [1], [0, 2], "at least 1"),
        ([8], [1], [], "at least 1"),
        ([8, 5], [1], [1], "lists of one length"),
    ],
)
def test_refuses(n_P: list[int], c_P: list[int], ks: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        pass_at_k(n_P, c_P, ks)


def test_is_unbiased() -> None:
    p, n, k = 0.1, 12, 5
    c = np.arange(n + 1)
    chance = np.array([comb(n, int(i)) * p**i * (1 - p) ** (n - i) for i in c])
    assert chance @ pass_at_k(np.full(n + 1, n), c, [k])[:, 0] == pytest.approx(1 - (1 - p) ** k, abs=1e-13)
