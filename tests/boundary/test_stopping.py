"""The estimator against every path of small trees, and against the ordinary one where nothing stopped."""

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.passk import pass_at_k as ordinary
from reachlab.boundary.stopping import Stopping, largest_k, pass_at_k
from reachlab.errors import ReachlabError

RATES = (0.0, 0.01, 0.1, 0.37, 0.5, 0.9, 1.0)


def ends(horizons: list[int], enough: int) -> dict[tuple[int, int, int], dict[int, int]]:
    """Every way to end, (n, c, before): how many orders of draws lead there, and, for each k, how many of these begin
    with k wrong ones. Counted draw by draw, with the state (leading wrong draws, right ones)."""
    found: dict[tuple[int, int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    states = {(0, 0): 1}
    for before, look in pairwise([0, *horizons]):
        for n in range(before, look):
            after: dict[tuple[int, int], int] = defaultdict(int)
            for (leading, c), orders in states.items():
                after[leading + 1 if leading == n else leading, c] += orders
                after[leading, c + 1] += orders
            states = after
        going = {}
        for (leading, c), orders in states.items():
            if c >= enough or look == horizons[-1]:
                end = found[look, c, before if c >= enough else -1]
                for k in range(leading + 1):
                    end[k] += orders
            else:
                going[leading, c] = orders
        states = going
    return found


@st.composite
def rules(draw: st.DrawFn) -> tuple[list[int], int]:
    horizons = sorted(draw(st.sets(st.integers(1, 14), min_size=1, max_size=4)))
    return horizons, draw(st.integers(1, 4))


@given(rules())
def test_expects_the_truth_at_every_rate_and_k(rule: tuple[list[int], int]) -> None:
    horizons, enough = rule
    found = ends(horizons, enough)
    stops = np.array(list(found))
    stopping = Stopping(enough=enough, before_P=stops[:, 2], horizon=horizons[-1])
    ks = list(range(1, horizons[-1] + 1))
    orders_P = np.array([orders[0] for orders in found.values()], float)
    estimate_PK = pass_at_k(stops[:, 0], stops[:, 1], stopping, ks)
    for p in RATES:
        chance_P = orders_P * p ** stops[:, 1] * (1 - p) ** (stops[:, 0] - stops[:, 1])
        assert chance_P.sum() == pytest.approx(1, abs=1e-12)
        assert chance_P @ estimate_PK == pytest.approx([1 - (1 - p) ** k for k in ks], abs=1e-12)


@given(rules())
def test_is_the_share_of_orders_that_begin_wrong(rule: tuple[list[int], int]) -> None:
    horizons, enough = rule
    ks = list(range(1, horizons[-1] + 1))
    for (n, c, before), orders in ends(horizons, enough).items():
        stopping = Stopping(enough=enough, before_P=np.array([before]), horizon=horizons[-1])
        found_K = pass_at_k(np.array([n]), np.array([c]), stopping, ks)[0]
        assert found_K == pytest.approx([1 - orders[k] / orders[0] for k in ks], abs=1e-13)


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=1, max_size=6))
def test_is_the_ordinary_one_where_nothing_stopped(problems: list[tuple[int, float]]) -> None:
    n_P = np.array([n for n, _ in problems])
    c_P = np.array([int(share * n) for n, share in problems])
    stopping = Stopping(enough=50, before_P=np.full(len(n_P), -1))
    ks = np.arange(1, n_P.min() + 1)
    assert largest_k(n_P, stopping) == n_P.min()
    assert (pass_at_k(n_P, c_P, stopping, ks) == ordinary(n_P, c_P, ks)).all()


def test_one_k_is_the_same_as_among_many() -> None:
    stopping = Stopping(enough=2, before_P=np.array([8, 0, -1]), horizon=64)
    n_P, c_P = np.array([16, 8, 64]), np.array([3, 2, 1])
    together_PK = pass_at_k(n_P, c_P, stopping, np.arange(1, 65))
    for k in (1, 8, 9, 16, 17, 64):
        # Up to how a processor's library adds up a product of one column and of many.
        alone_P = pass_at_k(n_P, c_P, stopping, [k])[:, 0]
        np.testing.assert_allclose(alone_P, together_PK[:, k - 1], rtol=1e-14, atol=0)


