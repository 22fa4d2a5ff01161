"""What runs in verl's own environment (`test_verl.py` starts it): verl's trainer, advantages, losses and metrics."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transfer_queue as tq
import verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl.workers.config import FSDPActorConfig

from reachlab.errors import ReachlabError
from reachlab.integrations.down_sampling import DownSampling
from reachlab.integrations.verl.trainer import DownSamplingTrainer
from reachlab.integrations.verl.validation import pass_at_k_metrics
from reachlab.rl.advantages import centred, standardised
from reachlab.rl.algorithm import Scored
from reachlab.rl.algorithms.rloo import leave_one_out
from reachlab.rl.losses import LossForm, policy_loss
from reachlab.rl.rules import RULES

P, N, M, T = 3, 8, 4, 5


class Queue:
    """TransferQueue's three calls, in this process."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def kv_batch_get(self, keys: list[str], partition_id: str, select_fields: list[str] | None = None) -> Any:
        rows = [self.rows[key] for key in keys]
        names = [name for name in select_fields or rows[0] if name in rows[0]]
        return list_of_dict_to_tensordict([{name: row[name] for name in names} for row in rows])

    def kv_batch_put(self, keys: list[str], partition_id: str, fields: Any, tags: Any = None) -> KVBatchMeta:
        for at, key in enumerate(keys):
            self.rows.setdefault(key, {}).update({name: fields[name][at] for name in sorted(fields.keys())})
        return KVBatchMeta(keys=keys, tags=tags or [{"seq_len": 1} for _ in keys], partition_id=partition_id)

    def kv_clear(self, keys: list[str], partition_id: str) -> None:
        for key in keys:
            del self.rows[key]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    found = Queue()
    for name in ("kv_batch_get", "kv_batch_put", "kv_clear"):
        monkeypatch.setattr(tq, name, getattr(found, name))
    return found


def filled(queue: Queue, rewards_PN: Tensor) -> KVBatchMeta:
    keys, tags = [], []
    for p, row in enumerate(rewards_PN.tolist()):
        for i, reward in enumerate(row):
            length = 2 + (p + i) % (T - 1)
            scores = torch.zeros(length)
            scores[-1] = reward
            keys.append(f"u{p}_{i}_0")
            tags.append({"seq_len": length})
            queue.rows[keys[-1]] = {
                "uid": f"u{p}",
                "rm_scores": scores,
                "response_mask": torch.ones(length, dtype=torch.int64),
            }
    return KVBatchMeta(keys=keys, tags=tags, partition_id="train")


def trainer_of(estimator: str, by_std: bool, rule: str = "max_variance") -> DownSamplingTrainer:
    """As far as one step needs it, without Ray; the configuration is as strict as hydra's."""
    trainer = DownSamplingTrainer.__new__(DownSamplingTrainer)
    actor = {"ppo_mini_batch_size": P, "ppo_epochs": 1, "data_loader_seed": 0, "shuffle": False, "entropy_coeff": 0.0}
    trainer.config = OmegaConf.create(
        {
            "actor_rollout_ref": {
                "rollout": {"n": N, "temperature": 1.0},
                "actor": {**actor, "calculate_entropy": False},
            },
            "algorithm": {
                "adv_estimator": estimator,
                "gamma": 1.0,
                "lam": 1.0,
                "norm_adv_by_std_in_grpo": by_std,
                "use_kl_in_reward": False,
            },
            "trainer": {"critic_warmup": 0},
        }
    )
    OmegaConf.set_struct(trainer.config, True)
    trainer.chosen = DownSampling(keep=M, rule=rule)
    trainer.global_steps, trainer.use_critic = 1, False
    trainer.tokenizer = SimpleNamespace(eos_token_id=0)
    trainer.actor_rollout_wg = SimpleNamespace(
        _dispatch_info={"actor": [0]}, update_actor=lambda batch: {"metrics": {"mfu": [0.0]}}
    )
    return trainer


def test_it_is_registered() -> None:
    assert get_trainer_cls("down_sampling") is DownSamplingTrainer


def test_options_as_hydra_reads_them() -> None:
    """verl's own configuration with the words of docs/verl.md; the trainer is built as far as its constructor goes."""
    folder = str(Path(verl.__file__).parent / "trainer" / "config")
    words = ["trainer.v1.trainer_mode=down_sampling", "+trainer.v1.down_sampling.keep=4"]
    words += ["algorithm.adv_estimator=grpo", "actor_rollout_ref.rollout.n=16"]
    reward = "reward.custom_reward_function"
    words += [f"{reward}.path=pkg://reachlab.integrations.verl.reward", f"{reward}.name=compute_score"]
    with initialize_config_dir(folder, version_base=None):
        config = compose("ppo_trainer", words)
    trainer = get_trainer_cls(config.trainer.v1.trainer_mode)(config)
    assert trainer.chosen == DownSampling(keep=4)
    assert type(trainer.replay_buffer) is ReplayBuffer  # the synchronous one
    score = get_custom_reward_fn(config)(data_source="gsm8k", solution_str="It is 72.", ground_truth="72")
    assert score == {"score": 1.0, "acc": 1.0}
    config.trainer.v1.down_sampling.keep = 17
    with pytest.raises(ReachlabError, match="choose 1 to"):
        DownSamplingTrainer(config)


