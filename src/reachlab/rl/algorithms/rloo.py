"""RLOO: REINFORCE whose baseline is the mean reward of the prompt's other rollouts.

    A_i = R_i − 1/(n − 1) Σ_{j≠i} R_j,   R = r − β Σ_t k1_t,   loss = −mean over answers of Σ_t ρ A

The answer is one action, so its KL is one number, and tokens are summed. A baseline that leaves the rollout out does
not depend on it: the gradient is unbiased.

Source: *Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs* (arXiv
2402.14740). Departure: the ratio ρ, which is 1 in the first update on a batch, stands for log π, so that later
updates are weighted right.
"""

import torch
from torch import Tensor

from reachlab.rl.advantages import agree, group_rewards
from reachlab.rl.algorithm import Algorithm, Scored


def leave_one_out(scored: Scored) -> Tensor:
    """Advantages (P, M); exactly 0 for unscored rollouts, groups that agree, and one without others."""
    rewards_PM, over = group_rewards(scored)
    others_P1 = (~over.isnan()).sum(dim=1, keepdim=True) - 1
    baselines_PM = (over.nansum(dim=1, keepdim=True) - rewards_PM) / others_P1.clamp(min=1)
    nothing_PM = agree(over)[:, None] | rewards_PM.isnan()
    return torch.where(nothing_PM, 0.0, rewards_PM - baselines_PM)


RLOO = Algorithm(
    name="rloo",
    advantage=leave_one_out,
    aggregate="sum",
    clip_low=None,
    clip_high=None,
    kl_place="reward",
    compares_rollouts=True,
    kl_estimator="k1",
)
