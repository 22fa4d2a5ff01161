import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model
from reachlab.runs import RunFolder
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.loop import TrainingRun


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> TrainingRun:
    return begin(checkpoint, tmp_path)


def begin(checkpoint: Path, tmp_path: Path, **changes: Any) -> TrainingRun:
    folder = RunFolder(tmp_path / "run")
    loop = LoopConfig(**{"steps": 10, "save_every": 100, "device": "cpu", "threads": 1, **changes})
    optimizer = OptimizerConfig(method="muon", lr=0.1, muon_lr=0.5, schedule="linear", clip=0)

    def start() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return load_model(checkpoint)

    return TrainingRun(folder, lambda: folder.claim("test", {}), loop, optimizer, start)


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


def test_several_processes_are_refused_where_one_is_meant(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReachlabError, match="this command runs in one process, and 2 were launched"):
        begin(checkpoint, tmp_path)
