"""What a whole log comes to: several files, steps, labels as verdicts, rows skipped, answers that are not there."""

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import kill_again_and_again, touches

from reachlab.errors import ReachlabError
from reachlab.imports import importing as module
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.runs import RunFolder
from reachlab.sampling.config import VerifyConfig
from reachlab.sampling.verifying import verify
from reachlab.store.samples import SampleStore


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def stored(out: Path | str) -> dict[tuple[str, int], tuple[str, str]]:
    return {(s.problem_id, s.index): (s.text, s.verdict.status) for s in SampleStore(RunFolder(out)).samples()}


def row(i: int, said: str = "", **more: Any) -> dict[str, Any]:
    return {"id": f"p{i % 5}", "question": f"{i % 5} + 1?", "answer": i % 5 + 1, "text": said or f"It is {i}.", **more}


def test_several_files_are_samples_of_the_same_problems(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / f"output-rs{seed}.jsonl", *(row(i, f"{i + 1 + seed}", sample=0) for i in range(5)))
    (run,) = import_samples(
        ImportConfig(file=(str(tmp_path / "output-rs*.jsonl"),), out=str(tmp_path / "run"), workers=1)
    )
    assert (run.problems, run.samples, run.correct) == (5, 10, 5)
    assert stored(tmp_path / "run")["p3", 0] == ("4", "correct")
    assert stored(tmp_path / "run")["p3", 1] == ("5", "wrong")
    with pytest.raises(ReachlabError, match=r"again; each may come once"):
        import_samples(
            ImportConfig(file=(str(tmp_path / "*.jsonl"),), index="sample", out=str(tmp_path / "b"), workers=1)
        )
    with pytest.raises(ReachlabError, match="named twice"):
        import_samples(ImportConfig(file=(str(tmp_path / "output-rs0.jsonl"),) * 2, workers=1))
    with pytest.raises(ReachlabError, match="no file matches"):
        import_samples(ImportConfig(file=(str(tmp_path / "none*"),), workers=1))


def test_files_of_different_problems_under_one_id_are_no_run(tmp_path: Path) -> None:
    files = (
        write(tmp_path / "a.jsonl", row(0), row(1)),
        write(tmp_path / "b.jsonl", row(0, question="9 + 9?"), row(1)),
    )
    with pytest.raises(ReachlabError, match=r"b\.jsonl:1: problem 'p0' has another question .* than at .*a\.jsonl:1"):
        import_samples(ImportConfig(file=files, out=str(tmp_path / "run"), workers=1))


def test_steps_of_training_are_runs_of_their_own(tmp_path: Path) -> None:
    rows = [
        {
            "input": f"user\n{i}+1?\nassistant\n",
            "output": f"{i + step}",
            "gts": str(i + 1),
            "score": 1 if step == 1 else -1,
            "step": step,
        }
        for step in (1, 2)
        for i in range(3)
    ]  # fmt: skip
    runs = import_samples(
        ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "runs"), workers=1)
    )
    assert [(r.name, r.samples, r.correct, r.agreement) for r in runs] == [
        ("step-000001", 3, 3, 1.0),
        ("step-000002", 3, 0, 1.0),
    ]
    (run,) = import_samples(
        ImportConfig(file=(write(tmp_path / "y.jsonl", *rows[:3]),), out=str(tmp_path / "one"), workers=1)
    )
    assert run.folder.endswith("one")


def test_the_logs_own_verdicts(tmp_path: Path) -> None:
    labels: list[Any] = [True, "C", 1, "pass", -1, "I", 0.5, None]
    rows = [{"id": "a", "text": f"did {i}", "correct": label} for i, label in enumerate(labels)]
    file = write(tmp_path / "x.jsonl", *rows)
    (judged,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "judged"), workers=1))
    assert (judged.correct, judged.unscored, judged.agreement) == (0, 8, None)
    assert "nothing is judged" in judged.remarks[0]
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), verdicts="file", workers=1))
    assert (run.correct, run.wrong, run.unscored, run.labelled) == (4, 2, 2, 0)
    assert "1 labels say neither right nor wrong" in run.remarks[1]
    (low,) = import_samples(
        ImportConfig(file=(file,), out=str(tmp_path / "low"), verdicts="file", threshold=0.5, workers=1)
    )
    assert (low.correct, low.wrong, low.unscored) == (5, 2, 1)
    before = stored(tmp_path / "run")
    with pytest.raises(ReachlabError, match="verdicts are the log's own"):
        verify(VerifyConfig(run=str(tmp_path / "run")))
    assert stored(tmp_path / "run") == before


