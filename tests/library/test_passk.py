import numpy as np
import pandas as pd
import pytest

import reachlab as rl
from reachlab.library.passk import PassAtK


def test_it_is_the_issue_s_example() -> None:
    found = rl.pass_at_k(correct=[3, 0], drawn=[64, 64], k=[1, 8])
    assert found.mean[0] == 3 / 128
    expected = (1 - np.prod([(61 - i) / (64 - i) for i in range(8)])) / 2
    assert found.mean[1] == pytest.approx(expected)
    assert found.per_problem.tolist() == [[pytest.approx(3 / 64), pytest.approx(2 * expected)], [0, 0]]
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()


def test_it_equals_a_comparison_of_one_model() -> None:
    c_P, n_P = np.array([0, 1, 3, 8, 2]), np.full(5, 8)
    found = rl.pass_at_k(c_P, n_P, k=[8, 1], resamples=500, level=0.9, seed=2)
    model = rl.compare({"m": (c_P, n_P)}, k=[1, 8], resamples=500, level=0.9, seed=2).models[0]
    for name in ("low", "high"):
        assert getattr(found, name).tolist() == getattr(model.curve, name).tolist()[::-1]
    assert found.mean.tolist() == model.curve.values.tolist()[::-1]


def test_numbers_arrays_frames() -> None:
    one = rl.pass_at_k(1, 4, k=2)
    assert float(one) == 0.5
    assert np.asarray(one).shape == ()
    several = rl.pass_at_k([1, 4], 4)
    assert several.k == (1, 2, 4)
    assert np.asarray(several).tolist() == several.mean.tolist()
    with pytest.raises(TypeError, match="pass@k of 3 values of k is no single number"):
        float(several)
    assert several.to_frame()["pass_at_k"].tolist() == several.mean.tolist()
    tidy = several.to_frame(problems=True)
    assert tidy["pass_at_k"].tolist() == several.per_problem.ravel().tolist()
    assert tidy["correct"].tolist() == [1, 1, 1, 4, 4, 4]
    assert several.to_dict()["values"] == several.mean.tolist()
    assert "<td>2</td>" in several._repr_html_()
    assert repr(one).startswith("pass@2 = 50.0% [")


def test_series_are_paired_by_their_indexes() -> None:
    found = rl.pass_at_k(pd.Series([1, 2], index=["b", "a"]), pd.Series([4, 8], index=["a", "b"]), k=1)
    assert found.per_problem.ravel().tolist() == [1 / 8, 2 / 4]
    assert found.problem_ids == ("b", "a")
    assert rl.pass_at_k(pd.Series([1, 2]), pd.Series([4, 4]), k=1).problem_ids == ("0", "1")
    with pytest.raises(ValueError, match="pass_at_k: 0 is a problem of correct or of drawn alone; give both"):
        rl.pass_at_k(pd.Series([1, 2], [1, 2]), pd.Series([4, 8], [0, 1]))
    with pytest.raises(ValueError, match="pass_at_k: problem 'a' is there twice"):
        rl.pass_at_k(pd.Series([1, 2], ["a", "a"]), 4)


def test_options_that_cannot_be_are_refused() -> None:
    for options, message in (
        ({"resamples": "x"}, "pass_at_k: resamples='x' must be a whole number"),
        ({"over": "problem"}, "pass_at_k: over='problem' must be one of .*; did you mean 'problems'"),
        ({"level": "high"}, "pass_at_k: level='high' must be a number"),
    ):
        with pytest.raises(ValueError, match=message):
            rl.pass_at_k([1, 2], 4, **options)  # type: ignore[arg-type]


def test_a_problem_without_a_scored_sample_is_left_out() -> None:
    found: PassAtK = rl.pass_at_k([1, 0], [2, 0], k=1)
    assert found.problem_ids == ("0",)
    assert float(found) == 0.5


@pytest.mark.parametrize(
    ("correct", "drawn", "k", "message"),
    [
        ([3], [2], 1, "problem '0' has 3 correct of 2"),
        ([-1], [2], 1, "correct must be whole numbers, none below 0"),
        ([0.5], [2], 1, "correct must be whole numbers"),
        ([[1, 0]], [2], 1, "correct must be whole numbers, .*of tables of 0 and 1: compare"),
        ([True], [2], 1, "correct must be whole numbers"),
        ([1, 1], [2], 1, "2 numbers of right samples, and 1 of drawn ones"),
        ([1], [2], 3, "k = 3 is outside 1 to 2"),
        ([1], [2], 0, "k = 0 is outside 1 to 2"),
        ([1], [2], [], "there is no k"),
        ([1], [2], 1.5, "k=1.5 must be a list, each a whole number"),
        ([0], [0], 1, "no problem with a scored sample"),
        ([], [], 1, "correct must be whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(correct: object, drawn: object, k: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rl.pass_at_k(correct, drawn, k)  # type: ignore[arg-type]
