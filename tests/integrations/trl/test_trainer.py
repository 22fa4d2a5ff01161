"""Down-sampling in TRL's trainer: against TRL itself where all are kept, against our own mathematics where some are."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tests.integrations.trl import small
from tests.integrations.trl.small import LONGEST, Fixed, N, reward, trainer, weights
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

import reachlab.integrations.trl.trainer as ours
from reachlab.errors import ReachlabError
from reachlab.integrations.trl import DownSampling, DownSamplingGRPOTrainer
from reachlab.rl.advantages import centred
from reachlab.rl.algorithm import Aggregate, Scored
from reachlab.rl.losses import LossForm, policy_loss

P, M = 2, 4
ROOT = Path(__file__).parents[3]
HERE = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def batch(model: Any) -> list[dict[str, Any]]:
    """The first step's rows: N copies of each prompt."""
    return [model.train_dataset[p] for p in range(P) for _ in range(N)]


def prepared(folder: Path, keep: int | None = M, **settings: Any) -> Any:
    """A trainer as it is within a step."""
    found = trainer(folder, keep, **settings)
    found.model.train()
    found.current_gradient_accumulation_steps = 1
    return found


def rewards_of(found: Any) -> Tensor:
    """(P, N), of all rollouts."""
    return torch.tensor(list(found._logs["rewards"]["reward"]), dtype=torch.float64).view(P, N)


def test_with_all_kept_it_is_trl_bit_for_bit(tmp_path: Path) -> None:
    plain = trainer(tmp_path, None, GRPOTrainer, gradient_accumulation_steps=2, num_iterations=2)
    plain.train()
    same = trainer(tmp_path, N, DownSamplingGRPOTrainer, gradient_accumulation_steps=2, num_iterations=2)
    same.train()
    assert torch.equal(weights(plain.model), weights(same.model))
    for theirs, mine in zip(plain.state.log_history, same.state.log_history, strict=True):
        assert {k: v for k, v in theirs.items() if k in mine and "time" not in k and "second" not in k}.items() <= (
            mine.items()
        )
    some = trainer(tmp_path, M, DownSamplingGRPOTrainer, gradient_accumulation_steps=2, num_iterations=2)
    some.train()
    assert not torch.equal(weights(plain.model), weights(some.model))


def logprobs_of(model: nn.Module, prompts: list[list[int]], answers: list[list[int]]) -> Tensor:
    """log π of each answer's tokens, a row at a time: (B, T), 0 beyond an answer's end."""
    rows = []
    for prompt, answer in zip(prompts, answers, strict=True):
        logits_TV = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        rows.append(logits_TV.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0])
    return pad_sequence(rows, batch_first=True)


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize(
    ("loss_type", "aggregate"), [("grpo", "sequence"), ("dr_grpo", "constant"), ("dapo", "token"), ("bnpo", "token")]
)
def test_the_gradient_is_ours(tmp_path: Path, loss_type: str, aggregate: Aggregate, beta: float) -> None:
    # TRL weighs the KL by the ratio unless it is told otherwise.
    settings: dict[str, Any] = {"num_iterations": 2, "scale_rewards": "none", "use_bias_correction_kl": False}
    found = prepared(tmp_path, loss_type=loss_type, beta=beta, **settings)
    inputs = found._generate_and_score_completions(batch(found))
    now, before = found.model, AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():  # the second iteration: ratios are no longer 1, and some are clipped
        for parameter in now.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    found.compute_loss(now, inputs).backward()
    theirs = {name: p.grad.clone() for name, p in now.named_parameters() if p.grad is not None}
    now.zero_grad()

    rewards_PN = rewards_of(found)
    kept_PM = DownSampling(keep=M).choose(rewards_PN, 0).sort(dim=1).values
    prompts = [found.processing_class(x["prompt"])["input_ids"] for x in batch(found)]
    answers, _ = found._generate_single_turn(prompts)
    rows = (kept_PM + torch.arange(P)[:, None] * N).flatten().tolist()
    prompts, answers = [prompts[i] for i in rows], [answers[i] for i in rows]
    assert inputs["completion_ids"][0, : len(answers[0])].tolist() == answers[0]
    mask_BT = pad_sequence([torch.ones(len(a), dtype=torch.bool) for a in answers], batch_first=True)
    scored = Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_BT.view(P, M, -1))
    with torch.no_grad():
        old_BT = logprobs_of(before, prompts, answers)
        start_BT = old_BT if beta else None  # the training has only begun
    loss, shown = policy_loss(
        logprobs_of(now, prompts, answers), old_BT, centred(scored).flatten().float(), mask_BT,
        LossForm(aggregate=aggregate, max_tokens=LONGEST, kl_coef=beta), ref_logprobs_BT=start_BT,
    )  # fmt: skip
    loss.backward()  # type: ignore[no-untyped-call]
    assert shown["clip_fraction"] > 0
    largest = max(g.abs().max() for g in theirs.values())
    for name, p in now.named_parameters():
        if p.grad is not None:
            assert (p.grad - theirs[name]).abs().max() <= 1e-5 * largest, name


