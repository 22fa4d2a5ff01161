from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reachlab
from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.verdict_table import compare_matrices, count_table, paired
from reachlab.errors import ReachlabError

NAN = float("nan")


@pytest.mark.parametrize(
    "table",
    [
        [[1, 0, 1], [0, 0, 0]],
        [[True, False, True], [False] * 3],
        np.array([[1, 0, 1], [0, 0, 0]], np.uint8),
        np.array([[1, 0, 1], [0, 0, 0]], np.float16),
        np.array([[1, 0, 1], [0, 0, 0]], object),
        [[1.0, 0.0, 1], [0, -0.0, 0]],
    ],
)
def test_truths_and_numbers_count_alike(table: Any) -> None:
    found = count_table("m", table)
    assert (found.n_P.tolist(), found.c_P.tolist(), found.unscored_P.tolist()) == ([3, 3], [2, 0], [0, 0])
    assert found.problem_ids is None


@pytest.mark.parametrize(
    "table",
    [
        [[1, NAN, 0], [NAN] * 3],
        [[1, -1, 0], [-1] * 3],
        [[True, None, False], [None] * 3],
        np.ma.MaskedArray([[1, 1, 0], [0, 1, 0]], [[False, True, False], [True] * 3]),
    ],
)
def test_what_is_unscored_is_neither(table: Any) -> None:
    found = count_table("m", table)
    assert (found.n_P.tolist(), found.c_P.tolist(), found.unscored_P.tolist()) == ([2, 0], [1, 0], [1, 3])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([[1, 0], [0, 0.5]], r"m\[1, 1\] is 0.5: 1 is right, 0 wrong"),
        ([[1, 2]], r"m\[0, 1\] is 2:"),
        ([[1, np.inf]], r"m\[0, 1\] is inf:"),
        ([["1", "0"]], "holds <U1, not numbers"),
        ([[1j, 0]], "holds complex128"),
        ([[None, "yes"]], r"m\[0, 1\] is 'yes'"),
        ([1, 0, 1], r"this has 1 axis; one sample of each problem is right\[:, None\]"),
        (np.zeros((2, 2, 2)), "this has 3 axes"),
        (np.zeros((0, 4)), "a table of 0 problems and 4 samples holds nothing"),
        ([[1, 0], [1]], "rows of different lengths; fill the short ones with nan"),
    ],
)
def test_what_is_no_table(table: Any, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        count_table("m", table)


@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([-1, 0, 1])),
    st.sampled_from([np.int64, np.float32, object]),
)
def test_counts_are_those_of_the_cells(table_PN: np.ndarray, kind: Any) -> None:
    found = count_table("m", table_PN.astype(kind))
    assert (found.c_P == (table_PN == 1).sum(axis=1)).all()
    assert (found.n_P == (table_PN >= 0).sum(axis=1)).all()
    assert (found.n_P + found.unscored_P == table_PN.shape[1]).all()


def test_rows_are_paired_by_ids_or_else_by_their_place() -> None:
    right = {"base": [[1, 0], [0, 0], [1, 1]], "rl": [[1, 1], [0, 1], [0, 0]]}
    found = compare_matrices(right, resamples=50)
    assert found.base == "base"
    assert found.problem_ids == ("0", "1", "2")
    assert [m.curve.values.tolist() for m in found.models] == [pytest.approx([0.5, 2 / 3])] * 2
    ids = {"base": ["a", "b", "c"], "rl": ["c", "x", "a"]}
    found = compare_matrices(right, problem_ids=ids, resamples=50)
    assert found.problem_ids == ("a", "c")
    assert [m.not_shared for m in found.models] == [1, 1]
    assert found.models[1].solved == ("c",)
    same = compare_matrices(right, problem_ids=[7, 8, 9], resamples=50)
    assert same.problem_ids == ("7", "8", "9")


def test_it_is_the_comparison_of_the_same_outcomes() -> None:
    rng = np.random.default_rng(0)
    base_PN, rl_PN = (rng.random((30, 16)) < 0.2 for _ in range(2))
    ids, n_P, none_P = tuple(map(str, range(30))), np.full(30, 16), np.zeros(30, np.int64)
    outcomes = [
        Outcomes(name, ids, n_P, right_PN.sum(axis=1), none_P) for name, right_PN in (("b", base_PN), ("r", rl_PN))
    ]
    options: dict[str, Any] = {"resamples": 200, "ks": [1, 4], "over": "both", "seed": 3}
    assert (
        reachlab.compare_matrices({"b": base_PN, "r": rl_PN}, **options).to_dict()
        == compare(outcomes, **options).to_dict()
    )


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ({"base": ["a", "b"]}, "rl: problem_ids has none for it"),
        (["a", "b", "c"], "base: 3 problem ids for 2 rows"),
        (["a", "a"], "problem id 'a' appears more than once"),
    ],
)
def test_ids_that_do_not_fit(ids: Any, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        compare_matrices({"base": [[1], [0]], "rl": [[1], [0]]}, problem_ids=ids)


def test_rows_that_cannot_be_paired() -> None:
    with pytest.raises(ReachlabError, match="base has 2 rows and rl 3: without problem ids"):
        compare_matrices({"base": [[1], [0]], "rl": [[1], [0], [0]]})
    with pytest.raises(ReachlabError, match="b has no problem ids and a has: rows cannot be paired"):
        paired([count_table("a", [[1]], ["x"]), count_table("b", [[1]])])


def test_a_frames_index_is_its_ids() -> None:
    frame = pd.DataFrame([[1, 0], [0, 0], [1, 1]], index=["x", "y", "z"])
    found = compare_matrices({"a": frame, "b": frame.iloc[::-1]}, resamples=50)
    assert found.problem_ids == ("x", "y", "z")
    assert not found.pairs[0].difference.differing.any()
    counted = compare_matrices({"a": frame.reset_index(drop=True), "b": [[1, 0], [0, 0], [1, 1]]}, resamples=50)
    assert counted.problem_ids == ("0", "1", "2")
