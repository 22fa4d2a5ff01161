"""Rollout down-sampling (PODS, arXiv 2504.13818) in TRL's `GRPOTrainer`.

    from reachlab.integrations.trl import DownSampling, DownSamplingGRPOTrainer

    DownSamplingGRPOTrainer(model=..., reward_funcs=..., args=GRPOConfig(num_generations=64, ...), train_dataset=...,
                            down_sampling=DownSampling(keep=16))

docs/trl.md says what goes with it and what is refused. Supported: TRL 1.16, whose methods are overridden by name.
"""

from reachlab.extras import need

need("trl", what="reachlab.integrations.trl")

from reachlab.integrations.down_sampling import DownSampling  # noqa: E402
from reachlab.integrations.trl.trainer import DownSamplingGRPOTrainer  # noqa: E402

__all__ = ["DownSampling", "DownSamplingGRPOTrainer"]
