from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary import voting
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.voting import Ballots, majority_at_k
from reachlab.errors import ReachlabError


def ballots(*problems: tuple[list[int], list[bool], int]) -> Ballots:
    """Each problem's votes by answer, whether the answers are right, and how many are silent."""
    return Ballots(
        row_C=np.array([p for p, (votes, _, _) in enumerate(problems) for _ in votes], np.int64),
        votes_C=np.array([v for votes, _, _ in problems for v in votes], np.int64),
        right_C=np.array([r for _, right, _ in problems for r in right], bool),
        silent_P=np.array([silent for _, _, silent in problems], np.int64),
    )


def brute_force(votes: list[int], right: list[bool], silent: int, k: int) -> float:
    """Every k-subset counted out."""
    cast = [answer for answer, n in enumerate(votes) for _ in range(n)] + [-1] * silent
    accuracies = []
    for drawn in combinations(cast, k):
        count = Counter(answer for answer in drawn if answer >= 0)
        winners = [answer for answer in count if count[answer] == max(count.values())]
        accuracies.append(sum(right[w] for w in winners) / len(winners) if winners else 0.0)
    return float(np.mean(accuracies))


@st.composite
def problem(draw: st.DrawFn) -> tuple[list[int], list[bool], int]:
    votes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    right = draw(st.lists(st.booleans(), min_size=len(votes), max_size=len(votes)))
    return votes, right, draw(st.integers(0, 2))


@given(st.lists(problem(), min_size=1, max_size=3))
def test_equals_counting_out_every_subset(problems: list[tuple[list[int], list[bool], int]]) -> None:
    given_ballots = ballots(*problems)
    ks = list(range(1, int(given_ballots.samples.min()) + 1))
    found = majority_at_k(given_ballots, ks)
    expected = [[brute_force(*p, k) if sum(p[0]) + p[2] <= 11 else np.nan for k in ks] for p in problems]
    known = ~np.isnan(expected)
    assert np.allclose(found.table_PK[known], np.array(expected)[known], atol=1e-12)
    assert not found.error_K.any()


def test_one_vote_is_the_accuracy_and_all_votes_are_the_plurality() -> None:
    votes, right = [30, 25, 25, 3], [False, True, False, True]
    table_PK = majority_at_k(ballots((votes, right, 17), ([25, 25], [True, False], 50)), [1, 100]).table_PK
    assert table_PK == pytest.approx(np.array([[0.28, 0.0], [0.25, 0.5]]))


def test_an_answer_alone_wins_as_soon_as_it_is_drawn() -> None:
    ks = [1, 2, 5, 40]
    found = majority_at_k(ballots(([7], [True], 33), ([7, 3], [True, True], 30), ([7], [False], 33)), ks)
    assert found.table_PK[:2] == pytest.approx(pass_at_k([40, 40], [7, 10], ks))
    assert not found.table_PK[2].any()


def test_drawn_subsets_agree_with_the_exact_way(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    problems = []
    for _ in range(12):
        votes = [v for v in rng.multinomial(60, rng.dirichlet(np.full(12, 0.3))).tolist() if v]
        problems.append((votes, [bool(r) for r in rng.random(len(votes)) < 0.4], 4))
    ks = [1, 2, 7, 32, 64]
    exact = majority_at_k(ballots(*problems), ks)
    monkeypatch.setattr(voting, "EXACT_WORK", 0.0)
    drawn = majority_at_k(ballots(*problems), ks, draws=40_000, seed=1)
    assert not exact.error_K.any()
    off_K = np.abs(drawn.table_PK.mean(axis=0) - exact.table_PK.mean(axis=0))
    assert (off_K <= 4 * drawn.error_K + 1e-12).all()
    assert drawn.error_K[1:-1].min() > 0  # 1 and n are no matter of chance
    assert drawn.error_K.max() < 0.5 / np.sqrt(40_000)
    again = majority_at_k(ballots(*problems), ks, draws=40_000, seed=1)
    assert np.array_equal(again.table_PK, drawn.table_PK)


def test_many_samples_are_no_trouble() -> None:
    """Beyond what the exact way can hold; the vote converges to the commonest answer."""
    found = majority_at_k(ballots(([1200, 1000, 900], [True, False, False], 100)), [1, 3200], draws=500)
    assert found.table_PK[0, 0] == pytest.approx(1200 / 3200, abs=0.1)
    assert found.table_PK[0, 1] == 1


def test_equal_problems_have_equal_values_in_any_order() -> None:
    one, other = ([5, 3, 2], [True, False, False], 1), ([2, 5, 3], [False, True, False], 1)
    table_PK = majority_at_k(ballots(one, other), [1, 3, 11]).table_PK
    assert np.array_equal(table_PK[0], table_PK[1])
    mixed = Ballots(
        row_C=np.array([1, 0, 1, 0, 0, 1]),
        votes_C=np.array([2, 5, 5, 3, 2, 3]),
        right_C=np.array([False, True, True, False, False, False]),
        silent_P=np.array([1, 1]),
    )
    assert np.array_equal(majority_at_k(mixed, [1, 3, 11]).table_PK, table_PK)


@pytest.mark.parametrize(
    ("ks", "says"), [([0], "every k must be 1 to 4"), ([5], "every k must be 1 to 4"), ([], "1 to 4"), ([3, 2], "rise")]
)
def test_values_of_k_that_cannot_be(ks: list[int], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        majority_at_k(ballots(([3, 1], [True, False], 2), ([3, 1], [True, False], 0)), ks)
