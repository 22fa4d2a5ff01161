import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import TASK, kill_again_and_again, same_run, timeless, touches
from transformers import GPT2Config, GPT2LMHeadModel

from reachlab.choices import OneOf
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.measures.contradictions import count_contradictions
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.packing import Packer
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.runs import RunFolder
from reachlab.tasks.registry import FAMILIES
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.loop import TrainingRun
from reachlab.training.rl import resolve, train_rl
from reachlab.training.rl_config import ObjectiveConfig, RLConfig
from reachlab.training.rollouts import RolloutSource, coin
from reachlab.types import Problem

LOOP = LoopConfig(steps=3, save_every=2, seed=0, device="cpu", threads=1)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks `letters` and `said`."""
    monkeypatch.setitem(FAMILIES.places, "letters", "tests.training.letters:Letters")
    monkeypatch.setitem(FAMILIES.places, "said", "tests.training.letters:Said")


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model": str(checkpoint), "task": "letters", "out": str(tmp_path / "rl"), "loop": LOOP,
        "optimizer": OptimizerConfig(lr=3e-3), "prompts": 4, "rollouts": 8, "max_tokens": 3, "guard": 0.0,
    }  # fmt: skip


def rl_config(**flat: Any) -> RLConfig:
    """A configuration from names as the command line has them, without the groups they lie in."""
    nested: dict[str, Any] = {}
    for field in fields(RLConfig):
        default = field.default
        if is_dataclass(default) and not is_dataclass(flat.get(field.name)):
            own = {f.name: flat.pop(f.name) for f in fields(default) if f.name in flat}
            nested[field.name] = replace(default, **own)  # type: ignore[type-var]
    return RLConfig(**flat, **nested)


def weights(run: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(run) / "model" / "model.safetensors")


def metrics(run: str | Path) -> list[dict[str, Any]]:
    return timeless(RunFolder(run).metrics())


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def train(settings: dict[str, Any], name: str, **changes: Any) -> Path:
    out = Path(settings["out"]).with_name(name)
    train_rl(rl_config(**{**settings, **changes, "out": str(out)}))
    return out


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_learns_a_trivial_reward(settings: dict[str, Any], algorithm: str) -> None:
    """From half of its rollouts; every second algorithm from all of them."""
    half = {"rollouts": 16, "keep": 8, "rule": "max_variance"} if [*ALGORITHMS].index(algorithm) % 2 else {}
    changes = {"overlong": 0.0, **half}  # every answer is as long as it may be
    out = train(settings, "rl", loop=replace(LOOP, steps=35, save_every=100), prompts=8, algorithm=algorithm, **changes)
    rewards = [row["reward"] for row in metrics(out)]
    assert sum(rewards[:4]) / 4 < 0.6
    assert sum(rewards[-4:]) / 4 > 0.8


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregate": "token", "epochs": 2, "updates": 2},
        {"algorithm": "rloo", "kl": 0.01},
        {"algorithm": "ppo", "kl": 0.01, "gamma": 0.99, "lam": 0.95},
        {"algorithm": "dr_grpo", "kl": 0.01, "kl_estimator": "k2"},
        {"rollouts": 16, "keep": 8, "rule": "max_variance", "random_keep": 2, "normalise": "all"},
        {"rollouts": 16, "keep": 8, "rule": "max_variance", "budget": "waves", "wave": 4},
        {"rollouts": 16, "keep": 8, "rule": "max_variance", "budget": "pilot_commit"},
        {"lora_rank": 4, "lr": 0.02},
        {"dtype": "bfloat16"},
    ],
    ids=lambda changes: " ".join(f"{k}={v}" for k, v in changes.items()),
)
def test_every_variant_learns_too(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    changes = dict(changes)
    if "lr" in changes:
        changes["optimizer"] = OptimizerConfig(lr=changes.pop("lr"))
    out = train(settings, "rl", loop=replace(LOOP, steps=35, save_every=100), prompts=8, **changes)
    rewards = [row["reward"] for row in metrics(out)]
    assert sum(rewards[:4]) / 4 < 0.6
    assert sum(rewards[-4:]) / 4 > 0.75
    load_model(out)  # what comes out is an ordinary checkpoint


def test_what_a_step_says_of_itself(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", eval_every=2, eval_problems=5, eval_samples=3)
    rows = RunFolder(out).metrics()
    phases = {"seconds_generate", "seconds_verify", "seconds_select", "seconds_logprobs", "seconds_update"}
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
        assert row["rollouts"] == 4 * 8
        assert row["truncated_right"] <= row["truncated"] * 32
        assert row["contradictions"] == 0  # the task states no final answers
    assert rows[0]["kl_start"] == pytest.approx(0, abs=1e-6)
    assert rows[2]["kl_start"] > 1e-5
    assert [("eval_pass1" in row) for row in rows] == [False, True, False]
    assert [("eval_pass3" in row) for row in rows] == [False, True, False]
    assert rows[1]["eval_pass3"] in [i / 5 for i in range(6)]
    assert rows[1]["eval_pass1"] <= rows[1]["eval_pass3"]


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
    for size in (1, 15, 40):
        pieces = train(settings, f"pieces{size}", pass_tokens=size, **common)
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


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, 1),
        ({"updates": 2}, 2),  # the policy that drew them is looked at first
        ({"kl": 0.1}, 2),
        ({"algorithm": "rloo", "kl": 0.1}, 3),
        ({"algorithm": "ppo"}, 1),
    ],
    ids=lambda value: str(value),
)
def test_only_kept_rollouts_are_passed_through_the_model(
    settings: dict[str, Any], changes: dict[str, Any], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"logprobs": 0, "values": 0}
    for name in answers:
        monkeypatch.setattr(Packer, name, counting(name, answers, getattr(Packer, name)))
    draw = RolloutSource.draw

    def drawn(*args: Any) -> Any:
        answers.update(dict.fromkeys(answers, 0))  # what the packer tried out before counts for nothing
        return draw(*args)

    monkeypatch.setattr(RolloutSource, "draw", drawn)
    train(settings, "rl", rule="max_variance", keep=2, watch=False, loop=replace(LOOP, steps=1), **changes)
    kept = 4 * 2
    assert 0 < answers["logprobs"] <= passes * kept
    assert answers["values"] == (2 * kept if changes.get("algorithm") == "ppo" else 0)


def counting(name: str, counts: dict[str, int], inner: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **named: Any) -> Any:
        pack = next(a for a in [*args, *named.values()] if hasattr(a, "mask_BT"))
        counts[name] += pack.B
        return inner(*args, **named)

    return counted


def test_waves_draw_no_more_than_it_takes_and_teach_the_same(settings: dict[str, Any]) -> None:
    common = {"rollouts": 32, "keep": 4, "rule": "max_variance", "prompts": 8, "loop": replace(LOOP, steps=3)}
    whole, waves = (metrics(train(settings, b, budget=b, **common)) for b in ("all", "waves"))
    assert all(row["rollouts"] == 8 * 32 for row in whole)
    assert all(8 * 4 <= row["rollouts"] < 8 * 32 for row in waves)
    # Before anything is learned, both see the same policy: the waves' first four rollouts are a sample of it.
    assert waves[0]["reward"] == pytest.approx(whole[0]["reward"], abs=0.3)


def test_a_wave_of_all_rollouts_is_no_wave(settings: dict[str, Any]) -> None:
    common = {"rollouts": 8, "keep": 4, "rule": "max_variance"}
    whole = train(settings, "whole", **common)
    waves = train(settings, "waves", budget="waves", wave=8, **common)
    assert distance(weights(whole), weights(waves)) == 0


def test_dynamic_sampling_replaces_what_teaches_nothing(settings: dict[str, Any]) -> None:
    common = {"rollouts": 2, "algorithm": "dapo", "overlong": 0.0, "loop": replace(LOOP, steps=2)}
    never = metrics(train(settings, "never", redraws=0, **common))
    often = metrics(train(settings, "often", redraws=6, **common))
    assert never[0]["groups_without_signal"] > 0
    assert never[0]["rollouts"] == 4 * 2 < often[0]["rollouts"]


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["", "tests.training.test_rl:length"])
def test_verdicts_to_look_at_are_counted(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reward: str
) -> None:
    """Over all rollouts that were drawn, those that dynamic sampling replaced too; unscored ones are left out."""
    seen: list[tuple[int, int, int]] = []
    answer = RolloutSource._answer

    def watched(self: RolloutSource, problems: Any, prompts: Any, seeds: Any, decoding: Any) -> Any:
        answers, verdicts = answer(self, problems, prompts, seeds, decoding)
        pairs = [list(zip(*row, strict=True)) for row in zip(answers, verdicts, strict=True)]
        cut_right = sum(a.finish == "length" and v.status == "correct" for row in pairs for a, v in row)
        rows = [[(v.status, a.text[1:2] or None) for a, v in row] for row in pairs]
        against = count_contradictions(rows, [self.task.gold(p) for p in problems])
        seen.append((sum(map(len, rows)), cut_right, against))
        return answers, verdicts

    monkeypatch.setattr(RolloutSource, "_answer", watched)
    loop = replace(LOOP, steps=1)
    out = train(settings, "rl", task="said,unscored=0.2", redraws=4, prompts=16, rollouts=3, loop=loop, reward=reward)
    (row,) = metrics(out)
    assert [row["rollouts"], row["truncated_right"], row["contradictions"]] == [sum(n) for n in zip(*seen, strict=True)]
    assert row["rollouts"] > 16 * 3 or reward
    assert min(row["truncated_right"], row["contradictions"]) > 0
    said = capsys.readouterr().err
    assert f"truncated_right {row['truncated_right']:g}  contradictions {row['contradictions']:g}" in said


def test_where_no_verdict_is_to_be_looked_at_the_terminal_says_nothing(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train(settings, "rl", task="letters,unscored=1.0", prompts=1, rollouts=2, loop=replace(LOOP, steps=1))
    said = capsys.readouterr().err
    assert "reward" in said
    assert "truncated_right" not in said
    assert "contradictions" not in said


def length(problem: Problem, text: str) -> float:
    """A reward."""
    return float(len(text))


def test_a_problem_outside_the_band_is_left_out(settings: dict[str, Any]) -> None:
    common = {"rollouts": 8, "keep": 4, "rule": "max_variance", "budget": "pilot_commit", "wave": 2}
    rows = metrics(train(settings, "rl", band=(0.4, 0.6), **common))
    assert all(row["rollouts"] in range(4 * 2, 4 * 8 + 1, 6) for row in rows)
    nobody = train(settings, "nobody", band=(0.001, 0.002), **common)
    assert distance(weights(nobody), start_of(settings)) == 0


def start_of(settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    return load_file(Path(settings["model"]) / "model.safetensors")


def test_adapters_move_and_the_checkpoint_holds_their_sum(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", lora_rank=2, optimizer=OptimizerConfig(lr=0.02), loop=replace(LOOP, keep_every=2))
    before, after = start_of(settings), weights(out)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert moved
    assert all("proj" in name for name in moved)
    assert max(torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-4) for name in moved) <= 2
    between = load_file(out / "checkpoints" / "step-000002" / "model.safetensors")
    assert between.keys() == before.keys()
    assert moved == {name for name in before if not torch.equal(before[name], between[name])}
    assert distance(between, after) > 0
    rows = metrics(out)
    assert rows[0]["kl_start"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["kl_start"] > 1e-5


@pytest.mark.parametrize("changes", [{}, {"watch": False}, {"lora_rank": 2}], ids=str)
def test_an_update_that_breaks_the_model_stops_the_run(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    """The last update too: there is one only."""
    wild = {"guard": 0.5, **changes, "optimizer": OptimizerConfig(lr=3.0), "loop": replace(LOOP, steps=1)}
    with pytest.raises(ReachlabError, match=r"step 1 moved the policy by .* Lower --lr 3 to 0.3, .*no state is saved"):
        train(settings, "rl", **wild)
    out = Path(settings["out"])
    assert not (out / "model").exists()
    assert not (out / "state").exists()
    assert metrics(out) == []
    load_model(train(settings, "unguarded", **{**wild, "guard": 0.0}))
    assert "kl_update" not in metrics(out.with_name("unguarded"))[0]


def test_a_leap_leaves_the_state_before_it(settings: dict[str, Any]) -> None:
    """The learning rate rises until it is too high; begun again, the run goes on from before and ends the same way."""
    rising = {
        "optimizer": OptimizerConfig(lr=0.5, warmup=1000, schedule="constant"),
        "loop": LoopConfig(steps=1000, save_every=1, seed=0, device="cpu", threads=1),
        "guard": 0.05,
    }
    with pytest.raises(ReachlabError, match=r"moved the policy") as error:
        train(settings, "rl", **rising)
    rows = metrics(settings["out"])
    assert all(row["kl_update"] <= 0.05 for row in rows)
    assert f"step {len(rows) + 1} moved" in str(error.value)
    assert f"state is that of step {len(rows)}, before it" in str(error.value)
    with pytest.raises(ReachlabError) as again:
        train(settings, "rl", **rising)
    assert str(again.value) == str(error.value)
    assert metrics(settings["out"]) == rows


def test_the_guard_changes_nothing_of_what_is_learned(settings: dict[str, Any]) -> None:
    guarded, free = train(settings, "guarded", guard=0.5), train(settings, "free")
    assert distance(weights(guarded), weights(free)) == 0
    # What is measured after one step is what the next finds itself at, on other rollouts.
    assert all(row["kl_update"] > 0 for row in metrics(guarded))


def test_the_state_of_adapters_holds_them_alone(settings: dict[str, Any]) -> None:
    lora = {"lora_rank": 2, "optimizer": OptimizerConfig(lr=0.02), "loop": replace(LOOP, steps=4, save_every=2)}
    whole = train(settings, "whole", **lora)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_log", _stopped_after(2))
        with pytest.raises(KeyboardInterrupt):
            train(settings, "rl", **lora)
    state = torch.load(Path(settings["out"]) / "state" / "trainer.pt", weights_only=True)
    assert state["policy"]["model"]
    assert all("lora_" in name for name in state["policy"]["model"])
    out = train(settings, "rl", **lora)
    assert metrics(out) == metrics(whole)
    assert distance(weights(out), weights(whole)) == 0


def _stopped_after(step: int) -> Callable[[TrainingRun, dict[str, Any]], None]:
    """A log that ends the process, as it were, once the step after `step` is taken."""
    log = TrainingRun._log

    def stopping(run: TrainingRun, found: dict[str, Any]) -> None:
        if run.step > step:
            raise KeyboardInterrupt
        log(run, found)

    return stopping


def test_a_state_with_the_frozen_weights_in_it_is_refused(settings: dict[str, Any]) -> None:
    lora = {"lora_rank": 2, "loop": replace(LOOP, steps=4, save_every=2)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_log", _stopped_after(2))
        with pytest.raises(KeyboardInterrupt):
            train(settings, "rl", **lora)
    file = Path(settings["out"]) / "state" / "trainer.pt"
    state = torch.load(file, weights_only=True)
    name = "model.layers.0.mlp.down_proj.base_layer.weight"
    state["policy"]["model"][name] = torch.zeros(32, 48)
    torch.save(state, file)
    with pytest.raises(ReachlabError, match=f"{name}, which this run does not train: the state of an older version"):
        train(settings, "rl", **lora)


def test_partial_credit_is_counted_and_not_blown_up(settings: dict[str, Any]) -> None:
    """A reward of 0.05 for what is not right: with the division by its own deviation it teaches as much as a 1."""
    common = {"task": "letters,partial=0.05", "loop": replace(LOOP, steps=1), "watch": False}
    rows = {
        name: metrics(train(settings, name, **common, **changes))[0]
        for name, changes in {"floor": {}, "none": {"full_credit": 0.0}}.items()
    }
    assert rows["floor"]["groups_partial"] > 0
    assert rows["none"]["groups_partial"] == 0
    assert 0 < rows["floor"]["grad_norm"] < 0.3 * rows["none"]["grad_norm"]


def test_of_a_reward_of_ones_own_only_its_owner_knows_what_is_full() -> None:
    common = {"model": "m", "task": "t", "out": "o"}
    assert rl_config(**common).full_credit == 1
    assert rl_config(**common, reward="json:dumps").full_credit == 0
    assert rl_config(**common, reward="json:dumps", full_credit=10.0).full_credit == 10


def test_an_overlong_answer_costs(settings: dict[str, Any]) -> None:
    free = metrics(train(settings, "free", overlong=0.0, loop=replace(LOOP, steps=1)))
    shaped = metrics(train(settings, "shaped", overlong=1.0, loop=replace(LOOP, steps=1)))
    assert shaped[0]["accuracy"] == free[0]["accuracy"]
    assert shaped[0]["reward"] < free[0]["reward"]


REWARDS = """
import time

