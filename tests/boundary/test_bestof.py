from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.bestof import best_of_k
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError


def brute_force(scores: list[float], right: list[bool], k: int) -> float:
    """Every k-subset, ties split evenly."""
    accuracies = []
    for drawn in combinations(range(len(scores)), k):
        best = [i for i in drawn if scores[i] == max(scores[j] for j in drawn)]
        accuracies.append(np.mean([right[i] for i in best]))
    return float(np.mean(accuracies))


@given(st.lists(st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=1, max_size=8), min_size=1, max_size=4))
def test_equals_counting_out_every_subset(problems: list[list[tuple[int, bool]]]) -> None:
    flat = [(p, float(score), right) for p, samples in enumerate(problems) for score, right in samples]
    order = np.random.default_rng(0).permutation(len(flat))
    row_N, scores_N, right_N = (np.array([flat[i][j] for i in order]) for j in range(3))
    ks = list(range(1, min(map(len, problems)) + 1))
    found = best_of_k(row_N.astype(np.int64), scores_N, right_N.astype(bool), len(problems), ks)
    expected = [[brute_force([s for s, _ in p], [r for _, r in p], k) for k in ks] for p in problems]
    assert np.allclose(found, expected)


def test_a_perfect_score_is_pass_at_k_and_one_sample_is_the_accuracy() -> None:
    rng = np.random.default_rng(0)
    right_N = rng.random(1000) < 0.05
    row_N, ks = np.zeros(1000, np.int64), [1, 10, 100, 1000]
    perfect = best_of_k(row_N, right_N.astype(np.float64), right_N, 1, ks)
    assert perfect == pytest.approx(pass_at_k([1000], [right_N.sum()], ks))
    blind = best_of_k(row_N, np.zeros(1000), right_N, 1, ks)
    assert blind[0] == pytest.approx(right_N.mean())
    assert best_of_k(row_N, -right_N.astype(np.float64), right_N, 1, ks)[0, -1] == 0


def test_minus_infinity_is_the_worst_score_and_nothing_overflows() -> None:
    n = 20_000
    scores_N = np.concatenate([[-np.inf], np.zeros(n - 1)])
    right_N = np.arange(n) == 0
    found = best_of_k(np.zeros(n, np.int64), scores_N, right_N, 1, [1, 2, n])
    assert found[0] == pytest.approx([1 / n, 0, 0])


def test_what_cannot_be() -> None:
    row_N, right_N = np.array([0, 0, 1]), np.array([True, False, True])
    with pytest.raises(ReachlabError, match="the score of sample 1 is not a number"):
        best_of_k(row_N, np.array([0.0, np.nan, 0.0]), right_N, 2, [1])
    with pytest.raises(ReachlabError, match="k = 2 is outside 1 to 1"):
        best_of_k(row_N, np.zeros(3), right_N, 2, [1, 2])
    with pytest.raises(ReachlabError, match="k = 1 is outside 1 to 0"):
        best_of_k(row_N, np.zeros(3), right_N, 3, [1])
