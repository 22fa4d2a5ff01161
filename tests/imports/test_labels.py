from typing import Any

import pytest

from reachlab.errors import ReachlabError
from reachlab.imports.labels import are_labels, as_label, checked_label, judged


def test_what_says_right_or_wrong() -> None:
    right = (True, 1, 1.0, "1", "1.0", "True", " yes ", "C", "correct", "pass", "passed", "success", "AC")
    wrong = (False, 0, -1, "0", "-1", "false", "no", "I", "N", "incorrect", "fail", "timeout", "failed: x != y")
    neither = (None, "", "P", "perhaps", 0.5, 2, float("nan"), "nan", [True], {"a": 1}, 10**400)
    assert [as_label(v) for v in right] == [True] * len(right)
    assert [as_label(v) for v in wrong] == [False] * len(wrong)
    assert [as_label(v) for v in neither] == [None] * len(neither)


def test_a_threshold_is_of_numbers() -> None:
    assert [as_label(v, 0.5) for v in (0.5, "0.7", 0.4, 3, True, "C", None, float("nan"))] == [
        True, True, False, True, True, True, None, None,
    ]  # fmt: skip


def test_a_label_that_is_asked_for() -> None:
    assert checked_label("pass", "f:1", None) is True
    assert checked_label(0.2, "f:1", 0.5) is False
    for bad in (None, 2, "yes?", [True]):
        with pytest.raises(ReachlabError, match="f:1: right or wrong wanted"):
            checked_label(bad, "f:1", None)


@pytest.mark.parametrize(
    ("values", "threshold", "wanted"),
    [
        (["C", "I", "P", ""], None, True),
        (["C", "A"], None, False),
        ([True, None], None, True),
        ([[True, False], [None]], None, True),
        ([0.5, 0.25], None, False),
        ([0.5, 1.0], None, True),
        ([1, 7], None, False),
        ([1, 7], 5, True),
        ([None, "nan"], None, False),
        ([], None, False),
        ([{"a": 1}], None, False),
        ([10**400], None, False),
    ],
)
def test_what_a_field_of_labels_holds(values: list[Any], threshold: float | None, wanted: bool) -> None:
    assert are_labels(values, threshold) is wanted


def test_judgements() -> None:
    said = ("Reasoning.\nJudgement: Yes", "**Judgement**: **No**", "judgment: no", "Yes", None, 3)
    assert [judged(text) for text in said] == [True, False, False, None, None, None]
