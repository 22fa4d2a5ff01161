import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.studies.conftest import RunStages
from tests.tiny import TASK

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.studies import checkpoints as module
from reachlab.studies.checkpoints import checkpoint_stages, resolve, run_checkpoints, training_accuracy
from reachlab.studies.config import CheckpointsConfig
from reachlab.studies.stages import Stage
from reachlab.training.config import LoopConfig
from reachlab.training.rl import train_rl
from reachlab.training.rl_config import BudgetConfig, RLConfig


@pytest.fixture(scope="module")
def trained(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of RL from a base of its own, with two checkpoints; leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(checkpoint, folder / "base")
    train_rl(
        RLConfig(
            model=str(folder / "base"), task=TASK, out=str(folder / "rl"), prompts=2, budget=BudgetConfig(rollouts=4),
            max_tokens=5, temperature=0.9, loop=LoopConfig(steps=3, keep_every=1, device="cpu", threads=1),
        )
    )  # fmt: skip
    return folder / "rl"


def resolved(run: Path, **changes: Any) -> Any:
    return resolve(CheckpointsConfig(run=str(run), **changes), RunFolder(run))


# -- what is measured -------------------------------------------------------------------------------------------------


def test_what_the_run_decides(trained: Path, parsed: Callable[[Stage], Any]) -> None:
    config, places = resolved(trained)
    assert [(p.step, p.name, p.samples) for p in places] == [
        (0, "base", "base"), (1, "step 1", "step-000001"), (2, "step 2", "step-000002"), (3, "step 3", "final"),
    ]  # fmt: skip
    base = str(trained.with_name("base"))
    kept = [f"{trained}/checkpoints/step-{step:06}" for step in (1, 2)]
    assert [p.model for p in places] == [base, *kept, str(trained)]
    for place, stage in zip(places, checkpoint_stages(config, places), strict=True):
        found: SampleConfig = parsed(stage)
        assert (found.model, found.out) == (place.model, f"{trained}-checkpoints/samples/{place.samples}")
        assert (found.task, found.split, found.problems, found.samples) == (TASK, "test", None, 256)
        assert (found.decoding.temperature, found.decoding.max_tokens) == (0.9, 5)


def test_what_the_user_says_comes_first(trained: Path, checkpoint: Path, parsed: Callable[[Stage], Any]) -> None:
    config, places = resolved(
        trained, base=str(checkpoint), steps=(2,), task="chain", split="train", problems=7, samples=9, temperature=0.0,
        max_tokens=11, seed=3, dtype="bfloat16", device="cpu", out="elsewhere",
    )  # fmt: skip
    assert [(p.step, p.model) for p in places][:2] == [(0, str(checkpoint)), (2, f"{trained}/checkpoints/step-000002")]
    found: SampleConfig = parsed(checkpoint_stages(config, places)[0])
    assert (found.task, found.split, found.problems, found.samples, found.seed) == ("chain", "train", 7, 9, 3)
    assert (found.decoding.temperature, found.decoding.max_tokens) == (0.0, 11)
    assert (found.dtype, found.device, found.out) == ("bfloat16", "cpu", "elsewhere/samples/base")


def copy_of(trained: Path, folder: Path) -> Path:
    shutil.copytree(trained.parent, folder / "copy")
    return folder / "copy" / "rl"


def rewrite(run: Path, **changes: Any) -> None:
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**document, **changes}))


def test_models_beside_the_way_have_no_step(trained: Path) -> None:
    _, places = resolved(trained, steps=(1,), beside=("runs/distilled/model", "runs/instruct"))
    assert [(p.step, p.name, p.samples) for p in places][2:] == [
        (3, "step 3", "final"), (None, "distilled", "beside-distilled"), (None, "instruct", "beside-instruct"),
    ]  # fmt: skip
    assert [p.model for p in places][3:] == ["runs/distilled/model", "runs/instruct"]


def test_a_run_that_has_not_finished_has_no_last_step(trained: Path, tmp_path: Path) -> None:
    run = copy_of(trained, tmp_path)
    shutil.rmtree(run / "model")
    _, places = resolved(run)
    assert [p.step for p in places] == [0, 1, 2]


def test_a_base_that_has_changed_is_refused(trained: Path, tmp_path: Path) -> None:
    run = copy_of(trained, tmp_path)
    base = run.with_name("base")
    rewrite(run, facts={"model_path": str(base)})
    resolved(run)
    (base / "config.json").write_text((base / "config.json").read_text() + "\n")
    with pytest.raises(ReachlabError, match=r"base is no longer what .*rl began with; name that with --base"):
        resolved(run)
    shutil.rmtree(base)
    with pytest.raises(ReachlabError, match=r"began with .*base, which is not there now; name it with --base"):
        resolved(run)


