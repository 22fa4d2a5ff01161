"""*random*: any M scored rollouts, whatever their rewards; the control of every rule that looks at them.

Saturated once M are scored: more would only change which of them are kept. Source: PODS (arXiv 2504.13818).
"""

import torch
from torch import Tensor

from reachlab.rl.rules.max_reward import max_reward
from reachlab.rl.rules.ordering import refuse_infinite
from reachlab.rl.rules.rule import Rule, enough_scored, share_of_scored


def random(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """Any M scored rollouts, independently for each prompt."""
    refuse_infinite(rewards_PN)
    lots_PN = torch.rand(rewards_PN.shape, generator=generator, device=rewards_PN.device)
    return max_reward(lots_PN.masked_fill(rewards_PN.isnan(), torch.nan), m, generator)


RANDOM = Rule(name="random", keep=random, saturated=enough_scored, share_kept=share_of_scored)
