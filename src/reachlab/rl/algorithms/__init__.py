"""Algorithms by name, each a row of choices: a file each, a line here. No torch: the command line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

if TYPE_CHECKING:
    from reachlab.rl.algorithm import Algorithm

ALGORITHMS: "Choices[Algorithm]" = Choices(
    "algorithm",
    {
        "grpo": "reachlab.rl.algorithms.grpo:GRPO",
        "dr_grpo": "reachlab.rl.algorithms.dr_grpo:DR_GRPO",
        "rloo": "reachlab.rl.algorithms.rloo:RLOO",
        "remax": "reachlab.rl.algorithms.remax:REMAX",
        "reinforce_pp": "reachlab.rl.algorithms.reinforce_pp:REINFORCE_PP",
        "dapo": "reachlab.rl.algorithms.dapo:DAPO",
        "ppo": "reachlab.rl.algorithms.ppo:PPO",
    },
    adopt="reachlab.rl.algorithm:adopted",
)

if TYPE_CHECKING:
    AlgorithmName = str
else:
    AlgorithmName = one_of(ALGORITHMS)