def some(problem, answer):
    if len(answer) > 1:
        raise KeyError("too long")
    return 0.5

def digits(problem, answer):
    return sum(c.isdigit() for c in answer) - 1.5

def broken(problem, answer):
    raise KeyError("no such thing")

def undefined(problem, answer):
    return float("nan")

def huge(problem, answer):
    return -1e20

def endless(problem, answer):
    if answer[:1] in "01234":
        while True:
            pass
    return float(answer[:1] == "7")
"""


@pytest.fixture
def rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module `my_rewards` in the current folder."""
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    # Another test's module of that name lay in another folder.
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("rewards")
def test_a_users_own_reward(settings: dict[str, Any]) -> None:
    rows = metrics(train(settings, "rl", reward="my_rewards:digits", loop=replace(LOOP, steps=25), prompts=8))
    assert rows[-1]["reward"] > max(rows[0]["reward"], 0.5)
    assert rows[0]["reward"] != rows[0]["accuracy"]  # what is right is still the task's to say


@pytest.mark.usefixtures("rewards")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "not one of 32 rollouts could be scored; the last: no reward my_rewards:broken: KeyError: 'no such"),
        ("huge", "my_rewards:huge: the reward of .* is -1e\\+20; return a number between -1e\\+12 and 1e\\+12"),
        ("undefined", "not one of 32 rollouts could be scored; the last: the reward my_rewards:undefined says NaN"),
    ],
)
def test_a_reward_that_is_none_stops_with_a_state(settings: dict[str, Any], name: str, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        train(settings, "rl", reward=f"my_rewards:{name}")
    assert (Path(settings["out"]) / "state" / "trainer.pt").is_file()


@pytest.mark.usefixtures("rewards")
def test_an_answer_without_a_reward_keeps_its_verdict(settings: dict[str, Any], tmp_path: Path) -> None:
    """What is right is the task's to say, whether there is a reward or not."""
    loop = replace(LOOP, steps=1)
    plain, some = (
        metrics(train(settings, name, reward=reward, loop=loop, prompts=8))[0]
        for name, reward in (("plain", ""), ("some", "my_rewards:some"))
    )
    assert plain["accuracy"] == some["accuracy"]
    assert 0 < some["unscored"] < 1
    assert plain["unscored"] == 0
    assert some["reward"] == 0.5


@pytest.mark.slow
@pytest.mark.usefixtures("rewards")
def test_a_reward_that_hangs_does_not_hang_the_run(settings: dict[str, Any]) -> None:
    loop = replace(LOOP, steps=1)
    rows = metrics(train(settings, "rl", reward="my_rewards:endless", verify_timeout=0.5, loop=loop, rollouts=4))
    assert 0 < rows[0]["unscored"] < 1


def test_importing_a_reward_is_not_on_an_answers_clock(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import time\ntime.sleep(1.5)\ndef length(problem, answer):\n    return len(answer) / 10\n"
    (tmp_path / "slow_rewards.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    loop = replace(LOOP, steps=1)
    rows = metrics(train(settings, "rl", reward="slow_rewards:length", verify_timeout=1.0, loop=loop))
    assert rows[0]["unscored"] == 0


@pytest.mark.usefixtures("rewards")
def test_another_reward_under_the_same_name_is_another_run(settings: dict[str, Any], tmp_path: Path) -> None:
    common = {"reward": "my_rewards:digits", "loop": replace(LOOP, steps=1)}
    train(settings, "rl", **common)
    (tmp_path / "my_rewards.py").write_text(REWARDS + "# changed")
    with pytest.raises(ReachlabError, match="reward_source was"):
        train(settings, "rl", **common)


@pytest.mark.usefixtures("rewards", "nothing_registered")
def test_a_reward_of_a_file_is_known_by_its_code(settings: dict[str, Any], tmp_path: Path) -> None:
    common = {"reward": "my_rewards.py:digits", "loop": replace(LOOP, steps=1)}
    train(settings, "rl", **common)
    document = json.loads((Path(settings["out"]).with_name("rl") / "run.json").read_text())
    assert set(document["config"]["plugins"]) == {"reward"}
    assert "reward_source" not in document["config"]
    (tmp_path / "my_rewards.py").write_text(REWARDS + "# changed")
    train(settings, "rl", **common)  # a comment
    (tmp_path / "my_rewards.py").write_text(REWARDS + "\nX = 1\n")
    sys.modules.pop("reachlab_plugin_my_rewards")
    with pytest.raises(ReachlabError, match=r"plugins\.reward was"):
        train(settings, "rl", **common)


def test_what_is_drawn_without_kernels_trains_another_run(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings, "rl", loop=replace(LOOP, steps=1))
    monkeypatch.setattr("reachlab.training.rl.lacking", lambda _: "numba is not installed")
    with pytest.raises(ReachlabError, match='kernels was null, now "of torch alone'):
        train(settings, "rl", loop=replace(LOOP, steps=1))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "must be MODULE:FUNCTION"),
        ("no_such_module:f", "reward 'no_such_module:f' cannot be imported: ModuleNotFoundError"),
        ("json:nothing", "cannot be imported: AttributeError"),
        ("json:__name__", "a function is wanted"),
    ],
)
def test_a_reward_that_is_not_there(settings: dict[str, Any], name: str, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        train(settings, "rl", reward=name)
    assert not Path(settings["out"]).exists()


def test_a_loss_that_is_not_a_number_stops_with_the_state_before_it(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(settings, "whole", loop=replace(LOOP, steps=4))
    steps: list[int] = []
    inner = Packer.logprobs

    def poisoned(self: Packer, *args: Any, **named: Any) -> Any:
        logprobs_BT, entropy_BT = inner(self, *args, **named)
        poison = len(steps) == 2 and logprobs_BT.requires_grad
        return logprobs_BT * math.nan if poison else logprobs_BT, entropy_BT

    def counted(self: TransformersDecoder, *args: Any, **named: Any) -> Any:
        steps.append(0)
        return generate(self, *args, **named)

    generate = TransformersDecoder.generate
    with monkeypatch.context() as patch:
        patch.setattr(Packer, "logprobs", poisoned)
        patch.setattr(TransformersDecoder, "generate", counted)
        with pytest.raises(ReachlabError, match=r"loss and grad_norm not finite at step 2.*the last good state is in"):
            train(settings, "rl", loop=replace(LOOP, steps=4, save_every=100))
    out = train(settings, "rl", loop=replace(LOOP, steps=4, save_every=100))
    assert distance(weights(out), weights(whole)) == 0
    assert metrics(out) == metrics(whole)


def test_a_run_that_is_short_of_time_finishes_early(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", loop=replace(LOOP, steps=10_000, max_seconds=0.5), eval_every=3)
    rows = RunFolder(out).metrics()
    spent = [row["seconds"] - row.get("seconds_eval", 0.0) for row in rows]
    assert sum(spent[:-1]) < 0.5 <= sum(spent)
    assert weights(out)


@pytest.mark.parametrize(
    "changes", [{}, {"rule": "max_variance", "keep": 4}, {"rule": "random", "keep": 4, "normalise": "all"}]
)
def test_what_was_not_scored_poisons_nothing(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    out = train(settings, "rl", task="letters,unscored=0.4", **changes)
    rows = metrics(out)
    assert all(0.1 < row["unscored"] < 0.7 for row in rows)
    assert all(math.isfinite(row[k]) for row in rows for k in ("loss", "grad_norm", "reward", "entropy", "kl"))
    assert all(bool(w.isfinite().all()) for w in weights(out).values())


def test_nothing_scored_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ReachlabError, match="not one of 32 rollouts could be scored; the last: the judge is out"):
        train(settings, "rl", task="letters,unscored=1.0")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rule": "random", "keep": 3, "updates": 2},
        {"algorithm": "ppo", "kl": 0.1},
        {"lora_rank": 2, "rule": "max_variance", "keep": 4, "budget": "waves", "wave": 2},
    ],
    ids=["grpo", "random", "ppo", "lora and waves"],
)
def test_a_run_killed_again_and_again_ends_with_the_same_weights(
    settings: dict[str, Any], changes: dict[str, Any]
) -> None:
    changes = {**changes, "loop": replace(LOOP, steps=10, save_every=2, keep_every=3)}
    most = touches(lambda: train(settings, "whole", **changes))
    whole = Path(settings["out"]).with_name("whole")
    hits = kill_again_and_again(lambda: train(settings, "killed", **changes), most, kills=3, seed=2)
    assert hits >= 1
    killed = Path(settings["out"]).with_name("killed")
    assert [*RunFolder(killed).kept()] == [3, 6, 9]
    assert same_run(killed, whole)


def test_a_finished_run_is_left_alone_and_another_configuration_refused(settings: dict[str, Any]) -> None:
    out = train(settings, "rl")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    train(settings, "rl")
    train(settings, "rl", loop=replace(LOOP, save_every=1, keep_every=1))
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
        ({"prompts": -1}, "prompts=-1 must be 1 or more"),
        ({"rollouts": -1}, "rollouts=-1 and wave=0 must be 0"),
        ({"pass_tokens": 0}, "micro_batch_tokens=0 must be 1 or more"),
        ({"epochs": 0}, "epochs=0 must be 1 or more"),
        ({"kl": -1.0}, "kl_coef=-1.0 must be 0 or more"),
        ({"overlong": 1.5}, "overlong_buffer=1.5 is a share of max_tokens"),
        ({"gamma": 1.1}, "gamma=1.1 must lie in 0 to 1"),
        ({"wave": 9}, r"wave=9 must be 0 \(chosen for you\) to rollouts=8"),
        ({"band": (0.5, 0.2)}, "band=.* must be two mean rewards"),
        ({"reward_range": (1.0, 0.0)}, "reward_range=.* must be two numbers"),
        ({"redraws": -1}, "redraws=-1 must be 0 or more"),
        ({"eval_samples": 0}, "eval_samples=0 must be 1 or more"),
        ({"lora_rank": -1}, "lora_rank=-1 and lora_alpha=0 must be 0 or more"),
        ({"rule": "random", "keep": 4, "random_keep": 1}, "add --advantage-normalisation all"),
        ({"rule": "random", "keep": 4, "random_keep": 5, "normalise": "all"}, "random_keep=5 must be 0 to keep=4"),
        (
            {"rule": "random", "keep": 4, "budget": "waves", "normalise": "all"},
            "--advantage-normalisation all needs all rollouts",
        ),
        ({"budget": "waves"}, "give a --rule and --keep"),
        ({"budget": "pilot_commit", "rollouts": 4}, "a pilot of 1 of rollouts=4 tells no success rate apart"),
        ({"budget": "pilot_commit", "wave": 8}, "a pilot of 8 of rollouts=8 tells no success rate apart"),
        ({"max_tokens": -1}, "max_tokens=-1 must be 1 or more"),
        ({"eval_problems": 0}, "eval_problems=0 must be 1 or more"),
        ({"eval_every": -1}, "eval_every=-1 must be 0 or more"),
        ({"clip_low": math.nan}, "clip_low=nan is no number"),
        ({"keep": 9}, r"keep=9 must be 0 \(all\) to rollouts=8"),
        ({"keep": 4}, "keep=4 of rollouts=8 needs a --rule"),
        ({"rule": "random"}, "--rule random needs --keep"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"temperature": math.nan}, "temperature=nan is no number"),
        ({"verify_timeout": 0.0}, "verify_timeout=0.0 must be above 0"),
        ({"updates": 3}, "prompts=4 must be a multiple of minibatches=3"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], change: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        rl_config(**{**settings, **change})


