"""Options of TRL's trainer with down-sampling: as TRL's own trainer to which only the kept rollouts were ever shown."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.integrations.trl.small import LONGEST, Fixed, N, reward, trainer, weights
from trl import GRPOTrainer

from reachlab.integrations.trl import DownSampling

P, M = 2, 4
Answers = tuple[list[list[int]], None]


class Cut(Fixed):
    """The longest answers of some prompts do not end."""

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> Answers:
        answers, _none = Fixed._generate_single_turn(self, prompt_ids)
        return [answer[: LONGEST - 2] for answer in answers], None


class Shown(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer with M rollouts a prompt, which are those that the rule keeps of `Cut`'s N."""

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> Answers:
        prompts = [ids for ids in prompt_ids[::M] for _ in range(N)]
        answers, _none = Cut._generate_single_turn(self, prompts)
        rewards_R = torch.tensor(reward(self._tokenizer.batch_decode(answers, skip_special_tokens=True)))
        kept_PM = DownSampling(keep=M).choose(rewards_R.view(-1, N).double(), self.state.global_step).sort(dim=1).values
        return [answers[p * N + i] for p, kept_M in enumerate(kept_PM.tolist()) for i in kept_M], None


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "cispo", "epsilon_high": 5.0},
        {"loss_type": "sapo"},
        {"loss_type": "luspo", "importance_sampling_level": "sequence"},
        {"loss_type": "vespo"},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "delta": 1.5},
        {"scale_rewards": "batch", "beta": 0.1},
        {"top_entropy_quantile": 0.5},
        {"mask_truncated_completions": True},
        {"entropy_coef": 0.1},
        {"beta": 0.1, "sync_ref_model": True, "ref_model_sync_steps": 1},
        {"off_policy_mask_threshold": 1e-4},
        {"steps_per_generation": 4},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_it_is_trl_shown_the_kept_alone(tmp_path: Path, settings: dict[str, Any]) -> None:
    usual = {"gradient_accumulation_steps": 2, "num_iterations": 2, "learning_rate": 0.05, "max_steps": 3, **settings}
    found = trainer(tmp_path, M, Cut, **usual)
    start = weights(found.model)
    found.train()
    shown = trainer(
        tmp_path, None, Shown, **{**usual, "num_generations": M, "per_device_train_batch_size": P * M}
    )  # fmt: skip
    shown.train()
    assert torch.equal(weights(found.model), weights(shown.model))
    assert not torch.equal(weights(found.model), start)
