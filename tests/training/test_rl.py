import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import kill_again_and_again, timeless

from reachlab.errors import ReachlabError
from reachlab.rl import losses
from reachlab.runs import RunFolder
from reachlab.tasks.registry import FAMILIES
from reachlab.training import rl as rl_module
from reachlab.training.config import LoopConfig, OptimizerConfig, RLConfig
from reachlab.training.rl import train_rl

LOOP = LoopConfig(steps=3, save_every=2, seed=0, device="cpu", threads=1)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task `letters`."""
    monkeypatch.setitem(FAMILIES, "letters", ("tests.training.letters:Letters", "begin with an odd digit"))


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model": str(checkpoint), "task": "letters", "out": str(tmp_path / "rl"), "loop": LOOP,
        "optimizer": OptimizerConfig(lr=3e-3), "prompts": 4, "rollouts": 8, "max_tokens": 3,
    }  # fmt: skip


def weights(run: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(run) / "model" / "model.safetensors")


def metrics(run: str | Path) -> list[dict[str, Any]]:
    return timeless(RunFolder(run).metrics())


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def train(settings: dict[str, Any], name: str, **changes: Any) -> Path:
    out = Path(settings["out"]).with_name(name)
    train_rl(RLConfig(**{**settings, **changes, "out": str(out)}))
    return out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rollouts": 16, "keep": 8, "rule": "max_variance"},
        {"aggregate": "token", "updates": 2},
    ],
    ids=["grpo", "pods", "two updates"],
)
def test_a_trivial_reward_is_learned(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    out = train(settings, "rl", loop=replace(LOOP, steps=40, save_every=100), prompts=8, **changes)
    rewards = [row["reward"] for row in metrics(out)]
    assert sum(rewards[:5]) / 5 < 0.5
    assert sum(rewards[-5:]) / 5 > 0.8


def test_what_a_step_says_of_itself(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", eval_every=2, eval_problems=5)
    rows = RunFolder(out).metrics()
    phases = {"seconds_generate", "seconds_verify", "seconds_select", "seconds_update"}
    for row in rows:
        assert phases <= row.keys()
        assert 0 <= row["reward"] == row["accuracy"] <= 1
        assert row["unscored"] == 0
        assert 1 <= row["answer_tokens"] <= 3
        assert 0 <= row["groups_without_signal"] <= 1
        assert 0 < row["entropy"] < math.log(21)
        assert row["grad_norm"] > 0
        # The policy that drew the rollouts is the one that learns from them.
        assert abs(row["kl"]) < 1e-6
        assert row["clip_fraction"] == 0
        assert row["lr"] == 3e-3
    assert [("eval_accuracy" in row) for row in rows] == [False, True, False]
    assert rows[1]["eval_accuracy"] in [i / 5 for i in range(6)]


@pytest.mark.parametrize("aggregate", ["sequence", "token"])
@pytest.mark.parametrize("updates", [1, 2])
def test_micro_batches_do_not_change_the_weights(
    settings: dict[str, Any], aggregate: str, updates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain gradient descent: Adam makes a whole step out of the rounding of a gradient near 0.
    def descent(model: torch.nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([{"params": list(model.parameters()), "base_lr": config.lr}], lr=config.lr)]

    monkeypatch.setattr("reachlab.training.loop.build_optimizers", descent)
    common = {"aggregate": aggregate, "updates": updates, "loop": replace(LOOP, steps=1)}
    common |= {"optimizer": OptimizerConfig(lr=0.5, clip=0)}
    whole = train(settings, "whole", **common)
    start = load_file(Path(settings["model"]) / "model.safetensors")
    assert distance(weights(whole), start) > 1e-2
    for size in (1, 3, 7):
        pieces = train(settings, f"pieces{size}", micro_batch=size, **common)
        assert distance(weights(pieces), weights(whole)) < 1e-5
        for ours, theirs in zip(metrics(pieces), metrics(whole), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_a_second_update_leaves_the_policy_that_drew(settings: dict[str, Any]) -> None:
    rows = metrics(train(settings, "rl", updates=4, optimizer=OptimizerConfig(lr=0.02)))
    assert all(row["kl"] > 1e-4 for row in rows)
    assert any(row["clip_fraction"] > 0 for row in rows)


@pytest.mark.parametrize("rule", ["max_variance", "max_reward", "random", "percentile"])
@pytest.mark.parametrize("normalise", ["kept", "all"])
def test_every_rule_trains(settings: dict[str, Any], rule: str, normalise: str) -> None:
    out = train(settings, "rl", rule=rule, keep=3, normalise=normalise)
    assert all(math.isfinite(v) for row in metrics(out) for v in row.values())
    assert distance(weights(out), load_file(Path(settings["model"]) / "model.safetensors")) > 0


def test_only_the_kept_rollouts_are_differentiated(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    inner = losses.token_logprobs

    def counted(logits_BTV: torch.Tensor, *rest: Any, **named: Any) -> Any:
        rows.append(len(logits_BTV))
        return inner(logits_BTV, *rest, **named)

    monkeypatch.setattr(rl_module, "token_logprobs", counted)
    train(settings, "rl", rule="max_variance", keep=2, loop=replace(LOOP, steps=1))
    assert sum(rows) == 4 * 2


@pytest.mark.parametrize(
    "changes", [{}, {"rule": "max_variance", "keep": 4}, {"rule": "random", "keep": 4, "normalise": "all"}]
)
def test_what_was_not_scored_poisons_nothing(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    out = train(settings, "rl", task="letters,unscored=0.4", **changes)
    rows = metrics(out)
    assert all(0.1 < row["unscored"] < 0.7 for row in rows)
    assert all(math.isfinite(row[k]) for row in rows for k in ("loss", "grad_norm", "reward", "entropy", "kl"))
    assert all(bool(w.isfinite().all()) for w in weights(out).values())


def test_nothing_scored_teaches_nothing(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", task="letters,unscored=1.0", optimizer=OptimizerConfig(lr=0.1))
    rows = metrics(out)
    assert all(row["unscored"] == 1 and row["loss"] == 0 and row["grad_norm"] == 0 for row in rows)
    assert distance(weights(out), load_file(Path(settings["model"]) / "model.safetensors")) == 0


@pytest.mark.parametrize("changes", [{}, {"rule": "random", "keep": 3, "updates": 2}], ids=["grpo", "random"])
def test_a_run_killed_again_and_again_ends_with_the_same_weights(
    settings: dict[str, Any], changes: dict[str, Any]
) -> None:
    changes = {**changes, "loop": replace(LOOP, steps=10, save_every=2)}
    began = time.perf_counter()
    whole = train(settings, "whole", **changes)
    seconds = time.perf_counter() - began
    hits = kill_again_and_again(lambda: train(settings, "killed", **changes), seconds, kills=5, seed=2)
    assert hits >= 1
    killed = Path(settings["out"]).with_name("killed")
    assert distance(weights(killed), weights(whole)) == 0
    assert metrics(killed) == metrics(whole)


def test_a_finished_run_is_left_alone_and_another_configuration_refused(settings: dict[str, Any]) -> None:
    out = train(settings, "rl")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    train(settings, "rl")
    train(settings, "rl", loop=replace(LOOP, save_every=1))
    for change, says in (
        ({"rule": "max_variance", "keep": 4}, 'rule was "none", now "max_variance"'),
        ({"temperature": 0.7}, "temperature was 1.0, now 0.7"),
    ):
        with pytest.raises(ReachlabError, match=says):
            train(settings, "rl", **change)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_bad_input_writes_nothing(settings: dict[str, Any], checkpoint: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(checkpoint, tmp_path / "bare"))
    (bare / "tokenizer.json").unlink()
    for change, says in (
        ({"model": str(tmp_path / "nothing")}, "no such model folder"),
        ({"model": str(bare)}, "a checkpoint without a tokenizer"),
        ({"task": "chess"}, "unknown task family"),
        ({"loop": replace(LOOP, device="cuda:99")}, "device 'cuda:99' is not usable here"),
        ({"eval_every": 1, "eval_problems": 10_000}, "distinct test problems found, 10000 asked"),
    ):
        with pytest.raises(ReachlabError, match=says):
            train(settings, "rl", **change)
    assert not (tmp_path / "rl").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompts": 0}, "prompts=0 must be 1 or more"),
        ({"rollouts": 0}, "rollouts=0 must be 1 or more"),
        ({"micro_batch": 0}, "micro_batch=0 must be 1 or more"),
        ({"max_tokens": 0}, "max_tokens=0 must be 1 or more"),
        ({"eval_problems": 0}, "eval_problems=0 must be 1 or more"),
        ({"eval_every": -1}, "eval_every=-1 must be 0 or more"),
        ({"clip_low": math.nan}, "clip_low=nan must be 0 or more"),
        ({"keep": 9}, r"keep=9 must be 0 \(all\) to rollouts=8"),
        ({"keep": 4}, "keep=4 of rollouts=8 needs a --rule"),
        ({"rule": "random"}, "--rule random needs --keep"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"temperature": math.nan}, "temperature=nan must be above 0"),
        ({"verify_timeout": 0.0}, "verify_timeout=0.0 must be above 0"),
        ({"updates": 3}, "prompts=4 must be a multiple of updates=3"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], change: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        RLConfig(**{**settings, **change})
