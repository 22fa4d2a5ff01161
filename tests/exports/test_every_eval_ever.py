import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.exports.runs import a_run, a_sample, build
from tests.exports.schema import LINE, RECORD, faults

from reachlab.errors import ReachlabError
from reachlab.exports.config import ExportConfig
from reachlab.exports.exporting import export_run
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Verdict

WRONG, LOST = Verdict.wrong("no", 0.25), Verdict.unscored("out of time")


def exported(run: RunFolder, out: Path, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    """The record, its lines, and their file."""
    done = export_run(ExportConfig(run=run.url, out=str(out), format="eee", **options))
    record, lines = map(Path, done.files)
    return json.loads(record.read_text()), [json.loads(line) for line in lines.read_text().splitlines()], lines


def two_problems(out: Path, **config: Any) -> RunFolder:
    problems = [
        Problem(id="a", prompt="Q: 2+2? A:", answer="4", metadata={"question": "2+2?"}),
        Problem(id="b", prompt="3+3?", answer=6),
        Problem(id="c", prompt="?", answer=None),
    ]
    drawn = [
        a_sample("a", 0, "#### 4", final_answer="4"),
        a_sample("a", 1, "5", verdict=WRONG),
        a_sample("b", 0, "6"),
        a_sample("b", 1, "", verdict=LOST),
    ]
    return build(out, problems, [drawn], **config)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_schema_asks_for(tmp_path: Path, seed: int) -> None:
    record, lines, file = exported(a_run(tmp_path / "run", seed), tmp_path / "out")
    assert faults(record, RECORD, "record") == []
    assert [fault for line in lines for fault in faults(line, LINE, "line")] == []
    detailed = record["detailed_evaluation_results"]
    assert file == tmp_path / "out" / detailed["file_path"]
    assert detailed["checksum"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert detailed["total_rows"] == len(lines)
    details = record["model_info"]["additional_details"]
    assert (details["deployment_type"], details["model_availability"]) == ("self_deployed", "unknown")
    for line in lines:
        for name in ("evaluation_id", "schema_version"):
            assert line[name] == record[name]
        assert line["model_id"] == record["model_info"]["id"]
        assert line["evaluation_result_id"] == record["evaluation_results"][0]["evaluation_result_id"]


def test_what_it_says(tmp_path: Path) -> None:
    record, lines, file = exported(
        two_problems(tmp_path / "run"),
        tmp_path / "out",
        model_id="us/tiny",
        organization="Us",
        relationship="first_party",
    )
    assert file.parent == tmp_path / "out" / "data" / "math" / "us" / "tiny"
    assert record["source_metadata"] == {
        "source_name": "run",
        "source_type": "evaluation_run",
        "source_organization_name": "Us",
        "evaluator_relationship": "first_party",
    }
    (result,) = record["evaluation_results"]
    assert result["score_details"]["score"] == 0.75
    assert result["score_details"]["details"] == {
        "problems": "2", "scored": "3", "correct": "2", "unscored": "1", "unscored_problems": "1",
    }  # fmt: skip
    uncertainty = result["score_details"]["uncertainty"]
    assert uncertainty["standard_error"]["value"] == pytest.approx(0.25)
    assert uncertainty["confidence_interval"]["lower"] <= 0.75 <= uncertainty["confidence_interval"]["upper"]
    assert result["generation_config"] == {
        "generation_args": {
            "temperature": 0.7,
            "top_p": 0.95,
            "top_k": 0,
            "max_tokens": 64,
            "prompt_template": "plain",
        },
        "additional_details": {"stop": '["\\n\\n"]'},
    }
    first, second, _, lost = lines
    assert first["input"] == {"raw": "2+2?", "reference": ["4"], "formatted": "Q: 2+2? A:", "choices": None}
    hashed = '{"raw":"2+2?","reference":["4"]}'
    assert first["sample_hash"] == hashlib.sha256(hashed.encode()).hexdigest()
    assert first["output"] == {"raw": ["#### 4"]}
    assert first["answer_attribution"][0]["extracted_value"] == "4"
    assert [line["evaluation"] for line in (first, second)] == [
        {"score": 1.0, "is_correct": True},
        {"score": 0.0, "is_correct": False},
    ]
    assert [line["error"] for line in lines] == [None, None, None, "out of time"]
    assert lost["evaluation"] == {"score": 0.0, "is_correct": False}
    assert "runs/base" not in file.read_text()


def test_it_imports_again_as_the_same_run(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 2)
    _, _, file = exported(run, tmp_path / "out")
    import_samples(ImportConfig(file=(str(file),), out=str(tmp_path / "again")))
    again = SampleStore(RunFolder(tmp_path / "again"))
    assert again.samples() == SampleStore(run).samples()
    # A problem without samples has no line.
    assert again.problems() == [p for p in SampleStore(run).problems() if p.id != "not asked"]


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    run = two_problems(tmp_path / "run")
    _, _, file = exported(run, tmp_path / "out")
    before = file.read_bytes()
    assert exported(run, tmp_path / "out")[2] == file
    assert file.read_bytes() == before
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize(
    ("config", "facts", "task", "model"),
    [
        ({"task": "countdown,numbers=3"}, "org/m@" + "0" * 40, "countdown", "org/m"),
        ({"task": "math:/data/some/gsm8k_test.jsonl.gz", "model": "served: Qwen/Q"}, "Qwen/Q", "gsm8k_test", "Qwen/Q"),
        ({"task": None}, "runs/base", "unknown", "unknown/base"),
        ({}, "", "math", "unknown/x"),
    ],
)
def test_names(tmp_path: Path, config: dict[str, Any], facts: str, task: str, model: str) -> None:
    run = RunFolder(tmp_path / "x")
    run.claim("sample", {"task": "math", **config}, {"model_path": facts} if facts else {})
    store = SampleStore(run)
    store.write_problems([Problem(id="a", prompt="?", answer="4")])
    store.write_part([a_sample("a", 0)])
    record, lines, file = exported(run, tmp_path / "out")
    assert faults(record, RECORD, "record") == []
    assert [fault for line in lines for fault in faults(line, LINE, "line")] == []
    assert (record["evaluation_results"][0]["evaluation_name"], record["model_info"]["id"]) == (task, model)
    assert file.relative_to(tmp_path / "out").parent == Path("data", task, *model.split("/"))
    assert record["evaluation_results"][0]["score_details"]["uncertainty"] == {"num_samples": 1}


def test_a_run_without_a_scored_sample_has_no_score(tmp_path: Path) -> None:
    run = build(tmp_path / "run", [Problem(id="a", prompt="?", answer="4")], [[a_sample("a", 0, verdict=LOST)]])
    with pytest.raises(ReachlabError, match="no sample is scored"):
        exported(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_out_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("notes")
    with pytest.raises(ReachlabError, match="--format eee writes a folder"):
        exported(two_problems(tmp_path / "run"), tmp_path / "out")


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    _, _, file = exported(two_problems(tmp_path / "run"), tmp_path / "out", model_id="../x")
    assert file.parent == tmp_path / "out" / "data" / "math" / "unknown" / "x"
