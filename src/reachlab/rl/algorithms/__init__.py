"""Seven algorithms by name, each a row of choices."""

from reachlab.rl.algorithm import Algorithm
from reachlab.rl.algorithms.dapo import DAPO
from reachlab.rl.algorithms.dr_grpo import DR_GRPO
from reachlab.rl.algorithms.grpo import GRPO
from reachlab.rl.algorithms.ppo import PPO
from reachlab.rl.algorithms.reinforce_pp import REINFORCE_PP
from reachlab.rl.algorithms.remax import REMAX
from reachlab.rl.algorithms.rloo import RLOO

ALGORITHMS: dict[str, Algorithm] = {a.name: a for a in (PPO, GRPO, DR_GRPO, RLOO, REMAX, REINFORCE_PP, DAPO)}