def test_what_is_not_there_is_kept_and_counted(tmp_path: Path) -> None:
    rows = [row(0, "1"), {**row(1), "text": None}, {**row(2), "text": []}, {**row(3), "text": ["4", None]}]
    (run,) = import_samples(
        ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "run"), workers=1)
    )
    assert (run.problems, run.samples, run.correct, run.unscored, run.unanswered) == (4, 4, 2, 2, 2)
    assert {s.verdict.reason for s in SampleStore(RunFolder(tmp_path / "run")).samples() if s.text == ""} == {
        "not answered"
    }
    verify(VerifyConfig(run=str(tmp_path / "run"), workers=1))
    assert stored(tmp_path / "run")["p1", 0] == ("", "unscored")


def test_a_bad_row_stops_or_is_skipped(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", row(0, "1"), '{"torn', row(1, question=7), row(2, "3"))
    with pytest.raises(ReachlabError, match=r"x\.jsonl:2: not JSON"):
        import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1))
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), skip_bad=True, workers=1))
    assert (run.samples, run.correct, run.skipped) == (2, 2, 2)
    assert [reason.split(": ")[0].rsplit(":")[-1] for reason in run.skipped_rows] == ["2", "3"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["facts"]["skipped"] == 2


def test_an_import_killed_again_and_again_equals_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_SIZE", 4)
    file = write(tmp_path / "x.jsonl", *(row(i, correct=i % 2) for i in range(60)))

    def work(out: str) -> None:
        import_samples(ImportConfig(file=(file,), out=str(tmp_path / out), workers=1))

    most = touches(lambda: work("a"))
    assert kill_again_and_again(lambda: work("b"), most, kills=3, seed=1) >= 2
    assert stored(tmp_path / "b") == stored(tmp_path / "a")
    for name in ("problems.jsonl", "disagreements.jsonl"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "b" / "samples").glob("*.parquet")) == sorted(
        p.name for p in (tmp_path / "a" / "samples").glob("*.parquet")
    )


def test_the_page_says_whose_verdicts_these_are(tmp_path: Path, command: Any) -> None:
    rows = [{"id": f"p{i}", "text": f"did {n}", "correct": (i + n) % 3 > 0} for i in range(4) for n in range(2)]
    file = write(tmp_path / "agent.jsonl", *rows)
    code, out, _ = command("import", file, "--verdicts", "file", "--out", tmp_path / "agent")
    assert code == 0
    assert "verdicts are the labels of the log" in out
    assert command("report", tmp_path / "agent", "--out", tmp_path / "page.html")[0] == 0
    assert "verdicts of agent are the labels of its log" in unescape((tmp_path / "page.html").read_text())


def test_a_problem_without_a_right_answer_is_judged_by_nobody(tmp_path: Path) -> None:
    """Such as a row of code among rows of arithmetic: its answer is not compared with the word None."""
    rows = [
        {"input": "1+1?", "output": "2", "gts": "2", "score": 1.0, "step": 1},
        {"input": "write f", "output": "None", "gts": {"inputs": ["1"], "outputs": ["2"]}, "score": 0.0, "step": 1},
    ]
    (run,) = import_samples(
        ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "run"), workers=1)
    )
    assert (run.correct, run.wrong, run.unscored) == (1, 0, 1)
    verify(VerifyConfig(run=str(tmp_path / "run"), workers=1))
    assert [status for _, status in stored(tmp_path / "run").values()] == ["correct", "unscored"]


def test_a_switch_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", row(0), row(1))
    with pytest.raises(ReachlabError, match="--filter strict: logs of the format fields have no filters"):
        import_samples(ImportConfig(file=(file,), filter="strict", out=str(tmp_path / "run"), workers=1))
    for more in ({"problems": 3}, {"split": "test"}, {"problem_seed": 1}):
        with pytest.raises(ReachlabError, match="which problems of a --task"):
            ImportConfig(file=(file,), **more)
