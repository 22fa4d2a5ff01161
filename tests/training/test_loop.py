import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import names
from tests.training.runs import run_of

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.runs import SITTING, RunFolder, sittings
from reachlab.training.beginning import Claim
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.loop import TrainingRun


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> TrainingRun:
    return begin(checkpoint, tmp_path)


def begin(checkpoint: Path, tmp_path: Path, **changes: Any) -> TrainingRun:
    loop = LoopConfig(**{"steps": 10, "save_every": 100, "device": "cpu", "threads": 1, **changes})
    optimizer = OptimizerConfig(method="muon", lr=0.1, muon_lr=0.5, schedule="linear", clip=0)

    return run_of(checkpoint, Claim(RunFolder(tmp_path / "run"), "test", {}), loop, optimizer)


def give_gradients(run: TrainingRun, value: float = 1.0) -> None:
    for p in run.model.parameters():
        p.grad = torch.full_like(p, value)


def test_learning_rates_scale_from_their_own_base(run: TrainingRun) -> None:
    adamw, muon = run.optimizers["policy"]
    for t, scale in ((0, 1.0), (5, 0.5), (9, 0.1), (5, 0.5)):
        give_gradients(run)
        run.optimize(t)
        assert adamw.param_groups[0]["lr"] == pytest.approx(0.1 * scale)
        assert muon.param_groups[0]["lr"] == pytest.approx(0.5 * scale)
        assert all(p.grad is None for p in run.model.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_moves_nothing(run: TrainingRun, bad: float) -> None:
    before = [p.clone() for p in run.model.parameters()]
    give_gradients(run, bad)
    assert not math.isfinite(run.optimize(0)["policy"])
    assert not run.moved
    assert all(torch.equal(p, q) for p, q in zip(before, run.model.parameters(), strict=True))


def test_what_fails_before_anything_moved_is_taken_again(checkpoint: Path, tmp_path: Path) -> None:
    run = begin(checkpoint, tmp_path)

    def step(t: int) -> dict[str, float]:
        if t == 4:
            raise ReachlabError("out of luck")
        give_gradients(run)
        return {"loss": 1.0, "grad_norm": run.optimize(t)["policy"]}

    with pytest.raises(ReachlabError, match=r"out of luck; the last good state is in .*/state"):
        run.train(step, "test")
    again = begin(checkpoint, tmp_path)
    assert again.step == 4
    for p, q in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_what_fails_after_something_moved_is_saved_as_it_is(checkpoint: Path, tmp_path: Path) -> None:
    run = begin(checkpoint, tmp_path, save_every=2)

    def step(t: int) -> dict[str, float]:
        give_gradients(run)
        run.optimize(t)
        return {"loss": math.nan if t == 3 else 1.0}

    with pytest.raises(ReachlabError, match=r"loss not finite at step 4.*with a part of this step's updates, is in"):
        run.train(step, "test")
    again = begin(checkpoint, tmp_path)
    assert again.step == 3
    for p, q in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(p, q)


def steps(run: TrainingRun, stop_at: int = -1) -> dict[int, list[torch.Tensor]]:
    """Train; the weights after each step. As if the process were killed in the step after `stop_at`."""
    found: dict[int, list[torch.Tensor]] = {}

    def step(t: int) -> dict[str, float]:
        if t == stop_at:
            raise KeyboardInterrupt
        give_gradients(run, 1.0 + t)
        run.optimize(t)
        found[t + 1] = [p.detach().clone() for p in run.model.parameters()]
        return {"loss": 1.0, "grad_norm": 1.0}

    with suppress(KeyboardInterrupt):
        run.train(step, "test")
    return found


def test_checkpoints_of_the_way_stay_and_the_last_is_the_model(checkpoint: Path, tmp_path: Path) -> None:
    found = steps(begin(checkpoint, tmp_path, keep_every=5))
    assert names(tmp_path / "run") == ["checkpoints", "metrics.jsonl", "model", "run.json"]
    assert names(tmp_path / "run" / "checkpoints") == ["step-000005"]
    for name, step in (("checkpoints/step-000005", 5), ("model", 10)):
        model, _ = load_model(tmp_path / "run" / name)
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), found[step], strict=True))
    assert begin(checkpoint, tmp_path).finished


def test_checkpoints_of_the_way_change_nothing(checkpoint: Path, tmp_path: Path) -> None:
    plain, kept = steps(begin(checkpoint, tmp_path / "plain")), steps(begin(checkpoint, tmp_path, keep_every=1))
    assert all(torch.equal(p, q) for t in plain for p, q in zip(plain[t], kept[t], strict=True))
    assert len(names(tmp_path / "run" / "checkpoints")) == 9


def test_steps_that_are_taken_again_leave_the_same_checkpoints(checkpoint: Path, tmp_path: Path) -> None:
    steps(begin(checkpoint, tmp_path / "whole", keep_every=2))
    steps(begin(checkpoint, tmp_path, keep_every=2, save_every=3), stop_at=5)
    folder = tmp_path / "run" / "checkpoints"
    assert names(folder) == ["step-000002", "step-000004"]
    # Step 4 is taken again, from the state after step 3; a copy that was being written when it was killed is cleared.
    (folder / "step-000004" / "model.safetensors").write_bytes(b"of steps that were dropped")
    (folder / ".step-000004.0123.tmp").mkdir()
    steps(begin(checkpoint, tmp_path, keep_every=2, save_every=3))
    assert names(folder) == [f"step-00000{t}" for t in (2, 4, 6, 8)]
    # The log says which steps were taken after the run had been killed.
    rows = RunFolder(tmp_path / "run").metrics()
    assert [row.get(SITTING, 1) for row in rows] == [1] * 3 + [2] * 7
    assert sittings(rows) == 2
    for name in names(folder):
        assert hash_model(folder / name) == hash_model(tmp_path / "whole" / "run" / "checkpoints" / name)


@pytest.mark.parametrize("stop_at", range(1, 10))
def test_a_run_goes_on_from_a_state_whose_checkpoint_is_there(checkpoint: Path, tmp_path: Path, stop_at: int) -> None:
    steps(begin(checkpoint, tmp_path, keep_every=2, save_every=2), stop_at)
    steps(begin(checkpoint, tmp_path, keep_every=2, save_every=2))
    assert names(tmp_path / "run" / "checkpoints") == [f"step-00000{t}" for t in (2, 4, 6, 8)]


def test_where_the_time_is_up_the_last_step_is_the_model(checkpoint: Path, tmp_path: Path) -> None:
    found = steps(begin(checkpoint, tmp_path, keep_every=1, max_seconds=1e-9))
    assert list(found) == [1]
    assert names(tmp_path / "run") == ["metrics.jsonl", "model", "run.json"]


def test_several_processes_are_refused_where_one_is_meant(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReachlabError, match="this command runs in one process, and 2 were launched"):
        begin(checkpoint, tmp_path)


def test_what_a_killed_run_kept_too_much_goes(checkpoint: Path, tmp_path: Path) -> None:
    """Steps beyond the saved state are taken again, or never; half a checkpoint is none. What is not ours stays."""
    run = begin(checkpoint, tmp_path, keep_every=2)
    folder = tmp_path / "run" / "checkpoints"
    for name in ("step-000008", ".step-000006.abc.tmp", "mine"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    run._drop_after(4)
    assert names(folder) == ["mine"]