@pytest.mark.parametrize("enough", [1, 2, 5])
def test_a_million_samples(enough: int) -> None:
    n, m = 10**6, 6 * 10**5
    ks = [1, 7, 1000, m, m + 1, m + 200_000, n]
    for c in (enough, enough + 1, enough + 6):
        stopping = Stopping(enough=enough, before_P=np.array([m]))
        before = [comb(m, s) * comb(n - m, c - s) for s in range(enough)]
        wrong = [
            Fraction(
                sum(comb(m - k, s) * comb(n - m, c - s) for s in range(enough)) if k <= m else comb(n - k, c),
                sum(before),
            )
            for k in ks
        ]
        found_K = pass_at_k(np.array([n]), np.array([c]), stopping, ks)[0]
        assert found_K == pytest.approx([float(1 - w) for w in wrong], abs=1e-10)


def test_many_right_samples_of_a_million_overflow_nothing() -> None:
    stopping = Stopping(enough=300, before_P=np.array([500_000, 0]))
    found_PK = pass_at_k(np.array([10**6] * 2), np.array([150_000, 10**6]), stopping, [1, 1000, 500_000, 10**6])
    assert np.isfinite(found_PK).all()
    assert (np.diff(found_PK, axis=1) >= 0).all()
    assert (found_PK[1] == 1).all()


@pytest.mark.parametrize(
    ("n", "c", "before", "ks", "message"),
    [
        ([8, 4], [1, 0], [4, -1], [5], "k = 5 is more than 4"),
        ([8, 4], [1, 0], [4, -1], [0, 1], "every k must be at least 1"),
        ([8, 4], [1, 0], [4, -1], [], "every k must be at least 1"),
        ([8, 4], [0, 0], [4, -1], [1], "problem 0 was stopped with 0 right of 8, not 1 or more"),
        ([4, 8], [0, 5], [-1, 4], [1], "problem 1 with 5 right of 8 would have stopped at 4"),
        ([8], [1], [4, -1], [1], "lists of one length"),
    ],
)
def test_refuses(n: list[int], c: list[int], before: list[int], ks: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        pass_at_k(np.array(n), np.array(c), Stopping(enough=1, before_P=np.array(before)), ks)


@pytest.mark.parametrize(("enough", "before", "message"), [(0, [1], "must be 1 or more"), (1, [-2], "none below -1")])
def test_refuses_a_rule_that_cannot_be(enough: int, before: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        Stopping(enough=enough, before_P=np.array(before))


@pytest.mark.parametrize("enough", [1, 3])
def test_simulated_problems_keep_their_pass_at_k(enough: int) -> None:
    """And the stopped c/n and its pass@k do not."""
    rng = np.random.default_rng(enough)
    looks, rate, ks, runs = [4, 8, 16, 32], 0.07, [1, 3, 8, 20, 32], 40_000
    right_PJ = rng.binomial(np.diff(looks, prepend=0), rate, (runs, 4)).cumsum(axis=1)
    has_P = (right_PJ >= enough).any(axis=1)
    at_P = np.where(has_P, (right_PJ >= enough).argmax(axis=1), 3)
    n_P, c_P = np.array(looks)[at_P], right_PJ[np.arange(runs), at_P]
    stopping = Stopping(enough=enough, before_P=np.where(has_P, np.array([0, *looks])[at_P], -1), horizon=32)
    table_PK = pass_at_k(n_P, c_P, stopping, ks)
    error_K = table_PK.std(axis=0) / np.sqrt(runs)
    assert np.abs(table_PK.mean(axis=0) - (1 - (1 - rate) ** np.array(ks)) < 4 * error_K).all()
    assert (c_P / n_P).mean() > rate + 20 * error_K[0]
