from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.duplicates import Copies, distinct_at, expected_copies
from reachlab.errors import ReachlabError


def classes(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n_P, row_C, count_C) of the texts of each problem."""
    counts = [np.unique(t, return_counts=True)[1] for t in texts]
    row_C = np.repeat(np.arange(len(texts)), [len(c) for c in counts])
    return np.array([len(t) for t in texts]), row_C, np.concatenate(counts)


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=4))
def test_equals_counting_out_every_subset(texts: list[list[int]]) -> None:
    ms = list(range(1, min(map(len, texts)) + 1))
    expected = [[np.mean([len(set(drawn)) for drawn in combinations(t, m)]) for m in ms] for t in texts]
    assert np.allclose(distinct_at(*classes(texts), ms), expected)


def test_one_draw_is_one_text_and_all_draws_are_all_texts() -> None:
    n_P, row_C, count_C = classes([[0] * 1000, list(range(1000)), [0, 1] * 500])
    assert distinct_at(n_P, row_C, count_C, [1, 1000]) == pytest.approx(np.array([[1, 1], [1, 1000], [1, 2]]))
    # Of some texts alone: the right ones, say, of which the last problem has none.
    some = distinct_at(np.array([10, 10]), np.array([0, 0]), np.array([5, 1]), [1, 10])
    assert some == pytest.approx(np.array([[0.6, 2], [0, 0]]))
    with pytest.raises(ReachlabError, match="k = 11"):
        distinct_at(np.array([10, 10]), np.array([0]), np.array([5]), [11])


def drawn(rng: np.random.Generator, problems: int, n: int, p_X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts (P, N) and their log-probabilities."""
    text_PN = rng.choice(len(p_X), size=(problems, n), p=p_X)
    return text_PN, np.log(p_X)[text_PN]


def copies(text_PN: np.ndarray, logprob_PN: np.ndarray) -> Copies:
    pairs_P = np.array([(lambda c: (c * (c - 1) // 2).sum())(np.unique(t, return_counts=True)[1]) for t in text_PN])
    problems, n = text_PN.shape
    row_N = np.repeat(np.arange(problems), n)
    return expected_copies(np.full(problems, n), pairs_P, row_N, logprob_PN.reshape(-1))


@pytest.mark.parametrize("tail", [0.3, 1.0, 2.5])
def test_copies_by_chance_are_expected_and_their_deviation_too(tail: float) -> None:
    rng = np.random.default_rng(0)
    p_X = 1.0 / np.arange(1, 5001) ** tail
    p_X /= p_X.sum()
    found = [copies(*drawn(rng, 20, 64, p_X)) for _ in range(200)]
    off = np.array([f.pairs - f.expected for f in found])
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
    # The expectation is estimated from the same samples and moves with the pairs, so they differ by less than the
    # pairs deviate; by half of it where a few texts make the most of them.
    assert 0.3 < off.std() / np.mean([f.deviation for f in found]) < 1.2
    assert not any(f.suspicious for f in found)


def test_a_seed_that_draws_everything_twice_is_suspicious() -> None:
    rng = np.random.default_rng(0)
    p_X = np.full(100_000, 1e-5)
    text_PN, logprob_PN = drawn(rng, 10, 32, p_X)
    twice = copies(np.concatenate([text_PN, text_PN], axis=1), np.concatenate([logprob_PN, logprob_PN], axis=1))
    assert twice.pairs >= 320
    assert twice.suspicious
    # A model that always says the same explains as many copies as there can be.
    same = copies(np.zeros((10, 64), int), np.full((10, 64), -1e-4))
    assert same.pairs == 10 * 64 * 63 // 2
    assert not same.suspicious


def test_a_few_copies_are_no_proof() -> None:
    assert not Copies(pairs=5, expected=1.0, deviation=0.0).suspicious
    assert Copies(pairs=7, expected=1.0, deviation=0.0).suspicious
    assert not Copies(pairs=1900, expected=1000.0, deviation=10.0).suspicious