def test_a_group_is_standardised_over_what_is_kept(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    advantages = found._generate_and_score_completions(batch(found))["advantages"].view(P, M)
    rewards_PN = rewards_of(found)
    kept_PM = rewards_PN.gather(1, DownSampling(keep=M).choose(rewards_PN, 0).sort(dim=1).values)
    wanted = (kept_PM - kept_PM.mean(1, keepdim=True)) / (kept_PM.std(1, keepdim=True) + 1e-4)
    assert torch.allclose(advantages.double(), wanted, atol=1e-5)
    assert not torch.allclose(kept_PM.mean(1), rewards_PN.mean(1))


def test_tokens_are_counted_and_probabilities_computed_of_the_kept_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = prepared(tmp_path, num_iterations=2, beta=0.1)
    rows: list[int] = []
    whole = found._get_per_token_logps_and_entropies

    def counted(model: nn.Module, ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        rows.append(len(ids))
        return whole(model, ids, *args, **kwargs)

    monkeypatch.setattr(found, "_get_per_token_logps_and_entropies", counted)
    inputs = found._generate_and_score_completions(batch(found))
    assert rows == [P * M, P * M]  # of the old policy and of the reference
    assert len(inputs["completion_ids"]) == len(inputs["advantages"]) == P * M
    assert inputs["num_items_in_batch"] == inputs["completion_mask"].sum()


def test_unscored_rollouts_are_kept_last_and_move_nothing(tmp_path: Path) -> None:
    def some(completions: list[str], **kwargs: Any) -> list[float | None]:
        told = reward(completions)
        return [None if i < N - 2 or i == N else r for i, r in enumerate(told)]  # two of the first group are scored

    some.__name__ = "reward"
    found = prepared(tmp_path, of=some)
    advantages_PM = found._generate_and_score_completions(batch(found))["advantages"].view(P, M)
    assert (advantages_PM[0] == 0).sum() >= M - 2
    assert rewards_of(found).isnan().sum() == N - 1
    assert found._metrics["train"]["down_sampling/unscored"] == [(N - 1) / (P * N)]


def test_what_is_logged_is_of_all(tmp_path: Path) -> None:
    plain = trainer(tmp_path, N, log_completions=True, max_steps=1)
    plain.train()
    all_of_them = pd.read_parquet(tmp_path / "trained" / "completions" / "completions_00001.parquet")
    found = trainer(tmp_path, M, log_completions=True, max_steps=1)
    found.train()
    logged = pd.read_parquet(tmp_path / "trained" / "completions" / "completions_00001.parquet")
    assert len(logged) == P * N
    pd.testing.assert_frame_equal(logged.drop(columns="advantage"), all_of_them.drop(columns="advantage"))
    assert logged["advantage"].notna().sum() == P * M
    of_all, of_kept = plain.state.log_history[0], found.state.log_history[0]
    for name in ("reward", "reward_std", "frac_reward_zero_std", "rewards/reward/mean", "completions/mean_length"):
        assert of_kept[name] == of_all[name]
    assert of_kept["down_sampling/reward_std"] > of_kept["reward_std"]
    kept = logged[logged["advantage"].notna()]
    assert of_kept["down_sampling/reward"] == pytest.approx(kept["reward"].mean())


def test_evaluation_draws_all_and_keeps_all(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    found.model.eval()
    assert len(found._generate_and_score_completions(batch(found))["advantages"]) == P * N


def test_adapters(tmp_path: Path) -> None:
    from peft import LoraConfig

    found = trainer(tmp_path, M, peft=LoraConfig(r=2, target_modules="all-linear"), beta=0.1)
    found.train()
    assert "down_sampling/reward" in found.state.log_history[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keep": 9}, "choose 1 to num_generations=8"),
        ({"keep": 0}, "choose 1 to num_generations=8"),
        ({"keep": 1}, "nothing is learned"),
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "keep": 3}, "a multiple of 8"),
        (
            {"per_device_train_batch_size": 4, "steps_per_generation": 1, "generation_batch_size": None, "keep": 4},
            "a group of 8 would lie on two processes",
        ),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "choose 'sum_then_normalize'"),
    ],
)
def test_what_is_refused(tmp_path: Path, settings: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "generation_batch_size" in settings:  # as on two processes: TRL itself sees that groups are whole over all
        monkeypatch.setattr(GRPOConfig, "__post_init__", _on_two(GRPOConfig.__post_init__))
    with pytest.raises(ReachlabError, match=said):
        trainer(tmp_path, settings.pop("keep", M), **settings)


def _on_two(whole: Any) -> Any:
    def two(self: Any) -> None:
        self.num_generations, n = 4, self.num_generations
        whole(self)
        self.num_generations = n

    return two


def test_another_trl_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "version", "1.17.0")
    with pytest.raises(ReachlabError, match=r"TRL 1\.17\.0: down-sampling is for 1\.16"):
        trainer(tmp_path, M)


@pytest.mark.slow
def test_the_example(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "trl_pods.py"],
        cwd=tmp_path, env=HERE, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    spreads = re.findall(r"'(reward_std|down_sampling/reward_std)': '([\d.]+)'", ran.stdout)
    assert len(spreads) == 8
    for (_, of_all), (_, of_kept) in zip(spreads[::2], spreads[1::2], strict=True):
        assert float(of_kept) > float(of_all)


@pytest.mark.slow
@pytest.mark.parametrize("loss_type", ["grpo", "dapo"])
def test_two_processes_are_one(tmp_path: Path, loss_type: str) -> None:
    settings = {"loss_type": loss_type, "beta": 0.1, "num_iterations": 2}
    alone = trainer(tmp_path, M, Fixed, **settings)
    alone.train()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, str(Path(small.__file__)), str(tmp_path)]
    words.append(json.dumps({**settings, "per_device_train_batch_size": N}))
    base = {
        **HERE,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "true",
    }
    ran = [
        subprocess.Popen(words, env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    for one in ran:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said.decode()[-3000:]
    found, history = torch.load(tmp_path / "found.pt", weights_only=False)
    assert (found - weights(alone.model)).abs().max() <= 1e-5
    for name in ("reward", "down_sampling/reward", "down_sampling/reward_std"):
        assert history[0][name] == pytest.approx(alone.state.log_history[0][name])
