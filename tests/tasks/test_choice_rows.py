from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_math import write

from reachlab.errors import ReachlabError
from reachlab.tasks.choice_rows import choice_of
from reachlab.tasks.math import Math, gold_for

ROWS: dict[str, dict[str, Any]] = {
    "mmlu": {"question": "2+2?", "choices": ["3", "4", "5"], "answer": 1},
    "mmlu_pro": {"question": "2+2?", "options": ["3", "4", "5"], "answer": "B", "answer_index": 1},
    "arc": {"question": "2+2?", "choices": {"text": ["3", "4", "5"], "label": ["1", "2", "3"]}, "answerKey": "2"},
    "aqua": {"question": "2+2?", "options": ["A)3", "B)4", "C)5"], "correct": "B"},
    "by letter": {"question": "2+2?", "options": {"A": "3", "B": "4", "C": "5"}, "answer": "(B)"},
    "a number that is an option's": {"question": "2+2?", "choices": ["3", "4", "5"], "answer": "4", "label": 2},
    "by text": {"question": "2+2?", "choices": ["3", "4", "5"], "answer": "4"},
    "openbookqa": {
        "question_stem": "2+2?",
        "choices": {"text": ["3", "4", "5"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
}


@pytest.mark.parametrize("shape", ROWS)
def test_a_row_of_each_shape(shape: str, tmp_path: Path) -> None:
    task = Math(write(tmp_path / "a.jsonl", ROWS[shape]))
    (problem,) = task.all_problems
    assert (problem.prompt, problem.answer) == ("2+2?\n\nA. 3\nB. 4\nC. 5", "B")
    assert problem.metadata["choices"] == ["3", "4", "5"]
    for text, status in (
        ("B", "correct"),
        ("The answer is 4.", "correct"),
        ("(B) 4", "correct"),
        ("B. 3", "wrong"),
        ("C", "wrong"),
    ):
        assert task.verify(problem, text).status == status
    assert (task.final_answer(problem, "it is 4"), task.gold(problem)) == ("B", "B")


def test_gpqas_options_are_in_an_order_that_the_question_draws(tmp_path: Path) -> None:
    rows = [
        {
            "Question": f"{i}?",
            "Correct Answer": "yes",
            **{f"Incorrect Answer {k}": f"no {k}" for k in (1, 2, 3)},
            "Record ID": f"r{i}",
        }
        for i in range(40)
    ]
    one, two = (Math(write(tmp_path / f"{n}.jsonl", *r)).all_problems for n, r in (("a", rows), ("b", rows[::-1])))
    assert {p.id: p for p in one} == {p.id: p for p in two}
    assert {p.answer for p in one} == set("ABCD")
    assert all(p.metadata["choices"]["ABCD".index(p.answer)] == "yes" for p in one)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"choices": ["3", "4"], "answer": "7"}, "none of these fields says which is right: .*answer"),
        ({"choices": ["3", "4"]}, "none of these fields says which is right"),
        ({"choices": ["3"], "answer": 0}, "field 'choices': a list of two options or more wanted"),
        ({"choices": [str(i) for i in range(11)], "answer": 0}, "11 options; at most 10"),
        ({"choices": ["4", "4"], "answer": 0}, "two options are the right one: '4'"),
        ({"choices": ["10", "2", "3"], "answer": 2}, "field 'answer': 2 is an option's text and another's number"),
    ],
)
def test_rows_that_say_no_right_option(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=f"a.jsonl:1: .*{says}|a.jsonl:1: {says}"):
        choice_of(row, "2+2?", "a.jsonl:1")


def test_a_row_without_options_is_none() -> None:
    assert choice_of({"options": [], "answer": "4"}, "2+2?", "a.jsonl:1") is None


def test_options_that_the_question_lists(tmp_path: Path) -> None:
    row = {"question": "2+2?\n(A) 3\n(B) 4", "answer": "4"}
    (problem,) = Math(write(tmp_path / "a.jsonl", row)).all_problems
    assert gold_for(problem).letters == "B"
    assert Math().verify(problem, "\\boxed{\\textbf{(B)}\\ 4}").status == "correct"


def test_options_of_a_row_of_samples_may_be_anything() -> None:
    anything: list[Any] = [[{"message": {"content": "x"}}], "none", ["only one"], ["5", "6"]]
    for value in anything:
        assert choice_of({"choices": value, "gold": "4"}, "2+2?", "a:1", "gold") is None
    options: list[Any] = [["3", "4"], "A. 3\nB. 4", {"A": "3", "B": "4"}]
    for value in options:
        found = choice_of({"choices": value, "gold": "B"}, "2+2?", "a:1", "gold")
        assert found is not None
        assert (found.letter, found.options) == ("B", ("3", "4"))
