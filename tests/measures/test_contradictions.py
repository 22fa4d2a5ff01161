from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.measures.contradictions import KINDS, NONE, count_contradictions, find_contradictions
from reachlab.types import Status

Row = tuple[Status, str | None]


def kinds(rows: list[list[Row]], golds: list[str | None]) -> list[str]:
    """The kind of every scored sample's contradiction, "" where there is none."""
    flat = [(p, *row) for p, of in enumerate(rows) for row in of if row[0] != "unscored"]
    answers = sorted({answer for *_, answer in flat if answer is not None})
    kind_N = find_contradictions(
        np.array([p for p, *_ in flat], np.int64),
        np.array([status == "correct" for _, status, _ in flat], bool),
        np.array([NONE if answer is None else answers.index(answer) for *_, answer in flat], np.int64),
        answers,
        golds,
    )
    return ["" if kind == NONE else KINDS[kind] for kind in kind_N]


@pytest.mark.parametrize(
    ("rows", "gold", "found"),
    [
        pytest.param([("correct", "5"), ("wrong", "7"), ("wrong", None)], "5", ["", "", ""], id="nothing"),
        pytest.param([("correct", None), ("wrong", "7")], "5", ["silent", ""], id="right without an answer"),
        pytest.param([("correct", None), ("wrong", None)], "5", ["", ""], id="no answer is stated"),
        pytest.param([("wrong", "5"), ("wrong", "5")], "5", ["gold", "gold"], id="wrong with gold"),
        pytest.param([("wrong", "5"), ("wrong", "5"), ("correct", "5")], "5", ["gold", "gold", ""], id="gold is right"),
        pytest.param([("correct", "7")] * 2, "5", ["number", "number"], id="think box 7, final answer 5"),
        pytest.param([("correct", "7"), ("wrong", "7")], "5", ["number", ""], id="another number is wrong"),
        pytest.param([("correct", "-5")], "5", ["number"], id="minus"),
        pytest.param([("correct", "50"), ("correct", "500000")], "5000", ["", ""], id="a percentage"),
        pytest.param([("correct", "0")], "5", ["number"], id="nought"),
        pytest.param([("correct", "x+1"), ("correct", "1+x")], "1+x", ["", ""], id="equal by algebra"),
        pytest.param([("correct", "1/3"), ("correct", "333/1000")], "1/3", ["", ""], id="rounded"),
        pytest.param([("correct", "x")] * 2 + [("wrong", "x")], "1+x", ["", "", "split"], id="most are right"),
        pytest.param([("wrong", "x")] * 2 + [("correct", "x")], None, ["", "", "split"], id="most are wrong"),
        pytest.param([("correct", "x"), ("wrong", "x")], None, ["split", ""], id="a tie is wrong"),
        pytest.param([("unscored", "5"), ("correct", "5")], "5", [""], id="unscored"),
        pytest.param([("correct", "9" * 400)], "8" * 400, [""], id="numbers too long to be told"),
    ],
)
def test_kinds(rows: list[Row], gold: str | None, found: list[str]) -> None:
    assert kinds([rows], [gold]) == found
    assert count_contradictions([rows], [gold]) == sum(map(bool, found))


def test_problems_are_apart() -> None:
    rows: list[list[Row]] = [[("correct", "x")], [("wrong", "x")], [("correct", "2")], [("wrong", "2")]]
    assert kinds(rows, [None, None, "2", "3"]) == [""] * 4
    assert kinds(rows, [None, "x", "3", "2"]) == ["", "gold", "number", "gold"]


def test_no_sample() -> None:
    assert kinds([[]], ["5"]) == []
    assert count_contradictions([[("unscored", "5")], []], ["5", None]) == 0


ROWS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["correct", "wrong", "unscored"]), st.sampled_from(["1", "2", "x", "y", None])),
        max_size=8,
    ),
    min_size=1,
    max_size=4,
)


@given(rows=ROWS, data=st.data())
def test_equals_counting_by_hand(rows: list[list[Row]], data: st.DataObject) -> None:
    golds = [data.draw(st.sampled_from(["1", "2", "x", None])) for _ in rows]
    states = any(answer is not None for of in rows for status, answer in of if status != "unscored")
    expected = []
    for of, gold in zip(rows, golds, strict=True):
        right = Counter(answer for status, answer in of if status == "correct")
        wrong = Counter(answer for status, answer in of if status == "wrong")
        for status, answer in of:
            if status == "unscored":
                continue
            if answer is None:
                expected.append("silent" if status == "correct" and states else "")
            elif answer == gold:
                expected.append("gold" if status == "wrong" else "")
            elif {answer, gold} == {"1", "2"}:
                expected.append("number" if status == "correct" else "")
            else:
                holds = "correct" if right[answer] > wrong[answer] else "wrong"
                expected.append("" if status == holds else "split")
    assert kinds(rows, golds) == expected
    assert count_contradictions(rows, golds) == sum(map(bool, expected))
