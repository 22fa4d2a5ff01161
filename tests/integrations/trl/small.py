"""A small GRPO training of TRL's, with answers that depend on nothing but the prompt; also a script for a launcher:

python tests/integrations/trl/small.py FOLDER SETTINGS-AS-JSON
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tests.tiny import loud, tiny_model, tiny_tokenizer
from torch import nn
from trl import GRPOConfig, GRPOTrainer

from reachlab.integrations.trl import DownSampling, DownSamplingGRPOTrainer

N = 8
LONGEST = 6


def reward(completions: list[str], **_: Any) -> list[float]:
    """A number from 0 to 6."""
    return [float(sum(map(ord, completion)) % 7) for completion in completions]


class Fixed(DownSamplingGRPOTrainer):
    """Its answers are a function of the prompt and the place in its group, on however many processes."""

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        answers = []
        for row, ids in enumerate(prompt_ids):
            digest = hashlib.sha256(bytes([*ids, row % N])).digest()
            letters = [3 + byte % 12 for byte in digest[: 1 + digest[-1] % (LONGEST - 1)]]
            answers.append([*letters, self._tokenizer.eos_token_id])
        return answers, None


def trainer(
    folder: Path, keep: int | None, kind: type[GRPOTrainer] = Fixed, of: Any = reward, peft: Any = None, **settings: Any
) -> Any:
    """A trainer over ten prompts of one length. `keep` None: TRL's own."""
    usual: dict[str, Any] = {
        "per_device_train_batch_size": 2 * N, "num_generations": N, "max_completion_length": LONGEST, "max_steps": 2,
        "use_cpu": True, "report_to": [], "save_strategy": "no", "disable_tqdm": True, "learning_rate": 1e-3,
        "bf16": False, "gradient_checkpointing": False, "logging_steps": 1, "max_grad_norm": 1e9, "optim": "sgd",
    }  # fmt: skip
    model = folder / "model"
    if not model.exists():
        loud(tiny_model()).save_pretrained(model)
    torch.manual_seed(0)
    return kind(
        model=str(model),
        reward_funcs=of,
        args=GRPOConfig(str(folder / "trained"), **{**usual, **settings}),
        train_dataset=Dataset.from_list([{"prompt": f"{10 + i}+{20 + i}="} for i in range(10)]),
        processing_class=tiny_tokenizer(),
        peft_config=peft,
        **({} if keep is None else {"down_sampling": DownSampling(keep=keep)}),
    )


def weights(model: nn.Module) -> torch.Tensor:
    """All of them, one after another."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, chosen = Path(sys.argv[1]), json.loads(sys.argv[2])
    trained = trainer(place, keep=4, **chosen)
    trained.train()
    if os.environ.get("RANK", "0") == "0":
        torch.save((weights(trained.model), trained.state.log_history), place / "found.pt")
