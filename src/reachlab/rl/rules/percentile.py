"""*percentile*: the rollouts at the quantiles (i + 1/2) / M of the rewards. Never saturated: any reward moves them.

Source: a rule that PODS (arXiv 2504.13818) compares with.
"""

import torch
from torch import Tensor

from reachlab.rl.rules.ordering import ordered
from reachlab.rl.rules.rule import Rule


def percentile(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The rollouts at the quantiles (i + 1/2) / M of the rewards, i = 0..M−1."""
    order = ordered(rewards_PN, m, generator)
    twice_M = 2 * torch.arange(m, device=rewards_PN.device) + 1
    return order.indices(twice_M * (m + order.to_highest_P1) // (2 * m))


PERCENTILE = Rule(name="percentile", keep=percentile)