def test_the_command_line_names_every_algorithm() -> None:
    notes = get_args(get_type_hints(ObjectiveConfig, include_extras=True)["algorithm"])
    (named,) = (note for note in notes if isinstance(note, OneOf))
    assert named.names() == tuple(ALGORITHMS)


def test_what_is_not_said_is_the_algorithms_own() -> None:
    def row(**chosen: Any) -> Any:
        return resolve(rl_config(model="", task="", out="", **{"rollouts": 16, **chosen}))

    assert row(algorithm="dapo") == ALGORITHMS["dapo"]
    assert row(algorithm="grpo").kl_place == "none"
    assert (row(kl=0.1).kl_place, row(kl=0.1).kl_estimator) == ("loss", "k3")
    assert row(algorithm="ppo", kl=0.1).kl_place == "reward"
    assert row(algorithm="dapo", kl=0.1).kl_place == "loss"
    assert row(algorithm="ppo", kl=0.1, kl_place="loss", kl_estimator="k2").kl_estimator == "k2"
    assert row(aggregate="token", clip_high=0.5).clip_high == 0.5
    assert row(algorithm="dapo", overlong=0.0).overlong == 0
    for chosen in ({"algorithm": "ppo"}, {"algorithm": "rloo", "kl": 0.1}):
        with pytest.raises(ReachlabError, match="needs --advantage-normalisation kept"):
            row(rule="random", keep=4, normalise="all", **chosen)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_refused_is_the_rows_own(algorithm: str) -> None:
    row = ALGORITHMS[algorithm]

    def refused(**chosen: Any) -> str:
        try:
            resolve(rl_config(model="", task="", out="", algorithm=algorithm, overlong=0.0, **chosen))
        except ReachlabError as error:
            return str(error)
        return ""

    says = refused(rollouts=1)
    assert ("compares rollouts of one problem: keep 2 or more" in says) == bool(says) == row.compares_rollouts
    assert not says or says.endswith("or choose remax, reinforce_pp or ppo")
    over_all = refused(rollouts=16, rule="random", keep=4, normalise="all")
    assert ("needs --advantage-normalisation kept" in over_all) == bool(over_all) == row.per_token
    assert not refused(rollouts=16, rule="max_variance", keep=4, budget="waves")


