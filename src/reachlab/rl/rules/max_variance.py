"""*max-variance* (PODS): the M rollouts whose rewards have the largest variance, Σ_S r²/M − (Σ_S r/M)².

It is always the a lowest and the M − a highest rewards for some a in 0..M, so one sort and the prefix sums of r and r²
give it: O(N log N), all prompts at once.

Saturated: ⌈M/2⌉ rollouts at either end. Half at one end and half at the other is the largest variance that M numbers in
[low, high] can have. An odd M may put its middle one at either end, and needs both at hand for the rule to choose as it
would among more.

Source: *Not All Rollouts are Useful: Down-Sampling Rollouts in LLM Reinforcement Learning* (arXiv 2504.13818).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from reachlab.rl.rules.ordering import ordered
from reachlab.rl.rules.rule import Rule


def max_variance(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The M rollouts with the largest reward variance.

    Example:
        One right answer of eight, and two to keep: it, and a wrong one.

        >>> rewards_PN = torch.tensor([[0.0, 0, 0, 0, 0, 0, 1, 0]])
        >>> rewards_PN.gather(1, max_variance(rewards_PN, 2)).tolist()
        [[0.0, 1.0]]
    """
    order = ordered(rewards_PN, m, generator)
    place_M = torch.arange(m, device=rewards_PN.device)
    low_PM = order.rewards(place_M.expand(len(rewards_PN), m))
    high_PM = order.rewards(place_M + order.to_highest_P1)
    origin_P1 = low_PM[:, :1].clone()  # variance does not depend on it; sums of squares lose fewer digits
    low_PM -= origin_P1
    high_PM -= origin_P1
    sum_PA = _sums_of_splits(low_PM, high_PM)
    squares_PA = _sums_of_splits(low_PM.square_(), high_PM.square_())
    lowest_P1 = sum_PA.square_().div_(-m).add_(squares_PA).argmax(dim=1, keepdim=True)
    return order.indices(torch.where(place_M < lowest_P1, place_M, place_M + order.to_highest_P1))


def half_at_either_end(rewards_PN: Tensor, m: int, low: float, high: float) -> Tensor:
    """⌈M/2⌉ rollouts at the lowest reward that there can be, and as many at the highest: bool (P,)."""
    ends_P = torch.minimum((rewards_PN == low).sum(dim=1), (rewards_PN == high).sum(dim=1))
    return 2 * ends_P >= m


def _sums_of_splits(low_PM: Tensor, high_PM: Tensor) -> Tensor:
    """Sum of the first a of `low` and the last M − a of `high`, for every a in 0..M: (P, M + 1).

    A step from a to a + 1 puts one of `low` in the place of one of `high`.
    """
    return pad((low_PM - high_PM).cumsum_(dim=1), (1, 0)).add_(high_PM.sum(dim=1, keepdim=True))


MAX_VARIANCE = Rule(name="max_variance", keep=max_variance, saturated=half_at_either_end)
