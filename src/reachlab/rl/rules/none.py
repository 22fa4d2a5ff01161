"""*none*: all rollouts are kept; no down-sampling."""

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules.rule import Rule, enough_scored


def none(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """All rollouts, in their own order; M must be N."""
    prompts, n = rewards_PN.shape
    if m != n:
        raise ReachlabError(f"down-sampling: the rule 'none' keeps all {n} rollouts, not {m}; choose another rule")
    return torch.arange(n, device=rewards_PN.device).repeat(prompts, 1)


NONE = Rule(name="none", keep=none, saturated=enough_scored, keeps_all=True)