def test_waves_know_nothing_of_a_punished_length() -> None:
    config = rl_config(
        model="", task="", out="", rollouts=16, rule="max_variance", keep=4, budget="waves", overlong=0.2
    )
    with pytest.raises(ReachlabError, match="--budget waves knows the best subset of the task's own rewards only"):
        resolve(config)


def test_metrics_are_json(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", task="letters,unscored=0.9", loop=replace(LOOP, steps=2))
    lines = (out / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in lines]
    assert [row["step"] for row in rows] == [1, 2]


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "rloo", "dapo"])
def test_a_group_of_one_has_nothing_to_compare(settings: dict[str, Any], algorithm: str) -> None:
    for chosen in ({"rollouts": 1}, {"rule": "max_reward", "keep": 1}):
        with pytest.raises(ReachlabError, match=f"{algorithm} compares rollouts of one problem"):
            train(settings, "rl", algorithm=algorithm, **chosen)
    resolve(rl_config(**settings, algorithm=algorithm, rule="max_reward", keep=1, normalise="all"))


def test_waves_do_not_go_with_rewards_for_length(settings: dict[str, Any]) -> None:
    with pytest.raises(ReachlabError, match="add --overlong-buffer 0"):
        train(settings, "rl", algorithm="dapo", budget="waves", rule="max_variance", keep=4)


