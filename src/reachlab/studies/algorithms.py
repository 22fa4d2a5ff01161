"""Table 2 of arXiv 2504.13837 in small: several RL algorithms from one base, at k = 1 and at large k.

The paper found the sampling-efficiency gap large for every algorithm, and the algorithms nearly alike. `sweep.py` says
what is trained and measured.
"""

from pathlib import Path

from reachlab.rl.algorithms import ALGORITHMS
from reachlab.studies.config import AlgorithmsConfig
from reachlab.studies.study import Tell
from reachlab.studies.sweep import Sweep, Variant, run_sweep
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig


def algorithms(config: AlgorithmsConfig) -> Sweep:
    """A variant an algorithm."""
    budget = BudgetConfig(rollouts=config.rollouts)
    return Sweep(
        file="algorithms",
        column="algorithm",
        title="Every algorithm from one base, seed 0",
        folder="",
        variants=tuple(
            Variant(name, {"objective": ObjectiveConfig(algorithm=name), "budget": budget}) for name in ALGORITHMS
        ),
        ordered=False,
    )


def run_algorithms(config: AlgorithmsConfig, tell: Tell = lambda _: None) -> Path:
    """Train and measure all of them; returns the report. Raises as `run_sweep`."""
    return run_sweep(algorithms(config), config, tell)