ESTIMATORS: list[tuple[str, bool, Callable[[Scored], Tensor], float]] = [
    ("grpo", False, centred, 1.0),
    ("rloo", True, leave_one_out, 1.0),
    ("grpo", True, standardised, ((M - 1) / M) ** 0.5),  # verl's deviation divides by M − 1
]


@pytest.mark.parametrize(("estimator", "by_std", "ours", "factor"), ESTIMATORS)
@pytest.mark.parametrize("rule", ["max_variance", "percentile"])
def test_a_step(
    estimator: str, by_std: bool, ours: Callable[[Scored], Tensor], factor: float, rule: str, queue: Queue
) -> None:
    rewards_PN = torch.rand(P, N, generator=torch.Generator().manual_seed(0))
    batch = filled(queue, rewards_PN)
    trainer = trainer_of(estimator, by_std, rule)
    metrics: dict[str, Any] = {}
    batch = trainer._balance_batch(batch, metrics)
    kept_PM = RULES[rule].keep(rewards_PN, M, None)
    assert sorted(batch.keys) == sorted(f"u{p}_{i}_0" for p in range(P) for i in kept_PM[p].tolist())
    assert set(queue.rows) == set(batch.keys)  # the others are cleared, and nothing is padded
    trainer._compute_advantage(batch, metrics)
    mask_PMT = torch.ones(P, M, 1, dtype=torch.bool)
    wanted_PM = factor * ours(Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_PMT))
    for p in range(P):
        for place, i in enumerate(kept_PM[p].tolist()):
            found = queue.rows[f"u{p}_{i}_0"]["advantages"]
            tolerance = 1e-6 if factor == 1.0 else 1e-5  # both add 1e-6 to deviations that are not the same
            assert found.tolist() == pytest.approx([wanted_PM[p, place].item()] * len(found), abs=tolerance)
    trainer._update_actor(batch, metrics)
    assert batch.extra_info["global_batch_size"] == P * M == len(batch)
    assert trainer.config.actor_rollout_ref.rollout.n == N
    assert metrics["down_sampling/reward_all/mean"] == pytest.approx(rewards_PN.mean().item(), abs=1e-6)


def test_unscored_rows_become_rows_that_teach_nothing(queue: Queue) -> None:
    rewards_PN = torch.rand(P, N)
    rewards_PN[0, 2:] = torch.nan
    batch = filled(queue, rewards_PN)
    for row in queue.rows.values():
        row["position_ids"] = torch.arange(2)
    batch = trainer_of("grpo", True)._balance_batch(batch, {})
    assert len(batch) == P * M
    assert sum(tag.get("is_padding", False) for tag in batch.tags) == 2
    padded = [queue.rows[key] for key, tag in zip(batch.keys, batch.tags, strict=True) if tag.get("is_padding")]
    assert all(not row["response_mask"].any() for row in padded)


@pytest.mark.parametrize(
    ("mode", "aggregate"),
    [
        ("token-mean", "token"),
        ("seq-mean-token-mean", "sequence"),
        ("seq-mean-token-sum", "sum"),
        ("seq-mean-token-sum-norm", "constant"),
    ],
)
def test_the_gradient_is_ours(mode: str, aggregate: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    old_BT = -torch.rand(P * M, T, generator=generator)
    new_BT = old_BT + 0.3 * torch.randn(P * M, T, generator=generator)
    advantages_B = torch.randn(P * M, generator=generator)
    mask_BT = torch.arange(T) < torch.randint(1, T + 1, (P * M, 1), generator=generator)
    config = FSDPActorConfig(strategy="fsdp", rollout_n=N, ppo_micro_batch_size_per_gpu=1, clip_ratio=0.2)
    theirs_BT, ours_BT = new_BT.clone().requires_grad_(), new_BT.clone().requires_grad_()
    loss, _ = get_policy_loss_fn("vanilla")(
        old_log_prob=old_BT,
        log_prob=theirs_BT,
        advantages=advantages_B[:, None] * mask_BT,
        response_mask=mask_BT,
        loss_agg_mode=mode,
        config=config,
    )
    (theirs,) = torch.autograd.grad(loss, theirs_BT)
    form = LossForm(aggregate=aggregate, max_tokens=T)
    ours, _ = policy_loss(ours_BT, old_BT, advantages_B, mask_BT, form)
    (mine,) = torch.autograd.grad(ours, ours_BT)
    assert loss.item() == pytest.approx(ours.item(), abs=1e-6)
    assert (theirs - mine).abs().max() < 1e-6
    assert theirs.abs().max() > 1e-3


def test_best_at_n_is_biased_and_pass_at_k_is_not() -> None:
    sources, uids, infos = ["math"] * 4, ["a"] * 4, {"reward": [1.0, 0.0, 0.0, 0.0]}
    theirs = process_validation_metrics(sources, uids, infos)["math"]["reward"]["best@4/mean"]
    assert theirs == pytest.approx(1 - 0.75**4, abs=0.03)  # 0.684, of 1000 draws
    assert pass_at_k_metrics(sources, uids, infos)["val-core/math/reward/pass@4/mean"] == 1.0
    trainer = DownSamplingTrainer.__new__(DownSamplingTrainer)
    logged = trainer._val_metrics_update(sources, uids, infos, np.ones(4))
    assert logged["val-core/math/reward/pass@4/mean"] == 1.0
    assert logged["val-core/math/reward/best@4/mean"] == theirs
