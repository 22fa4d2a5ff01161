from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import labels, lines, read, texts

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.fields import FieldNames, Fields, number_of


def found(*rows: dict[str, Any], **named: Any) -> FieldNames:
    format = Fields(ImportConfig(file=("f.jsonl",), **named))
    return format.look_through((f"f.jsonl:{n}", row) for n, row in enumerate(rows, 1)).names


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"question": "", "answer": "", "response": ""}, FieldNames("response", "question", "answer")),
        (
            {"problem_id": 1, "prompt": "", "ground_truth": "", "answer": "", "completions": [], "is_correct": [True]},
            FieldNames("completions", "prompt", "ground_truth", "problem_id", None, "is_correct"),
        ),
        (
            {"id": 1, "sample": 0, "problem": "", "solution": "", "text": ""},
            FieldNames("text", "problem", "solution", "id", "sample"),
        ),
        ({"question": "", "answer": "", "sample": ""}, FieldNames("sample", "question", "answer")),
        ({"question": "", "gold": "", "answer": "", "response": ""}, FieldNames("response", "question", "gold")),
        (
            {"question": "", "answer": "", "output": "", "raw_output": ""},
            FieldNames("raw_output", "question", "answer"),
        ),
        (
            {"prompt": "", "responses": [], "reward_model": {"ground_truth": "4", "style": "rule"}},
            FieldNames("responses", "prompt", "reward_model.ground_truth"),
        ),
        (
            {"question": "", "ground_truth": "", "m": {"solution": "", "is_correct": True}},
            FieldNames("*.solution", "question", "ground_truth", None, None, "*.is_correct"),
        ),
        (
            {"question": "", "answer": "", "m": {"solution": "", "is_correct": True}, "n": {"solution": ""}},
            FieldNames("*.solution", "question", "answer"),
        ),
        ({"task_id": "x/0", "solution": "def f(): pass"}, FieldNames("solution", None, None, "task_id")),
    ],
)
def test_common_names_are_found(row: dict[str, Any], fields: FieldNames) -> None:
    assert found({k: "x" if v == "" else v for k, v in row.items()}) == fields


def test_names_that_are_given_win() -> None:
    row = {"question": "a", "q": "b", "answer": "c", "text": "d", "out": {"x": "e"}}
    assert found(row, question="q", text="out.x") == FieldNames("out.x", "q", "answer")