def test_a_run_from_nothing_has_no_base(trained: Path, tmp_path: Path) -> None:
    run = copy_of(trained, tmp_path)
    rewrite(run, kind="pretrain", config={"data": TASK}, facts={"data": TASK})
    config, places = resolved(run)
    assert [p.step for p in places] == [1, 2, 3]
    assert (config.task, config.temperature, config.max_tokens) == (TASK, 1.0, 256)
    rewrite(run, kind="pretrain", config={"data": "stdlib"}, facts={})
    with pytest.raises(ReachlabError, match="was trained on stdlib, which asks nothing: give a --task"):
        resolved(run)
    assert resolved(run, task=TASK)[0].task == TASK


@pytest.mark.parametrize(
    ("spoil", "changes", "says"),
    [
        (lambda run: rewrite(run, kind="sample"), {}, "a run of kind 'sample', not a training run"),
        (lambda run: shutil.rmtree(run / "checkpoints"), {}, "kept no checkpoint; train with --keep-every N"),
        (lambda run: None, {"steps": (2, 7)}, "kept no step 7; it has 1, 2"),
        (lambda run: (run / "run.json").unlink(), {}, r"not a run folder \(no run.json\)"),
    ],
)
def test_a_run_that_cannot_be_measured(
    trained: Path, tmp_path: Path, spoil: Callable[[Path], Any], changes: dict[str, Any], says: str
) -> None:
    run = copy_of(trained, tmp_path)
    spoil(run)
    with pytest.raises(ReachlabError, match=says):
        resolved(run, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"samples": 0}, "samples=0 must be 1 or more"),
        ({"problems": 0}, "problems=0 and"),
        ({"temperature": -1.0}, "temperature=-1.0 must be 0 or more"),
        ({"max_tokens": 0}, "max_tokens=0 must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        CheckpointsConfig(run="x", **changes)


def test_the_trainings_own_accuracy_is_that_of_the_steps_around() -> None:
    """The rollouts of step t are drawn by the weights after step t - 1."""
    metrics: list[dict[str, Any]] = [{"step": t, "accuracy": float(t)} for t in range(1, 31)]
    assert training_accuracy(metrics, 0) == 3.0  # steps 1 to 5
    assert training_accuracy(metrics, 10) == 10.5  # steps 6 to 15
    assert training_accuracy(metrics, 30) == 28.0  # steps 26 to 30
    metrics[9]["accuracy"] = None  # nothing of step 10 was scored
    assert training_accuracy(metrics, 10) == pytest.approx((10.5 * 10 - 10) / 9)
    assert training_accuracy([{"step": 1, "loss": 2.0}], 0) is None
    assert training_accuracy([{"step": 1, "accuracy": math.nan}], 0) is None


# -- the whole study --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_a_run_to_the_table(
    trained: Path,
    tmp_path: Path,
    one_after_the_other: RunStages,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "run_stages", one_after_the_other)
    monkeypatch.setenv("COLUMNS", "160")
    out = tmp_path / "study"
    beside = (str(trained.with_name("base")),)
    config = CheckpointsConfig(run=str(trained), out=str(out), beside=beside, problems=3, samples=4, device="cpu")
    notes: list[str] = []
    page = run_checkpoints(config, notes.append)
    said = capfd.readouterr().out
    assert notes == []
    assert "<html" in page.read_text()
    found = json.loads((out / "checkpoints.json").read_text())
    assert found["k"] == [1, 2, 4]
    assert found["problems"] == 3
    assert [(row["step"], row["name"]) for row in found["rows"]] == [
        (0, "base"), (1, "step 1"), (2, "step 2"), (3, "step 3"), (None, "beside base"),
    ]  # fmt: skip
    assert found["rows"][0]["pass"] == found["rows"][4]["pass"]
    metrics = RunFolder(trained).metrics()
    assert found["rows"][0]["training_accuracy"] == pytest.approx(sum(row["accuracy"] for row in metrics) / 3)
    heads = next(line.split() for line in said.splitlines() if "pass@1" in line)
    assert heads == ["step", "training", "pass@1", "pass@2", "pass@4"]
    assert [line.split()[0] for line in said.splitlines() if line[:2] in (" 0", " 1", " 2", " 3")] == list("0123")
    # Again: nothing is drawn, the same is found.
    parts = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    run_checkpoints(config)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == parts
    assert json.loads((out / "checkpoints.json").read_text()) == found


def test_an_unfinished_run_is_remarked_on(
    trained: Path, tmp_path: Path, one_after_the_other: RunStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_stages", one_after_the_other)
    run = copy_of(trained, tmp_path)
    shutil.rmtree(run / "model")
    config = CheckpointsConfig(run=str(run), steps=(2,), problems=2, samples=2, device="cpu")
    notes: list[str] = []
    run_checkpoints(config, notes.append)
    assert ["has not finished" in note for note in notes] == [True]
    rows = json.loads((run.with_name("rl-checkpoints") / "checkpoints.json").read_text())["rows"]
    assert [row["step"] for row in rows] == [0, 2]
    with pytest.raises(AssertionError, match="samples was 2, now 3"):
        run_checkpoints(replace(config, samples=3))
