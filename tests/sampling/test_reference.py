import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Command
from tests.tiny import TASK, rows_of

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling import reference
from reachlab.sampling.config import ReferenceConfig, VerifyConfig
from reachlab.sampling.reference import write_reference
from reachlab.sampling.verifying import verify
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task

MATH = [
    {"question": "1+1?", "answer": "One and one.\n#### 2"},
    {"question": "2+2?", "answer": "4"},
    {"problem": "3+3?", "answer": "6", "solution": "Three twice: $\\boxed{6}$"},
    {"problem": "4+4?", "answer": "9", "solution": "Four twice: $\\boxed{8}$"},
]


def write(task: str, out: Path, **settings: Any) -> reference.ReferenceRun:
    return write_reference(ReferenceConfig(task=task, out=str(out), **settings))


def test_a_solution_a_problem_of_those_that_a_model_would_be_asked(tmp_path: Path) -> None:
    found = write(TASK, tmp_path / "run", problems=12, problem_seed=3)
    assert (found.problems, found.solutions, found.correct, found.without) == (12, 12, 12, 0)
    problems = load_task(TASK).problems("test", 12, 3)
    store = SampleStore(RunFolder(tmp_path / "run"))
    assert store.problems() == problems
    assert store.folder.read_json("run.json")["kind"] == "reference"
    for row in rows_of(tmp_path / "run"):
        assert (row["sample"], row["tokens"], row["logprob"], row["finish"]) == (0, 0, None, "stop")
        assert (row["engine"], row["seed"], row["verdict"]) == ("reference", 0, "correct")
    assert store.outcomes().c_P.tolist() == [1] * 12
    assert verify(VerifyConfig(run=str(tmp_path / "run"))) == {}


def test_again_it_writes_nothing_and_after_a_loss_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "PART_SIZE", 4)
    found = write(TASK, tmp_path, problems=10)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    whole = rows_of(tmp_path)
    assert write(TASK, tmp_path, problems=10) == found
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    parts = SampleStore(RunFolder(tmp_path)).parts()
    assert len(parts) == 3
    Path(parts[1]).unlink()
    assert write(TASK, tmp_path, problems=10) == found
    assert rows_of(tmp_path) == whole


def test_worked_solutions_of_a_file_and_problems_without(tmp_path: Path) -> None:
    (tmp_path / "math.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MATH))
    found = write(f"math:{tmp_path / 'math.jsonl'}", tmp_path / "run")
    assert (found.problems, found.solutions, found.without) == (4, 3, 1)
    assert (found.correct, found.wrong, found.unscored) == (2, 1, 0)
    assert [row["text"] for row in rows_of(tmp_path / "run")] == [
        MATH[0]["answer"], MATH[2]["solution"], MATH[3]["solution"],
    ]  # fmt: skip
    outcomes = SampleStore(RunFolder(tmp_path / "run")).outcomes()
    assert (outcomes.n_P.tolist(), outcomes.c_P.tolist()) == ([1, 0, 1, 1], [1, 0, 1, 0])


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "math.jsonl").write_text(json.dumps(MATH[1]) + "\n")
    with pytest.raises(ReachlabError, match="it knows no solution to any of these 1 problems"):
        write(f"math:{tmp_path / 'math.jsonl'}", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write(TASK, tmp_path / "run", problems=3)
    with pytest.raises(ReachlabError, match="problems was 3, now 4"):
        write(TASK, tmp_path / "run", problems=4)
    for settings, says in (({"problems": 0}, "problems=0 must be"), ({"verify_timeout": 0.0}, "verify_timeout=0.0")):
        with pytest.raises(ReachlabError, match=says):
            ReferenceConfig(task=TASK, out="x", **settings)


def test_as_a_user_sees_it(tmp_path: Path, command: Command) -> None:
    code, out, _ = command("reference", "--task", TASK, "--problems", "5", "--out", tmp_path / "run")
    assert (code, out) == (0, f"{tmp_path}/run: 5 reference solutions of 5 problems, 5 judged correct\n")
