"""Does it help to stay near the base? The weight of the KL divergence to it, from none up.

The paper (arXiv 2504.13837) found that a KL of weight 0.001 left pass@1 where it was and lowered pass@128. The KL goes
where the algorithm has it (`docs/rl.md`). `sweep.py` says what is trained and measured.
"""

from pathlib import Path

from reachlab.studies.config import KLConfig
from reachlab.studies.study import Tell
from reachlab.studies.sweep import Sweep, Variant, run_sweep
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig


def kl(config: KLConfig) -> Sweep:
    """A variant a weight."""

    def variant(weight: float) -> Variant:
        objective = ObjectiveConfig(algorithm=config.algorithm, kl=weight)
        return Variant(f"{weight:g}", {"objective": objective, "budget": BudgetConfig(rollouts=config.rollouts)})

    return Sweep(
        file="kl",
        column="KL weight",
        title=f"{config.algorithm} with more and less KL to its base, seed 0",
        folder="kl-",
        variants=tuple(map(variant, config.values)),
        ordered=True,
    )


def run_kl(config: KLConfig, tell: Tell = lambda _: None) -> Path:
    """Train and measure all of them; returns the report. Raises as `run_sweep`."""
    return run_sweep(kl(config), config, tell)
