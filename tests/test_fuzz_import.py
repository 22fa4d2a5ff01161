"""Bad files and options for `reachlab import`: one line, exit code 2, and nothing stored; as `test_fuzz.py`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Command
from tests.test_fuzz import ANY_FILE, ANY_JSON, BAD, put, refused, runs_or_refuses, state

ROW: Mapping[str, Any] = {"question": "1+1?", "answer": "2", "text": "It is \\boxed{2}.", "is_correct": True}
WORKERS = ("--workers", "1")


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet", "jsonl.gz"])
def test_damaged_files(ending: str, command: Command, tmp_path: Path) -> None:
    file, wrong = tmp_path / f"rows.{ending}", {}
    for at, (what, damage) in enumerate({**ANY_FILE, **ANY_JSON}.items()):
        put(file, damage(f"{json.dumps(ROW)}\n{json.dumps({**ROW, 'question': '1+2?', 'answer': '3'})}\n".encode()))
        found = runs_or_refuses(command, ("import", file, *WORKERS, "--out", tmp_path / f"out{at}"), "")
        wrong[what] = found
    assert not {what: found for what, found in wrong.items() if found}


def test_rows_with_other_values(command: Command, tmp_path: Path) -> None:
    wrong, file = {}, tmp_path / "rows.jsonl"
    for name in (*ROW, "id", "sample"):
        for what, value in BAD.items():
            file.write_text(json.dumps({**ROW, name: value}) + "\n")
            words = ("import", file, *WORKERS, "--out", tmp_path / f"{name} {what}")
            wrong[f"{name} {what}"] = runs_or_refuses(command, words, "")
    assert not {what: found for what, found in wrong.items() if found}


@pytest.mark.parametrize(
    "words",
    [
        *(("--workers", n) for n in ("0", "-1")),
        *((f"--verify-timeout={t}",) for t in ("-1", "0", "nan", "inf")),
        *(("--task", "countdown", f"--problem-seed={n}") for n in ("-1", str(2**64))),
        *(("--task", "countdown", f"--problems={n}") for n in ("-1", "0", "1000000000000")),
        *(("--out", out) for out in ("/", "{w}", "{w}/rows.jsonl", "foo://x", "")),
        *(("--task", task) for task in ("nothing", "math:foo://x", "math:{w}", "")),
        ("--text", "*.*"),
        ("--text", "none"),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be(words: Sequence[str], command: Command, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    before = state(tmp_path)
    out = () if "--out" in words else ("--out", tmp_path / "new")
    given = [word.replace("{w}", str(tmp_path)) for word in words]
    assert not refused(command, ("import", tmp_path / "rows.jsonl", *out, *given))
    assert state(tmp_path) == before


@pytest.mark.parametrize("file", ["foo://x", "{w}", "{w}/none.jsonl", "", "s3://bucket/x.jsonl"])
def test_files_that_are_not_there(file: str, command: Command, tmp_path: Path) -> None:
    assert not refused(command, ("import", file.replace("{w}", str(tmp_path)), "--out", tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", [2**31, 2**40, 2**63, 2**70, 10**400, -1, 0.5, "1e400", float("nan")])
def test_sample_numbers_that_no_column_holds(number: Any, command: Command, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({**ROW, "sample_index": number}) + "\n")
    assert not refused(command, ("import", tmp_path / "rows.jsonl", *WORKERS, "--out", tmp_path / "new"))
