from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.measures.small_runs import PLAIN, drawn, stored

from reachlab.measures.copies import find_duplicates
from reachlab.types import Problem, Verdict

LONG = "long " * 20


def test_texts_are_counted_by_problem(tmp_path: Path) -> None:
    texts = {"a": ["x", "y", "x", "x"], "b": ["x", "z", "w", "z"]}
    samples = [drawn(p, i, text, right=text in "xz") for p, column in texts.items() for i, text in enumerate(column)]
    store = stored(tmp_path / "run", [*samples, samples[0]])  # the last is a copy that another worker stored
    found = find_duplicates(store, PLAIN, [1, 2, 4])
    assert found.samples == 8
    assert found.distinct_P.tolist() == [2, 3]
    assert found.distinct_correct_P.tolist() == [1, 2]
    assert found.distinct_PM == pytest.approx(np.array([[1, 1.5, 2], [1, 11 / 6, 3]]))
    assert found.distinct_correct_PM == pytest.approx(np.array([[3 / 4, 1, 1], [3 / 4, 4 / 3, 2]]))
    assert (found.copies, found.long_copies, found.same_seed, found.warnings) == (3, 0, 0, ())
    assert found.chance is not None
    assert found.chance.pairs == 4
    assert found.chance.expected == pytest.approx(2 * 6 * np.exp(-1))
    assert found.example is not None
    assert (found.example.problem_id, found.example.samples, found.example.text) == ("a", (0, 2), "x")
    json = found.to_dict()
    assert (json["distinct"], json["chance"]["pairs"], json["example"]["samples"]) == ([2, 3], 4, (0, 2))


def test_a_problem_without_samples_and_samples_below_an_index(tmp_path: Path) -> None:
    samples = [drawn("a", i, "x") for i in range(4)]
    problems = [Problem(id=i, prompt=i, answer=i) for i in "ab"]
    store = stored(tmp_path / "run", samples, problems)
    found = find_duplicates(store, PLAIN, [1, 3])
    assert found.distinct_P.tolist() == [1, 0]
    assert found.distinct_PM.tolist() == [[1, 1], [0, 0]]
    early = find_duplicates(store, PLAIN, [1], below=3)
    assert (early.samples, early.copies) == (3, 2)


def test_what_a_filter_left_is_no_sample_of_the_model(tmp_path: Path) -> None:
    samples = [drawn("a", i, "x" if i < 2 else f"{i}") for i in range(4)]
    nothing = [replace(drawn("a", i, "", logprob=None), finish="content_filter") for i in range(4, 8)]
    found = find_duplicates(stored(tmp_path / "run", [*samples, *nothing]), PLAIN, [1, 4])
    alone = find_duplicates(stored(tmp_path / "alone", samples), PLAIN, [1, 4])
    assert (found.samples, found.copies) == (4, 1)
    assert found.chance is not None
    assert found.to_dict() == alone.to_dict()


@pytest.mark.parametrize("seeds", [(7, 7), (0, 0)])
def test_equal_seeds_are_named(tmp_path: Path, seeds: tuple[int, int]) -> None:
    samples = [drawn("a", 0, "x", seed=seeds[0]), drawn("a", 1, "y"), drawn("b", 0, "x", seed=seeds[1])]
    found = find_duplicates(stored(tmp_path / "run", samples), PLAIN)
    assert found.same_seed == 1
    (warning,) = found.warnings
    assert warning.startswith("1 samples have the seed of another, such as 'a' sample 0 and 'b' sample 0")


def test_imported_samples_have_no_seeds(tmp_path: Path) -> None:
    samples = [drawn("a", i, f"{i}", seed=0, engine="import", logprob=None, tokens=0) for i in range(4)]
    found = find_duplicates(stored(tmp_path / "run", samples), None)
    assert (found.same_seed, found.chance, found.warnings) == (None, None, ())


def test_copies_that_log_probabilities_do_not_explain(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [f"{x} {LONG if i % 2 else ''}" for i, x in enumerate(rng.integers(0, 2**40, 20))]
    samples = [
        drawn("a", i + 20 * again, text, seed=i + 20 * again, logprob=-28.0)
        for again in range(2)
        for i, text in enumerate(texts)
    ]
    store = stored(tmp_path / "run", samples)
    found = find_duplicates(store, PLAIN)
    assert found.chance is not None
    assert found.long_chance is not None
    assert (found.copies, found.long_copies, found.chance.pairs, found.long_chance.pairs) == (20, 10, 20, 10)
    (warning,) = found.warnings
    assert "20 pairs of equal samples, where the model's own log-probabilities explain 0.0" in warning
    assert "such as 1 and 21 of problem 'a'" in warning
    # A model that is as good as sure of these texts may repeat them.
    sure = [replace(s, logprob=-2.5) for s in samples]
    assert find_duplicates(stored(tmp_path / "sure", sure), PLAIN).warnings == ()


@pytest.mark.parametrize(
    ("decoding", "says"),
    [
        ({**PLAIN, "temperature": 0.6}, "drawn at temperature 0.6"),
        ({**PLAIN, "top_p": 0.9}, "drawn at temperature 1"),
        (None, "drawn in a way not known"),
    ],
)
def test_long_copies_are_a_hint_where_chance_is_not_known(
    tmp_path: Path, decoding: dict[str, float] | None, says: str
) -> None:
    samples = [drawn("a", 0, "x"), drawn("a", 1, "x"), drawn("a", 2, LONG), drawn("a", 3, LONG), drawn("b", 0, LONG)]
    found = find_duplicates(stored(tmp_path / "run", samples), decoding)
    assert (found.copies, found.long_copies, found.chance) == (2, 1, None)
    (warning,) = found.warnings
    assert warning.startswith("1 samples of 64 tokens or more are exact copies of another of their problem")
    assert "such as 2 and 3 of problem 'a'" in warning
    assert says in warning
    assert found.example is not None
    assert found.example.text == LONG


def test_length_is_that_of_the_text_where_tokens_are_not_known(tmp_path: Path) -> None:
    samples = [
        drawn("a", i, text, tokens=0, engine="import", logprob=None)
        for i, text in enumerate(["é" * 255, "é" * 255, "y" * 256, "y" * 256])
    ]
    assert find_duplicates(stored(tmp_path / "run", samples), None).long_copies == 1


def test_greedy_samples_are_equal_and_unscored_ones_are_samples(tmp_path: Path) -> None:
    samples = [drawn("a", i, LONG, verdict=Verdict.unscored("died")) for i in range(3)]
    found = find_duplicates(stored(tmp_path / "run", samples), {**PLAIN, "temperature": 0.0})
    assert (found.copies, found.long_copies, found.warnings) == (2, 2, ())
    assert found.distinct_correct_P.tolist() == [0]
