"""Does it help to try more? The number of rollouts a problem, from one base.

The paper (arXiv 2504.13837) went from 8 to 32 rollouts and saw pass@k rise a little, without reaching the base at large
k. Here every value takes as many steps over as many prompts: 32 rollouts are four times the work of 8. `sweep.py` says
what is trained and measured.
"""

from pathlib import Path

from reachlab.studies.config import RolloutsConfig
from reachlab.studies.study import Tell
from reachlab.studies.sweep import Sweep, Variant, run_sweep
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig


def rollouts(config: RolloutsConfig) -> Sweep:
    """A variant a number of rollouts."""
    objective = ObjectiveConfig(algorithm=config.algorithm)
    return Sweep(
        file="rollouts",
        column="rollouts",
        title=f"{config.algorithm} with more and fewer rollouts, from one base, seed 0",
        folder="rollouts-",
        variants=tuple(
            Variant(str(n), {"objective": objective, "budget": BudgetConfig(rollouts=n)}) for n in config.values
        ),
        ordered=True,
    )


def run_rollouts(config: RolloutsConfig, tell: Tell = lambda _: None) -> Path:
    """Train and measure all of them; returns the report. Raises as `run_sweep`."""
    return run_sweep(rollouts(config), config, tell)
