"""Training, sampling, judging and measuring from Python leave what the commands leave, and say the same numbers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Command
from tests.library.conftest import Said
from tests.tiny import ENVIRONMENT, TASK, rows_of

import reachlab as rl
from reachlab.errors import ReachlabWarning
from reachlab.models.checkpoint import load_model

DRAW: dict[str, Any] = {"problems": 3, "samples": 4, "max_tokens": 8, "device": "cpu"}
WORDS = ("--task", TASK, "--problems", "3", "--samples", "4", "--max-tokens", "8", "--device", "cpu")
TRAIN: dict[str, Any] = {"prompts": 2, "steps": 2, "max_tokens": 6, "threads": 1, "device": "cpu"}

EVAL: dict[str, Any] = {"eval_every": 2, "eval_problems": 2}


def config_of(folder: Path) -> object:
    return json.loads((folder / "run.json").read_text())["config"]


def test_sample_leaves_the_command_s_run(
    tmp_path: Path, checkpoint: Path, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = command("sample", "--model", checkpoint, *WORDS, "--out", tmp_path / "c")
    assert code == 0, err
    run = rl.sample(checkpoint, TASK, out=tmp_path / "l", **DRAW)
    assert capfd.readouterr().out == ""
    assert rows_of(run.path) == rows_of(tmp_path / "c")
    assert config_of(tmp_path / "l") == config_of(tmp_path / "c")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "l").rglob("*")}
    assert len(rl.sample(checkpoint, TASK, out=tmp_path / "l", **DRAW)) == 12
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "l").rglob("*")} == written
    with pytest.raises(ValueError, match=r"holds a run with another configuration: .*; or start afresh"):
        rl.sample(checkpoint, TASK, out=tmp_path / "l", **{**DRAW, "samples": 5})


def test_a_model_in_memory_is_saved_beside_the_run(tmp_path: Path, checkpoint: Path) -> None:
    model, tokenizer = load_model(checkpoint)
    run = rl.sample((model, tokenizer), TASK, out=tmp_path / "run", **DRAW)
    expected = rl.sample(checkpoint, TASK, out=tmp_path / "expected", **DRAW)
    assert rows_of(run.path) == rows_of(expected.path)
    assert run.lineage["model"] == str(tmp_path / "run-model")
    assert len(rl.sample((model, tokenizer), TASK, out=tmp_path / "run", **DRAW)) == 12
    with torch.no_grad():
        next(iter(model.parameters())).add_(1.0)
    with pytest.raises(ValueError, match="run-model: another model lies there; give another out"):
        rl.sample((model, tokenizer), TASK, out=tmp_path / "run", **DRAW)
    with pytest.raises(ValueError, match=r"comes with its tokenizer: give \(model, tokenizer\)"):
        rl.sample(model, TASK, out=tmp_path / "other", **DRAW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected", "run", "run-model"]


def test_train_rl_is_the_command_s_and_keeps_by_variance(tmp_path: Path, checkpoint: Path, command: Command) -> None:
    words = ("--rollouts", "4", "--keep", "2", "--rule", "max_variance", "--prompts", "2", "--steps", "2")
    more = ("--max-tokens", "6", "--threads", "1", "--device", "cpu", "--out", tmp_path / "c")
    held_out = ("--eval-every", "2", "--eval-problems", "2")
    code, _, err = command("rl", "--model", checkpoint, "--task", TASK, *words, *held_out, *more)
    assert code == 0, err
    with pytest.warns(ReachlabWarning, match="AdamW"):
        training = rl.train_rl(model=checkpoint, task=TASK, rollouts=4, keep=2, out=tmp_path / "l", **TRAIN, **EVAL)
    assert config_of(tmp_path / "l") == config_of(tmp_path / "c")
    ours, theirs = (load_model(folder / "model")[0].state_dict() for folder in (tmp_path / "l", tmp_path / "c"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert (training.finished, training.kind, training.model) == (True, "rl", tmp_path / "l" / "model")
    assert training.metrics["step"].tolist() == [1, 2]
    assert training.to_frame().equals(training.metrics)
    assert training.to_dict()["config"]["selection"]["rule"] == "max_variance"
    assert "eval_pass1" in [trace.name for trace in training.plot().data]
    last = training.metrics["eval_pass1"].dropna().iloc[-1]
    assert f"<th>eval_pass1</th><td>{last:.4g}</td>" in training._repr_html_()
    assert [trace.name for trace in training.plot("reward").data] == ["reward"]
    with pytest.raises(ValueError, match="'rewrd' was not measured"):
        training.plot("rewrd")
    assert "<th>finished</th><td>True</td>" in training._repr_html_()
    run = rl.sample(training, TASK, out=tmp_path / "s", **DRAW)
    assert run.lineage["trained_by"] == [str(tmp_path / "l")]


def test_pretrain_and_distill(tmp_path: Path) -> None:
    shape = {"hidden": 32, "layers": 1, "heads": 2, "tokenizer": "char", "steps": 2, "batch": 4, "threads": 1}
    base = rl.pretrain(TASK, out=tmp_path / "base", **shape)
    taught = rl.distill(base, "solver", TASK, steps=1, batch=4, threads=1, out=tmp_path / "taught")
    assert base.metrics["step"].tolist() == [1, 2]
    assert (taught.model / "config.json").is_file()
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        rl.Training(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no training run; Run\(...\) reads samples"):
        rl.Training(rl.sample(base, TASK, problems=1, samples=1, max_tokens=4, out=tmp_path / "s"))


@pytest.mark.parametrize("function", ["merge", "export"])
def test_a_file_s_name_is_said(function: str) -> None:
    with pytest.raises(ValueError, match=f"^{function}: out is needed: where the result is kept, e.g. out='"):
        getattr(rl, function)("m")


def test_a_run_without_a_folder_is_kept_where_the_same_call_finds_it(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(rl.ReachlabWarning, match=r"^sample: kept in runs/sample-\w{8}, where the same call goes on"):
        run = rl.sample(str(checkpoint), TASK, **DRAW)
    with pytest.warns(rl.ReachlabWarning):
        again = rl.sample(checkpoint, TASK, **{**DRAW, "samples": np.int64(4)}, seed=None)
    assert (again.path, len(again)) == (run.path, 12)
    with pytest.warns(rl.ReachlabWarning):
        other = rl.sample(str(checkpoint), TASK, **DRAW, temperature=1)
    with pytest.warns(rl.ReachlabWarning):
        assert rl.sample(str(checkpoint), TASK, **DRAW, temperature=1.0).path == other.path
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(
        Path(one.path).name for one in (run, other)
    )
    with pytest.raises(ValueError, match=r"^sample: out is needed"):  # nothing by which it could be found again
        rl.sample(object(), TASK)


@pytest.mark.slow
def test_a_run_s_measures_are_the_commands(tmp_path: Path, checkpoint: Path, said: Said, command: Command) -> None:
    run = rl.sample(checkpoint, TASK, out=tmp_path / "run", **DRAW)
    assert rl.measure(run, resamples=100).to_dict() == said("measures", run.path, "--resamples", "100")
    assert rl.chance(run, shuffles=2).to_dict() == said("chance", run.path, "--shuffles", "2")
    (scored,) = rl.score(run, checkpoint, name="judge", device="cpu").to_dict()
    assert (scored["scored"], scored["now"]) == (12, 12)
    found = rl.perplexity([run], resamples=100)
    assert found.to_dict() == said("perplexity", run.path, "--resamples", "100")
    assert found.to_frame()["corpus"].iloc[0] == said("perplexity", run.path)["cells"][0]["all"]["corpus"]
    options = {"problems": 2, "samples": 2, "max_tokens": 4, "device": "cpu"}
    words = ("--problems", "2", "--samples", "2", "--max-tokens", "4", "--device", "cpu")
    entropy = rl.entropy(checkpoint, TASK, **options)
    assert entropy.to_dict() == said("entropy", checkpoint, "--task", TASK, *words)
    assert entropy.to_frame()["nats"].tolist() == [entropy.found.readings[0].nats]
    exported = rl.export(run, tmp_path / "run.jsonl")
    assert exported.found.samples == 12
    imported = rl.import_samples(tmp_path / "run.jsonl", out=tmp_path / "again")
    assert imported.run.verdicts == run.verdicts
    assert imported.to_frame()["samples"].tolist() == [12]
    assert "<table>" in imported._repr_html_()


def test_power_is_the_command_s(runs: Path, said: Said) -> None:
    expected = said("power", runs / "base", runs / "rl", "--points", "5", "--k", "1")
    assert rl.power(runs / "base", rl.Run(runs / "rl"), points=5, k=1).to_dict() == expected
    named = rl.power({"base": runs / "base", "rl": runs / "rl"}, points=[5], k=[1])
    assert named.to_dict() == expected
    assert named.to_frame()["problems"].tolist() == [n["problems"][0] for n in expected["ks"][0]["needed"]]
    tables = np.eye(4, 6), np.eye(4, 6) + np.eye(4, 6, 2)
    assert rl.power(*tables, k=1).found.problems == 4
    named = rl.power({"base": ([1, 0, 3], 4), "other": ([4, 0, 3], 4)}, k=1).to_dict()
    assert rl.power(([1, 0, 3], 4), ([4, 0, 3], 4), k=1).to_dict() == named
    lists = [table.astype(int).tolist() for table in tables]
    assert rl.power(*lists, k=1).found == rl.power(*tables, k=1).found
    with pytest.raises(ValueError, match="base is a run and other a table"):
        rl.power(runs / "base", lists[0])


def test_verify_judges_an_answer_and_a_run(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = rl.verify("math", [r"so it is \boxed{\frac{1}{2}}", "3"], ["0.5", "4"])
    assert [one.status for one in found] == ["correct", "wrong"]
    assert rl.verify("math", ["12", "13"], np.array(["12", "12"])) == rl.verify("math", ["12", "13"], ["12"] * 2)
    task = rl.load_task(TASK)
    problem = task.problems("test", 1)[0]
    assert rl.verify(task, "1 + 1", problem).status == "wrong"
    assert rl.verify(TASK, "1 + 1", problem) == rl.verify(task, "1 + 1", problem)
    verify: Any = rl.verify
    for bad, message in (
        (lambda: verify("math", "3"), "with an answer goes gold"),
        (lambda: rl.verify("math", gold="3"), "with gold goes an answer"),
        (lambda: rl.verify("math", ["3"], ["3", "4"]), "1 answers, and 2 in gold"),
        (
            lambda: verify("math", ["12", "the answer is 12"], "12"),
            "of 2 answers gold must be a list, .*, not str",
        ),
        (lambda: verify(TASK, ["1", "2"], {"a": 1, "b": 2}), "gold must be a list, one each, not dict"),
        (lambda: verify("math", 3, 3), "answer must be text, not int"),
        (lambda: verify("math", ["3", None], ["3", "4"]), "answer must be text, not NoneType"),
        (lambda: rl.verify("maths", "3", "3"), "unknown task family 'maths'"),
        (lambda: rl.verify(runs / "none"), "not a run folder"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            bad()
    changes = rl.verify(runs / "base")
    assert changes.to_dict() == changes.found
    assert sum(changes.found.values()) == changes.to_frame()["samples"].sum() == 70
    assert capfd.readouterr().out == ""


def test_a_study_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match="there is no study 'ow'; choose one of own, demo"):
        rl.study("ow")
    with pytest.raises(TypeError, match="study 'own': there is no keyword 'hour'; did you mean hours"):
        rl.study("own", hour=1)
    with pytest.raises(TypeError, match="study 'own': model is needed"):
        rl.study("own", task=TASK)


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_once(tmp_path: Path, checkpoint: Path) -> None:
    """Workers that judge are interpreters of their own: none of them runs the script again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import reachlab as rl\nprint('begun')\n"
        f"rl.sample({str(checkpoint)!r}, {TASK!r}, problems=1, samples=2, max_tokens=4, out={str(tmp_path / 'r')!r})\n"
        "print(rl.verify('math', '3', '3').status)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=dict(ENVIRONMENT), timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "begun\ncorrect\n"), done.stderr