def test_a_field_that_the_first_row_lacks() -> None:
    assert found({"question": "a", "text": None}, {"question": "a", "text": "b"}).text == "text"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"a": 1, "b": 2}], r"x\.jsonl:1: no answers found; its fields are a, b; .* reachlab import .* --text FIELD"),
        ([{"text": "x"}], r"x\.jsonl:1: neither a question nor an id found; .* --question FIELD"),
        ([{"id": 1, "text": "x"}, {"id": 1}], r"x\.jsonl:2: no field 'text'; its fields: id"),
        ([{"id": 1, "text": 3}], r"x\.jsonl:1: field 'text': text wanted, found 3"),
        ([{"id": 1, "texts": ["a", 3]}], r"x\.jsonl:1: field 'texts': text wanted, found 3"),
        ([{"id": 1, "texts": ["a", "b"], "is_correct": [True]}], r"field 'is_correct': 1 labels for 2 answers"),
        ([{"id": {"a": 1}, "text": "x"}], r"x\.jsonl:1: an id: text or a number wanted"),
        ([{"question": 3, "text": "x"}], r"x\.jsonl:1: field 'question': text wanted, found 3"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, rows: list[Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        read(lines(tmp_path / "x.jsonl", *rows, *rows))


@pytest.mark.parametrize(
    ("values", "label"),
    [
        (["A", "C"], None),  # the letters of a multiple choice
        ([42, 1], None),  # the right answer, or a score of 1 to 10
        (["C", "I"], "is_correct"),
        ([1, 0], "is_correct"),
        ([0.5, 1.0], "is_correct"),
        ([None, True], "is_correct"),
    ],
)
def test_a_field_of_labels_has_to_hold_labels(values: list[Any], label: str | None) -> None:
    rows = [{"id": n, "text": "x", "is_correct": value} for n, value in enumerate(values)]
    assert found(*rows).label == label


def test_one_label_of_several_answers_is_of_none(tmp_path: Path) -> None:
    row = {"id": 1, "texts": ["a", "b"], "accuracy": 1.0}
    assert labels(read(lines(tmp_path / "x.jsonl", row, row))[2]) == [[None, None]] * 2
    with pytest.raises(ReachlabError, match="1 labels for 2 answers"):
        read(lines(tmp_path / "x.jsonl", row, row), label="accuracy")


def test_answers_that_are_objects_or_messages(tmp_path: Path) -> None:
    objects = {"id": 1, "responses": [{"text": "a", "score": 1}, {"message": {"content": "b"}}, None]}
    messages = {"id": 2, "responses": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]}
    records = read(lines(tmp_path / "x.jsonl", objects, messages))[2]
    assert (texts(records), labels(records)) == ([["a", "b", None], ["a", "b"]], [[1, None, None], [None, None]])


@pytest.mark.parametrize(
    ("gold", "wanted"),
    [
        ("4", "4"),
        (4, 4),
        (["4", "5"], ["4", "5"]),
        ("['4']", ["4"]),
        ("def f():\n  return 4", None),
        ('{"inputs": 1}', None),
    ],
)
def test_right_answers(tmp_path: Path, gold: Any, wanted: Any) -> None:
    row = {"question": "2+2?", "answer": gold, "text": "x"}
    assert read(lines(tmp_path / "x.jsonl", row, row))[2][0].gold == wanted


def test_each_star_is_a_run(tmp_path: Path) -> None:
    rows = [{"question": "q", "m": {"s": "a"}, "n": {"s": "b"}}, {"question": "q", "m": {"s": None}, "n": {"s": "c"}}]
    records = read(lines(tmp_path / "x.jsonl", *rows), text="*.s")[2]
    assert [(r.run, r.answers[0].text) for r in records] == [("m", "a"), ("n", "b"), ("m", None), ("n", "c")]
    with pytest.raises(ReachlabError, match=r"y\.jsonl:2: no field 'm\.s'"):
        read(lines(tmp_path / "y.jsonl", rows[0], {"question": "q", "n": {"s": "c"}}), text="*.s")
    with pytest.raises(ReachlabError, match=r"x\.jsonl:1: \*\.t matches nothing, .*; its fields: question, m, n"):
        read(lines(tmp_path / "x.jsonl", *rows), text="*.t")


def test_models_are_runs(tmp_path: Path) -> None:
    rows = [{"instruction": "2+2?", "output": "4", "generator": m} for m in ("org/a", "b", "org/a")]
    _, taken, records = read(lines(tmp_path / "x.jsonl", *rows))
    assert [r.run for r in records] == ["org/a", "b", "org/a"]
    assert taken.endswith("a run for each generator: each is another policy")
    assert [r.run for r in read(lines(tmp_path / "y.jsonl", rows[0], rows[0]))[2]] == ["", ""]


def test_cells_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("question,answer,responses,correct\nq,4,\"['a', 'b']\",\"[True, False]\"\nq,4,,\nq,4,c,True\n")
    records = read(file)[2]
    assert texts(records) == [["a", "b"], [None], ["c"]]
    assert labels(records)[0] == ["True", "False"]
    file.write_text("question,answer,responses\nq,4,\"['a' 'b']\"\n")
    with pytest.raises(ReachlabError, match=r"x\.csv:2: field 'responses': a printed list that does not say"):
        read(file)


def test_the_number_of_a_sample() -> None:
    assert [number_of(v, "f:1") for v in (0, 3, "7", 2.0)] == [0, 3, 7, 2]
    for bad in (None, -1, 2**31, True, "x", 1.5, float("nan"), [1], 10**400):
        with pytest.raises(ReachlabError, match="f:1: a sample's number"):
            number_of(bad, "f:1")
