import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.measures.small_runs import drawn, stored
from tests.tiny import ENVIRONMENT

import reachlab
from reachlab.errors import ReachlabError
from reachlab.types import Problem, StepCheck, Verdict


def test_every_sample_is_a_row_in_order(tmp_path: Path) -> None:
    problems = [
        Problem(id="b", prompt="b?", answer={"x": 1}),
        Problem(id="a", prompt="a?", answer=2, metadata={"k": 3}),
    ]
    samples = [
        drawn("a", 1, "x", right=True, steps=StepCheck(2, 3), final_answer=None),
        drawn("b", 0, "y", verdict=Verdict.unscored("died"), steps=None, logprob=None),
        drawn("a", 0, "z"),
    ]
    stored(tmp_path / "run", [*samples, samples[1]], problems)
    frame = reachlab.load_run(tmp_path / "run")
    assert frame[["problem_id", "sample", "text"]].values.tolist() == [["b", 0, "y"], ["a", 0, "z"], ["a", 1, "x"]]
    assert frame["verdict"].tolist() == ["unscored", "wrong", "correct"]
    assert frame["verdict"].cat.categories.tolist() == ["correct", "wrong", "unscored"]
    assert [str(frame[c].dtype) for c in ("finish", "engine", "verdict")] == ["category"] * 3
    assert [str(frame[c].dtype) for c in ("sample", "tokens", "seed", "logprob")] == [
        "int32",
        "int32",
        "int64",
        "float32",
    ]
    assert frame["steps"].dtype == pd.Int32Dtype()
    assert frame["valid_steps"].isna().tolist() == [True, False, False]
    assert frame["final_answer"].isna().tolist() == [False, False, True]
    assert frame["logprob"].isna().tolist() == [True, False, False]
    assert frame.groupby("problem_id", sort=False)["sample"].count().to_dict() == {"b": 1, "a": 2}
    joined = reachlab.load_run(str(tmp_path / "run"), problems=True)
    assert joined["answer"].tolist() == [{"x": 1}, 2, 2]
    assert joined["metadata"].tolist() == [{}, {"k": 3}, {"k": 3}]
    assert joined["prompt"].tolist() == ["b?", "a?", "a?"]
    assert joined.drop(columns=["prompt", "answer", "metadata"]).equals(frame)


def test_columns_of_other_days_and_of_others(tmp_path: Path) -> None:
    store = stored(tmp_path / "run", [drawn("a", i, f"{i}", engine="vllm") for i in range(4)])
    for path, more in zip(store.parts(), ([1.5, 2.5], None), strict=True):
        table = pq.read_table(path).drop_columns(["steps", "valid_steps", "final_answer"])
        pq.write_table(table if more is None else table.append_column("ppl:base", pa.array(more)), path)
    frame = reachlab.load_run(tmp_path / "run")
    assert frame["steps"].isna().all()
    assert frame["final_answer"].isna().all()
    assert sorted(frame["ppl:base"].dropna()) == [1.5, 2.5]
    assert frame["engine"].cat.categories.tolist() == ["vllm"]


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="not a run of samples"):
        reachlab.load_run(tmp_path)
    with pytest.raises(ReachlabError, match="holds no sample yet"):
        reachlab.load_run(stored(tmp_path / "run", [], [Problem(id="a", prompt="?", answer=1)]).folder.url)


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, reachlab; print({'pandas', 'pyarrow', 'numpy', 'torch'} & {*sys.modules}, reachlab.load_run)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert done.stdout.startswith("set() <function load_run")