def test_a_model_without_the_positions_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = load_model(settings["model"])[1]
    torch.manual_seed(0)
    config = GPT2Config(n_positions=5, n_embd=16, n_layer=1, n_head=2, vocab_size=len(tokenizer))
    save_model(tmp_path / "gpt2", GPT2LMHeadModel(config), tokenizer)
    with pytest.raises(ReachlabError, match=r"gpt2 has 5 positions, .* 1 is the most that does"):
        train(settings, "rl", model=str(tmp_path / "gpt2"))
    assert not (tmp_path / "rl").exists()


def test_answers_have_the_room_that_positions_leave(settings: dict[str, Any]) -> None:
    said: list[str] = []
    settings = {**settings, "prompts": 1, "loop": replace(LOOP, steps=1)}
    with pytest.raises(ReachlabError, match="--max-tokens 70 does not fit"):
        train_rl(rl_config(**{**settings, "max_tokens": 70}))
    train_rl(rl_config(**{**settings, "max_tokens": 0}), said.append)
    most = RunFolder(settings["out"]).read_json("run.json")["config"]["max_tokens"]
    assert 40 < most < 64
    assert len(said) == 1
    assert said[0].startswith(f"answers may take {most} tokens and not 256: ")


def test_adapters_move_by_muon_too(settings: dict[str, Any]) -> None:
    out = train(settings, "rl", lora_rank=2, optimizer=OptimizerConfig(method="muon", muon_lr=0.02))
    assert distance(weights(out), start_of(settings)) > 0


