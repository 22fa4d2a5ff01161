"""Formats of programs: evalplus, LiveCodeBench, bigcode, CRUXEval, and human-eval's rows, which `fields` reads."""

from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import document, labels, lines, read, texts

from reachlab.errors import ReachlabError


def evalplus(base: str, plus: str | None) -> dict[str, Any]:
    return {"task_id": "HumanEval/0", "solution": "def f(): pass", "base_status": base, "plus_status": plus}


def test_evalplus_wants_both_sets_of_tests(tmp_path: Path) -> None:
    solutions = [
        evalplus(*s) for s in (("pass", "pass"), ("pass", "fail"), ("fail", "pass"), ("pass", None), ("timeout", None))
    ]
    name, _, found = read(document(tmp_path / "x.json", {"date": "", "hash": "", "eval": {"HumanEval/0": solutions}}))
    assert name == "evalplus"
    assert labels(found) == [["pass"], ["fail"], ["fail"], ["pass"], ["timeout"]]
    assert {(r.id, r.gold, r.answers[0].text) for r in found} == {("HumanEval/0", None, "def f(): pass")}


def test_evalplus_results_without_solutions_say_so(tmp_path: Path) -> None:
    old = {"eval": {"HumanEval/0": {"nfiles": 1, "base": [["success", [True]]], "plus": []}}}
    with pytest.raises(ReachlabError, match=r"hold no solutions; import its samples\.jsonl"):
        read(document(tmp_path / "x.json", old))


def test_human_eval_samples_and_results(tmp_path: Path) -> None:
    rows = [
        {"task_id": "HumanEval/0", "completion": " return 1", "result": "passed", "passed": True},
        {"task_id": "HumanEval/0", "completion": " return 2", "result": "failed: no", "passed": False},
    ]
    name, _, found = read(lines(tmp_path / "x.jsonl", *rows))
    assert name == "fields"
    assert (texts(found), labels(found)) == ([[" return 1"], [" return 2"]], [[True], [False]])
    assert {(r.id, r.gold) for r in found} == {("HumanEval/0", None)}


def lcb(**other: Any) -> dict[str, Any]:
    base = {"question_id": "a1", "question_content": "Add.", "output_list": ["x", "y"], "code_list": ["c", "d"]}
    return base | other


@pytest.mark.parametrize(
    ("graded", "wanted"),
    [
        ([True, False], [True, False]),
        ([[True, True], [1, -2]], [True, False]),
        ([[], [False]], [False, False]),
        (None, [None, None]),
    ],
)
def test_livecodebench(tmp_path: Path, graded: Any, wanted: list[Any]) -> None:
    name, _, (record,) = read(document(tmp_path / "x.json", [lcb(graded_list=graded, metadata=["{}", "{}"])]))
    assert name == "livecodebench"
    assert texts([record]) == [["x", "y"]]
    assert labels([record]) == [wanted]
    assert (record.id, record.question, record.gold) == ("a1", "Add.", None)


def test_other_scenarios_of_livecodebench(tmp_path: Path) -> None:
    rows = [
        lcb(test_id=2, pred_list=["1", "2"]),
        lcb(id="sample_7", pred_list=["1", "2"], output="12", input="f(1)", question_content=None),
        lcb(output_list=[["x"], ["y"]]),
        lcb(output_list=None),
    ]
    found = read(document(tmp_path / "x.json", rows))[2]
    assert [(r.id, r.question) for r in found] == [("a1-2", None), ("sample_7", None), ("a1", "Add."), ("a1", "Add.")]
    assert texts(found) == [["x", "y"], ["x", "y"], ["x", "y"], ["c", "d"]]


def test_bigcode_is_by_place(tmp_path: Path) -> None:
    name, _, found = read(document(tmp_path / "x.json", [["a", "b"], [], [None]]))
    assert name == "bigcode"
    assert [(r.id, len(r.answers)) for r in found] == [("0", 2), ("1", 0), ("2", 1)]
    assert texts(found) == [["a", "b"], [], [None]]


def test_cruxeval(tmp_path: Path) -> None:
    scored = {"raw_generations": {"s0": ["1", "2"], "s1": ["3"]}, "raw_scored_generations": {"s0": [True, False]}}
    name, _, found = read(document(tmp_path / "x.json", scored))
    assert name == "cruxeval"
    assert [(r.id, *labels([r])) for r in found] == [("s0", [True, False]), ("s1", [None])]
