"""TRL's GRPO that learns from 8 of 32 rollouts (PODS), on sums of a tiny model that it makes first.

python examples/trl_pods.py                                     # needs reachlab[train,trl]; about 20 seconds"""

from datasets import Dataset
from trl import GRPOConfig

import reachlab as rl
from reachlab.integrations.trl import DownSampling, DownSamplingGRPOTrainer


def reward(completions: list[str], answer: list[str], **_: object) -> list[float | None]:  # noqa: D103
    return [None if v.status == "unscored" else v.score for v in rl.verify("chain,length=1", completions, answer)]


sums = [{"prompt": p.prompt, "answer": p.answer} for p in rl.load_task("chain,length=1").problems("train", 100)]
base = rl.pretrain("chain,length=1", hidden=64, layers=2, steps=200, out="runs/trl-base").model
how = {"max_completion_length": 12, "learning_rate": 1e-3, "max_steps": 20, "logging_steps": 5, "bf16": False}
args = GRPOConfig("runs/trl-pods", num_generations=32, per_device_train_batch_size=128, report_to=[], **how)
DownSamplingGRPOTrainer(str(base), reward, args, Dataset.from_list(sums), down_sampling=DownSampling(keep=8)).train()