def test_what_was_not_scored_is_not_counted(settings: dict[str, Any]) -> None:
    """Half of the rollouts unscored: the loss is a mean over the others."""
    common = {"algorithm": "reinforce_pp", "watch": False, "loop": replace(LOOP, steps=1), "rollouts": 16}
    whole = metrics(train(settings, "whole", **common))
    half = metrics(train(settings, "half", task="letters,unscored=0.5", **common))
    assert half[0]["grad_norm"] > 0.5 * whole[0]["grad_norm"]


def test_a_length_that_punishes_right_answers_is_remarked_on(settings: dict[str, Any]) -> None:
    common = {
        **settings,
        "algorithm": "dapo",
        "task": TASK,
        "prompts": 2,
        "rollouts": 2,
        "loop": replace(LOOP, steps=1),
    }
    said: list[str] = []
    train_rl(rl_config(**{**common, "max_tokens": 12}), said.append)
    assert len(said) == 1
    assert "right answers of the task's own solver are so long that --overlong-buffer 0.2 punishes them" in said[0]
    train_rl(rl_config(**{**common, "max_tokens": 40, "out": f"{settings['out']}-long"}), said.append)
    assert len(said) == 1


def test_a_random_reward_is_a_coin_of_the_seed_and_says_nothing_of_the_answer(settings: dict[str, Any]) -> None:
    coins = [coin(seed) for seed in range(4000)]
    assert set(coins) == {0.0, 1.0}
    assert abs(sum(coins) / 4000 - 0.5) < 0.03
    assert coins == [coin(seed) for seed in range(4000)]
    first, again = (metrics(train(settings, name, reward="random", prompts=8)) for name in ("a", "b"))
    assert first == again
    assert all(0.2 < row["reward"] < 0.8 for row in first)
    plain = metrics(train(settings, "plain", prompts=8))
    # The same rollouts of the first step, right as often, otherwise rewarded.
    assert first[0]["accuracy"] == plain[0]["accuracy"] != first[0]["reward"]
