"""*max-reward*: the M rollouts with the highest rewards. Saturated once M are at the highest that there can be.

Source: a rule that PODS (arXiv 2504.13818) compares with.
"""

import torch
from torch import Tensor

from reachlab.rl.rules.ordering import ordered
from reachlab.rl.rules.rule import Rule


def max_reward(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The M rollouts with the highest rewards."""
    order = ordered(rewards_PN, m, generator)
    return order.indices(torch.arange(m, device=rewards_PN.device) + order.to_highest_P1)


def all_highest(rewards_PN: Tensor, m: int, low: float, high: float) -> Tensor:
    """M rollouts at `high`: bool (P,)."""
    return (rewards_PN == high).sum(dim=1) >= m


MAX_REWARD = Rule(name="max_reward", keep=max_reward, saturated=all_highest)
