from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma

from reachlab.boundary.answer_entropy import answer_entropy, frequency_entropy
from reachlab.boundary.voting import Ballots
from reachlab.errors import ReachlabError


def ballots(counts: list[list[int]], silent: list[int] | None = None) -> Ballots:
    """A row a problem: how many samples gave each answer."""
    row_C, votes_C = (np.array([x[i] for x in _pairs(counts)], np.int64) for i in (0, 1))
    return Ballots(
        row_C=row_C,
        votes_C=votes_C,
        right_C=np.zeros(len(row_C), bool),
        silent_P=np.array(silent or [0] * len(counts)),
    )


def _pairs(counts: list[list[int]]) -> list[tuple[int, int]]:
    return [(p, c) for p, row in enumerate(counts) for c in row]


def truth(p_A: np.ndarray, m: int) -> float:
    """H_m of known probabilities."""
    return sum(float((p_A * (1 - p_A) ** v).sum()) / v for v in range(1, m))


def test_one_answer_has_none_and_no_two_alike_have_a_harmonic_number() -> None:
    found = answer_entropy(ballots([[4], [1, 1, 1, 1]]), [1, 2, 4])
    assert found[0] == pytest.approx([0, 0, 0])
    assert found[1] == pytest.approx([0, 1, 1 + 1 / 2 + 1 / 3])
    assert frequency_entropy(ballots([[4], [1, 1, 1, 1]])) == pytest.approx([0, np.log(4)])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_at_all_samples_it_is_the_closed_form(counts: list[int]) -> None:
    n = sum(counts)
    expected = sum(c / n * (digamma(n) - digamma(c)) for c in counts)
    assert answer_entropy(ballots([counts]), [n])[0, 0] == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_at_fewer_it_is_the_mean_over_all_subsets(counts: list[int], data: st.DataObject) -> None:
    """So a model with more samples is measured just as one with fewer."""
    n = sum(counts)
    m = data.draw(st.integers(1, n))
    answers = np.repeat(np.arange(len(counts)), counts)
    of_subsets = [
        answer_entropy(ballots([np.unique(answers[list(chosen)], return_counts=True)[1].tolist()]), [m])[0, 0]
        for chosen in combinations(range(n), m)
    ]
    assert answer_entropy(ballots([counts]), [m])[0, 0] == pytest.approx(np.mean(of_subsets))


@pytest.mark.parametrize("n", [2, 8, 32])
def test_it_has_no_bias_where_frequencies_have_much(n: int) -> None:
    p_A = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
    counts_PA = np.random.default_rng(n).multinomial(n, p_A, size=4000)
    drawn = ballots([row[row > 0].tolist() for row in counts_PA])
    estimates_P = answer_entropy(drawn, [n])[:, 0]
    assert abs(estimates_P.mean() - truth(p_A, n)) < 4 * estimates_P.std() / len(estimates_P) ** 0.5
    entropy = float(-(p_A * np.log(p_A)).sum())
    # The rule of thumb for frequencies, (answers − 1) / 2n, against what is left out here, which falls faster than any
    # power of n once every answer has been seen.
    assert entropy - frequency_entropy(drawn).mean() > entropy - estimates_P.mean() > -0.02


def test_equal_models_with_unequal_samples_do_not_differ() -> None:
    """32 samples against 8: frequencies would call the second one narrower by 0.26 nats."""
    rng, p_A = np.random.default_rng(1), np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
    many, few = (ballots([row[row > 0].tolist() for row in rng.multinomial(n, p_A, size=2000)]) for n in (32, 8))
    apart_P = answer_entropy(few, [8])[:, 0] - answer_entropy(many, [8])[:, 0]
    assert abs(apart_P.mean()) < 4 * apart_P.std() / len(apart_P) ** 0.5
    assert (frequency_entropy(few) - frequency_entropy(many)).mean() < -0.2


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_it_rises_with_m_and_names_and_order_do_not_matter(counts: list[list[int]], data: st.DataObject) -> None:
    most = min(map(sum, counts))
    ms = list(range(1, most + 1))
    found_PM = answer_entropy(ballots(counts), ms)
    assert (np.diff(found_PM, axis=1) >= -1e-12).all()
    assert (found_PM >= 0).all()
    shuffled = [data.draw(st.permutations(row)) for row in counts]
    assert answer_entropy(ballots(shuffled), ms) == pytest.approx(found_PM)
    some = data.draw(st.lists(st.sampled_from(ms), min_size=1, unique=True).map(sorted))
    assert answer_entropy(ballots(counts), some) == pytest.approx(found_PM[:, [m - 1 for m in some]])


def test_silence_is_one_more_answer() -> None:
    silent = answer_entropy(ballots([[3, 2], [5]], [4, 0]), [5])
    assert silent == pytest.approx(answer_entropy(ballots([[3, 2, 4], [5]]), [5]))
    assert frequency_entropy(ballots([[3, 2], [5]], [4, 0])) == pytest.approx(
        frequency_entropy(ballots([[3, 2, 4], [5]]))
    )


@pytest.mark.parametrize("ms", [[], [0], [4], [2, 1], [1, 1]])
def test_values_of_m_that_cannot_be(ms: list[int]) -> None:
    with pytest.raises(ReachlabError, match="answer entropy"):
        answer_entropy(ballots([[2, 1], [9]]), ms)
