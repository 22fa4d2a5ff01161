"""Algorithms by name, each a row of choices: a file each, a line here. No torch: the command line reads this."""

from typing import TYPE_CHECKING, Literal

from reachlab.choices import Choices

if TYPE_CHECKING:
    from reachlab.rl.algorithm import Algorithm

ALGORITHMS: "Choices[Algorithm]" = Choices(
    "there is no algorithm",
    {
        "grpo": "reachlab.rl.algorithms.grpo:GRPO",
        "dr_grpo": "reachlab.rl.algorithms.dr_grpo:DR_GRPO",
        "rloo": "reachlab.rl.algorithms.rloo:RLOO",
        "remax": "reachlab.rl.algorithms.remax:REMAX",
        "reinforce_pp": "reachlab.rl.algorithms.reinforce_pp:REINFORCE_PP",
        "dapo": "reachlab.rl.algorithms.dapo:DAPO",
        "ppo": "reachlab.rl.algorithms.ppo:PPO",
    },
)

if TYPE_CHECKING:
    AlgorithmName = str
else:
    AlgorithmName = Literal[tuple(ALGORITHMS)]
