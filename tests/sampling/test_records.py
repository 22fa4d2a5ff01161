import csv
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.sampling.records import (
    Fields,
    ImportConfig,
    as_label,
    as_texts,
    find_fields,
    lookup,
    matches,
    read_table,
    required,
)
from reachlab.tasks.rows import Row


def found(row: dict[str, Any], **named: Any) -> Fields:
    return find_fields(ImportConfig(file="f.jsonl", **named), row)


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (
            {"question": "", "answer": "", "response": ""},
            Fields("response", "question", "answer", None, None, None),
        ),
        (
            {
                "problem_id": 1,
                "prompt": "",
                "ground_truth": "",
                "answer": "",
                "completions": [],
                "is_correct": [],
            },
            Fields("completions", "prompt", "ground_truth", "problem_id", None, "is_correct"),
        ),
        (
            {"id": 1, "sample": 0, "problem": "", "solution": "", "text": ""},
            Fields("text", "problem", "solution", "id", "sample", None),
        ),
        (
            {"question": "", "answer": "", "sample": ""},
            Fields("sample", "question", "answer", None, None, None),
        ),
        (
            {"question": "", "ground_truth": "", "m": {"solution": "", "is_correct": True}},
            Fields("*.solution", "question", "ground_truth", None, None, "*.is_correct"),
        ),
        (
            {"question": "", "answer": "", "m": {"solution": "", "is_correct": True}, "n": {"solution": ""}},
            Fields("*.solution", "question", "answer", None, None, None),
        ),
    ],
)
def test_common_names_are_found(row: dict[str, Any], fields: Fields) -> None:
    row = {k: 1 if v == "" else v for k, v in row.items()}
    assert found(row) == fields


def test_names_that_are_given_win() -> None:
    row = {"question": "a", "q": "b", "answer": "c", "text": "d", "out": {"x": "e"}}
    assert found(row, question="q", text="out.x") == Fields("out.x", "q", "answer", None, None, None)


@pytest.mark.parametrize(
    ("row", "named", "says"),
    [
        (
            {"a": 1, "b": 2},
            {},
            "fields are a, b; .* reachlab import f.jsonl --text FIELD --question FIELD --answer FIELD",
        ),
        ({"question": "", "x": 1}, {"question": "x", "text": "x"}, "import f.jsonl --answer FIELD"),
        ({"text": "x"}, {"task": "math:y"}, "import f.jsonl --question FIELD"),
        ({"question": "x", "answer": 1}, {"text": "*.*"}, "one \\* at most"),
    ],
)
def test_what_cannot_be_found_is_asked_for(row: dict[str, Any], named: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        found(row, **named)


def test_a_task_needs_no_answers_and_an_id_may_stand_for_the_question() -> None:
    assert found({"id": 1, "text": "x"}, task="math:f") == Fields("text", None, None, "id", None, None)


def test_paths() -> None:
    row = {"a": {"b": {"c": 1}}, "a.b": 2, "list": [1], "none": None}
    assert lookup(row, "a.b.c") == 1
    assert lookup(row, "a.b") == 2
    assert lookup(row, "a.x") is lookup(row, "list.0") is lookup(row, "none") is None
    with pytest.raises(ReachlabError, match=r"f:1: no field 'a\.x'; its fields: a, a\.b, list, none"):
        required(row, "a.x", "f:1")


def test_what_a_star_stands_for() -> None:
    rows: list[Row] = [
        ("f:1", {"q": "x", "m": {"s": "a"}, "by": {"x": {"s": "b"}}}),
        ("f:2", {"q": {"t": 1}, "n": {"s": "c"}}),
    ]
    assert matches(rows, "*.s") == ["m", "n"]
    assert matches(rows, "by.*.s") == ["x"]
    assert Fields("*.s", "q", None, None, None, "*.l").of("m") == Fields("m.s", "q", None, None, None, "m.l")
    with pytest.raises(ReachlabError, match=r"f:1: no field \*\.t\.u; its fields: q, m, by"):
        matches(rows, "*.t.u")


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1))
def test_csv_and_parquet_come_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    def storable(text: str) -> str:
        return text.replace("\0", "").replace("\r", "")

    folder = tmp_path_factory.mktemp("rows")
    rows = [{"a": storable(a), "b": storable(b) + "."} for a, b in pairs]
    with (folder / "x.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["a", "b"])
        writer.writeheader()
        writer.writerows(rows)
    assert [row for _, row in read_table(str(folder / "x.csv"))] == rows
    (folder / "x.csv.gz").write_bytes(gzip.compress((folder / "x.csv").read_bytes()))
    assert [row for _, row in read_table(str(folder / "x.csv.gz"))] == rows
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet")
    assert list(read_table(str(folder / "x.parquet"))) == [
        (f"{folder / 'x.parquet'}: row {i}", row) for i, row in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "a.csv: empty file"),
        ("a.csv", b"x,y\n", "a.csv: empty file"),
        ("a.csv", b"x,y\n1,2\n3\n", "a.csv:3: not 2 fields as in the header: x, y"),
        ("a.csv", b"x,y\n1,2,3\n", "a.csv:2: not 2 fields as in the header: x, y"),
        ("a.csv", b'x,y\n1,"2\n', "a.csv:2: not CSV"),
        ("a.csv", b"x,y\n\xff,2\n", "a.csv: not readable as text"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n" * 99, mtime=0)[:-9], r"a.csv.gz: not readable as text"),
        ("a.parquet", b"PAR1", "a.parquet: not readable as Parquet"),
        ("a.jsonl", b"", "a.jsonl: empty file"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReachlabError, match=says) as caught:
        list(read_table(str(tmp_path / name)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReachlabError, match=f"{name}: no such file"):
        list(read_table(str(tmp_path / name)))


def test_an_empty_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(ReachlabError, match="no rows"):
        list(read_table(str(tmp_path / "a.parquet")))


def test_values() -> None:
    assert as_texts("a", "f:1") == ["a"]
    assert as_texts(["a", ""], "f:1") == ["a", ""]
    assert [as_label(v, "f:1") for v in (True, 1, "True", "1", 1.0, False, 0, "false")] == [True] * 5 + [False] * 3
    for bad in (None, 2, "yes?", [True]):
        with pytest.raises(ReachlabError, match="f:1: true or false wanted"):
            as_label(bad, "f:1")
    for worse in (3, None, {"text": "a"}):
        with pytest.raises(ReachlabError, match="f:1: text wanted"):
            as_texts([worse], "f:1")
