"""What is exported imports again as the same run."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Command
from tests.exports.runs import CONFIG, a_run, a_sample, build

from reachlab.errors import ReachlabError
from reachlab.exports.config import ExportConfig
from reachlab.exports.exporting import export_run
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, Verdict

NAMES = ("x.jsonl", "x.jsonl.gz", "x.parquet")


def exported(run: RunFolder, out: Path, **options: Any) -> Path:
    export_run(ExportConfig(run=run.url, out=str(out), **options))
    return out


def imported(file: Path, out: Path, **options: Any) -> RunFolder:
    import_samples(ImportConfig(file=(str(file),), out=str(out), workers=1, **options))
    return RunFolder(out)


def problem_lines(run: RunFolder) -> bytes:
    return Path(run.file("problems.jsonl")).read_bytes()


def assert_same(again: RunFolder, run: RunFolder) -> None:
    assert problem_lines(again) == problem_lines(run)
    assert SampleStore(again).problems() == SampleStore(run).problems()
    assert SampleStore(again).samples() == SampleStore(run).samples()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_what_is_exported_imports_again_as_the_same_run(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("again")
    run = a_run(tmp_path / "run", seed)
    again = imported(exported(run, tmp_path / name), tmp_path / "again")
    assert_same(again, run)
    # And that run's export is a run once more.
    assert_same(imported(exported(again, tmp_path / f"2{name}"), tmp_path / "third"), run)


def test_a_row_has_all_that_is_known(tmp_path: Path) -> None:
    problem = Problem(id="p", prompt="Q: 2+2? A:", answer="4", metadata={"question": "2+2?"})
    run = build(tmp_path / "base", [problem], [[a_sample("p", 3, "#### 4", final_answer="4")]])
    (line,) = exported(run, tmp_path / "x.jsonl").read_text().splitlines()
    row = json.loads(line)
    document = json.loads(row.pop("run_config"))
    assert document["config"] == CONFIG
    assert document["facts"] == {"model_path": "runs/base", "problem_seed": 0}
    assert len(row.pop("run_id")) == 32
    assert row == {
        "problem_id": "p",
        "sample": 3,
        "question": "2+2?",
        "prompt": "Q: 2+2? A:",
        "answer": "4",
        "text": "#### 4",
        "verdict": "correct",
        "score": 1.0,
        "reason": "",
        "final_answer": "4",
        "steps": None,
        "valid_steps": None,
        "tokens": 6,
        "finish": "stop",
        "logprob": -1.5,
        "seed": 2**62 + 3,
        "engine": "transformers",
        "metadata": {"question": "2+2?"},
        "problem_index": 0,
        "run": "base",
        "task": "math",
        "model": "runs/base",
        "temperature": 0.7,
        "top_p": 0.95,
        "top_k": 0,
        "max_tokens": 64,
    }


def test_pandas_reads_both(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    stored = SampleStore(run).samples()
    lines = pd.read_json(exported(run, tmp_path / "x.jsonl"), lines=True)
    table = pd.read_parquet(exported(run, tmp_path / "x.parquet"))
    for frame in (lines, table):
        kept = frame[frame["sample"].notna()].sort_values(["problem_index", "sample"])
        assert kept["text"].tolist() == [s.text for s in stored]
        assert kept["problem_id"].tolist() == [s.problem_id for s in stored]
    assert list(table.columns) == [
        c for name in lines.columns for c in ([name, "answer_kind"] if name == "answer" else [name])
    ]
    of = table.drop_duplicates("problem_id").set_index("problem_id").replace({np.nan: None})
    assert of["answer_kind"].to_dict() == {
        "q 1\u2028": "text",
        "number": "json",
        "code": "json",
        "json text": "text",
        "nobody knows": None,
        "not asked": "json",
    }
    assert json.loads(of["answer"]["not asked"]) == ["x", "y"]
    assert [m["content"] for m in of["messages"]["code"]] == ["x", "f"]
    assert of["question"]["number"] == "3+3?"


def test_a_sample_that_two_parts_hold_comes_once(tmp_path: Path) -> None:
    problems = [Problem(id=name, prompt=name, answer="4") for name in "ab"]
    first = [a_sample("a", 0), a_sample("a", 1)]
    run = build(tmp_path / "run", problems, [first, [*first[1:], a_sample("b", 0)]])
    result = export_run(ExportConfig(run=run.url, out=str(tmp_path / "x.jsonl")))
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").open()]
    assert sorted((row["problem_id"], row["sample"]) for row in rows) == [("a", 0), ("a", 1), ("b", 0)]
    assert (result.samples, result.problems) == (3, 2)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    for name in NAMES:
        assert exported(run, tmp_path / name).read_bytes() == exported(run, tmp_path / "other" / name).read_bytes()
    assert gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()) == (tmp_path / "x.jsonl").read_bytes()


def test_scores_of_judges_come_along(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    store = SampleStore(run)
    meant = {"model": "abc", "dtype": "float32"}
    for at, part in enumerate(store.parts()):
        rows = len(store.read_part(part))
        tokens = pa.array([None, *range(1, rows)], pa.int32())
        columns = {"logprob:rl": pa.array([-0.1 * i for i in range(rows)], pa.float32()), "tokens:rl": tokens}
        if at:
            columns = {"logprob:rl": columns["logprob:rl"]}
        store.add_columns(part, columns, meant)
    for name in NAMES:
        again = SampleStore(imported(exported(run, tmp_path / name), tmp_path / f"again-{name}"))
        names = ["problem_id", "sample", "logprob:rl", "tokens:rl"]
        order = [("problem_id", "ascending"), ("sample", "ascending")]
        assert again.read(names).select(names).sort_by(order) == store.read(names).select(names).sort_by(order)
        schema = again.schema(again.parts()[0])
        assert schema.field("logprob:rl").metadata == {b"model": b"abc", b"dtype": b"float32"}


def test_a_further_column_of_a_name_that_is_taken(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    store = SampleStore(run)
    part = store.parts()[0]
    store.add_columns(part, {"model": pa.nulls(len(store.read_part(part)), pa.string())})
    with pytest.raises(ReachlabError, match="a column of its parts is called 'model'"):
        exported(run, tmp_path / "x.jsonl")


def test_how_it_was_drawn_comes_along(tmp_path: Path) -> None:
    plan = {"looks": [1, 3], "enough": 1, "target_width": None}
    problems = [Problem(id=name, prompt=name, answer="4") for name in "ab"]
    drawn = [a_sample("a", 0), *(a_sample("b", i, verdict=Verdict.wrong()) for i in range(3))]
    run = build(tmp_path / "run", problems, [drawn], adaptive=plan)
    again = imported(exported(run, tmp_path / "x.jsonl"), tmp_path / "again")
    found = again.read_json("run.json")
    assert found["kind"] == "import"
    assert {name: found["config"][name] for name in CONFIG} == CONFIG
    assert found["config"]["verdicts"] == "reachlab"
    assert found["facts"]["model_path"] == "runs/base"
    before, after = (SampleStore(r).outcomes().pass_at_k([1]).tolist() for r in (run, again))
    assert before == after


def test_a_log_whose_verdicts_are_its_own_stays_that(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    rows = [{"id": "a", "question": "?", "text": "x", "correct": True}, {"id": "b", "question": "!", "text": None}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = imported(log, tmp_path / "run", verdicts="file")
    (result,) = import_samples(
        ImportConfig(file=(str(exported(run, tmp_path / "x.parquet")),), out=str(tmp_path / "again"), verdicts="file")
    )
    again = RunFolder(tmp_path / "again")
    assert_same(again, run)
    assert again.read_json("run.json")["config"]["verdicts"] == "file"
    assert again.read_json("run.json")["facts"]["labels_of"] == run.read_json("run.json")["facts"]["labels_of"]
    assert (result.correct, result.unscored, result.unanswered, result.remarks) == (1, 1, 1, ())


def test_rows_in_another_order_and_in_several_files(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 5)
    lines = exported(run, tmp_path / "x.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "p1.jsonl").write_text("".join(reversed(lines[4:])))
    (tmp_path / "p2.jsonl").write_text("".join(lines[:4]))
    import_samples(ImportConfig(file=(str(tmp_path / "p?.jsonl"),), out=str(tmp_path / "again"), workers=1))
    assert_same(RunFolder(tmp_path / "again"), run)


def test_the_same_import_again_changes_nothing(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    file = exported(run, tmp_path / "x.jsonl")
    once = imported(file, tmp_path / "again")
    files = {path: path.read_bytes() for path in (tmp_path / "again").rglob("*") if path.is_file()}
    imported(file, tmp_path / "again")
    assert {path: path.read_bytes() for path in (tmp_path / "again").rglob("*") if path.is_file()} == files
    assert_same(once, run)


def test_a_log_that_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"question": "?", "text": "4"}\n{"question": "?", "text": "5"}\n')
    with pytest.raises(ReachlabError, match="no row in it is one of `reachlab export`"):
        imported(tmp_path / "x.jsonl", tmp_path / "out", format="reachlab")


def test_two_runs_do_not_mix(tmp_path: Path) -> None:
    one, two = a_run(tmp_path / "1"), a_run(tmp_path / "2", temperature=2)
    files = tuple(str(exported(run, tmp_path / f"{run.name}.jsonl")) for run in (one, two))
    with pytest.raises(ReachlabError, match=r"2\.jsonl:1: a sample of another run"):
        import_samples(ImportConfig(file=files, out=str(tmp_path / "out"), workers=1))


@pytest.mark.parametrize("named", [{"text": "text"}, {"task": "math"}, {"threshold": 0.5}])
def test_nothing_is_left_to_say_of_an_export(tmp_path: Path, named: dict[str, Any]) -> None:
    file = exported(a_run(tmp_path / "run"), tmp_path / "x.jsonl")
    with pytest.raises(ReachlabError, match=f"--{next(iter(named))}: an export comes in as the run that it was"):
        imported(file, tmp_path / "out", **named)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"verdict": "maybe"}, "verdict 'maybe'"),
        ({"tokens": "many"}, "field 'tokens': a whole number wanted, found 'many'"),
        ({"seed": 2**63}, "field 'seed'"),
        ({"text": None}, "field 'text': text wanted"),
        ({"sample": -1}, "a sample's number"),
        ({"metadata": [1]}, "metadata is no object"),
        ({"image_hashes": ["0"]}, "is not what it was"),
        ({"logprob": "x"}, "could not convert"),
    ],
)
def test_a_row_that_somebody_changed(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    run = a_run(tmp_path / "run")
    lines = exported(run, tmp_path / "x.jsonl").read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if json.loads(line)["images"])
    lines[at] = json.dumps(json.loads(lines[at]) | changed) + "\n"
    (tmp_path / "x.jsonl").write_text("".join(lines))
    with pytest.raises(ReachlabError, match=rf"x\.jsonl:{at + 1}: .*{said}"):
        imported(tmp_path / "x.jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", NAMES)
def test_another_file_is_never_replaced(tmp_path: Path, name: str) -> None:
    run, other = a_run(tmp_path / "run"), a_run(tmp_path / "other", seed=1, temperature=2)
    file = exported(run, tmp_path / name)
    first = file.read_bytes()
    with pytest.raises(ReachlabError, match="there already, and an export of another run"):
        exported(other, file)
    assert exported(run, file).read_bytes() == first
    for something in (b"", b"notes\n", b'{"a": 1}\n', b"PAR1"):
        file.write_bytes(something)
        with pytest.raises(ReachlabError, match="there already, and no export of a run"):
            exported(run, file)
        assert file.read_bytes() == something
    file.unlink()
    file.mkdir()
    with pytest.raises(ReachlabError, match="a folder; --out is a file"):
        exported(run, file)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    file = exported(run, tmp_path / "out" / "x.jsonl")
    first = file.read_bytes()
    part = Path(SampleStore(run).parts()[1])
    whole = pq.read_table(part)
    told: list[int] = []

    def stop(done: int, total: int) -> None:
        told.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_run(ExportConfig(run=run.url, out=str(file)), stop)
    assert told == [1, 2, 3]
    pq.write_table(whole.set_column(0, "problem_id", pa.array(["?"] * len(whole))), part)
    with pytest.raises(ReachlabError, match=r"problem '\?' is not in the run's problems\.jsonl"):
        exported(run, file)
    assert [p.name for p in file.parent.iterdir()] == ["x.jsonl"]
    assert file.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": "x.txt"}, "ends in neither .jsonl, .jsonl.gz nor .parquet"),
        ({"out": ""}, "name a file"),
        ({"out": "x\0.jsonl"}, "name a file"),
        ({"out": "x", "format": "eee", "model_id": "Qwen3"}, "DEVELOPER/NAME wanted"),
        ({"out": "x.jsonl", "organization": "us"}, "are for --format eee"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        ExportConfig(run="runs/base", **options)


def test_what_is_no_run_of_samples(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="not a run folder"):
        export_run(ExportConfig(run=str(tmp_path / "none"), out=str(tmp_path / "x.jsonl")))
    run = build(tmp_path / "run", [Problem(id="a", prompt="a", answer="4")], [])
    with pytest.raises(ReachlabError, match="holds no sample yet"):
        exported(run, tmp_path / "x.jsonl")
    RunFolder(tmp_path / "trained").claim("rl", {"task": "math"})
    with pytest.raises(ReachlabError, match="not a run of samples"):
        exported(RunFolder(tmp_path / "trained"), tmp_path / "x.jsonl")


def test_the_command(tmp_path: Path, command: Command) -> None:
    run = a_run(tmp_path / "run")
    samples = len(SampleStore(run).samples())
    code, out, err = command("export", run.url, "--out", str(tmp_path / "x.jsonl"))
    assert (code, out) == (0, f"{tmp_path / 'x.jsonl'}: {samples} samples of 6 problems from {run.url}\n"), err
    code, out, _ = command("export", run.url, "--out", str(tmp_path / "x.parquet"), "--json")
    assert json.loads(out)["samples"] == samples
    code, out, err = command("import", str(tmp_path / "x.parquet"), "--out", str(tmp_path / "again"))
    assert code == 0, err
    assert "read as reachlab: verdicts and all else as exported" in out
    code, _, err = command("export", run.url, "--out", "x.csv")
    assert (code, err.count("\n")) == (2, 1)


def test_memory_holds_a_few_problems_at_a_time(tmp_path: Path) -> None:
    """A problem is read again when it was forgotten."""
    problems = [Problem(id=str(i), prompt=f"{i}\u2028", answer=str(i)) for i in range(5000)]
    samples: list[Sample] = [a_sample(str(i), 0) for i in (0, 4999, 1, 0)][:3]
    run = build(tmp_path / "run", problems, [samples])
    file = exported(run, tmp_path / "x.jsonl")
    rows = [json.loads(line) for line in file.open()]
    assert [row["prompt"] for row in rows[:3]] == ["0\u2028", "4999\u2028", "1\u2028"]
    assert len(rows) == 5000
    assert_same(imported(file, tmp_path / "again"), run)
