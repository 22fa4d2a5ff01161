"""Down-sampling: of the N rollouts of each prompt, keep the M that teach most (PODS).

*max-variance* keeps the subset S of M rewards with the largest variance, Σ_S r²/M − (Σ_S r/M)². It is always
the a lowest and the M − a highest rewards for some a in 0..M, so one sort and the prefix sums of r and r²
give it: O(N log N), all prompts at once.

Every rule is a choice of M positions in the sorted rewards, lowest first. Unscored rollouts (NaN) are sorted
to the end and chosen only where fewer than M are scored. Equal rewards come in random order.

Source: *Not All Rollouts are Useful: Down-Sampling Rollouts in LLM Reinforcement Learning*
(arXiv 2504.13818).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from reachlab.errors import ReachlabError

Rule = Callable[[Tensor, int, torch.Generator | None], Tensor]
"""(rewards_PN, M, generator) → indices_PM of the rollouts to keep, int64, distinct in each row.

Rewards are finite; NaN is unscored. The generator lives on the rewards' device. Raises ReachlabError for infinite
rewards, M < 1 and M > N.
"""

MAGNITUDE = 0x7FFFFFFF
"""All bits of an int32 but the sign."""


def max_variance(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The M rollouts with the largest reward variance."""
    order = _sort(rewards_PN, m, generator)
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


def max_reward(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The M rollouts with the highest rewards."""
    order = _sort(rewards_PN, m, generator)
    return order.indices(torch.arange(m, device=rewards_PN.device) + order.to_highest_P1)


def random(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """Any M scored rollouts, independently for each prompt."""
    lots_PN = torch.rand(rewards_PN.shape, generator=generator, device=rewards_PN.device)
    return max_reward(lots_PN.masked_fill(rewards_PN.isnan(), torch.nan), m, generator)


def percentile(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """The rollouts at the quantiles (i + 1/2) / M of the rewards, i = 0..M−1."""
    order = _sort(rewards_PN, m, generator)
    twice_M = 2 * torch.arange(m, device=rewards_PN.device) + 1
    return order.indices(twice_M * (m + order.to_highest_P1) // (2 * m))


def none(rewards_PN: Tensor, m: int, generator: torch.Generator | None = None) -> Tensor:
    """All rollouts, in their own order; M must be N."""
    prompts, n = rewards_PN.shape
    if m != n:
        raise ReachlabError(f"down-sampling: the rule 'none' keeps all {n} rollouts, not {m}; choose another rule")
    return torch.arange(n, device=rewards_PN.device).repeat(prompts, 1)


RULES: dict[str, Rule] = {
    "max_variance": max_variance,
    "max_reward": max_reward,
    "random": random,
    "percentile": percentile,
    "none": none,
}


def saturated(rule: str, rewards_PN: Tensor, m: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Which prompts' kept rewards no further rollout with a reward in [low, high] could change: bool (P,).

    - *max_variance*: ⌈M/2⌉ rollouts at either end. Half at one end and half at the other is the largest variance that
      M numbers in [low, high] can have. An odd M may put its middle one at either end, and needs both at hand for the
      rule to choose as it would among more.
    - *max_reward*: M rollouts at `high`.
    - *random*, *none*: M scored rollouts, as more would only change which of them are kept.
    - *percentile*: never.

    Args:
        rule: a name of `RULES`.
        rewards_PN: rewards so far; NaN is unscored or not drawn yet.
        m: how many rollouts the rule keeps. low, high: the least and the largest reward that there can be.

    Raises:
        ReachlabError: an unknown rule; low ≥ high; a reward outside [low, high].
    """
    if rule not in RULES:
        raise ReachlabError(f"down-sampling: no rule {rule!r}; choose one of {', '.join(RULES)}")
    if not low < high:
        raise ReachlabError(f"down-sampling: rewards cannot lie in [{low}, {high}]; the first must be the lower")
    if ((rewards_PN < low) | (rewards_PN > high)).any():
        raise ReachlabError(f"down-sampling: a reward lies outside [{low}, {high}]; say what range rewards have")
    if rule == "max_variance":
        ends = torch.minimum((rewards_PN == low).sum(dim=1), (rewards_PN == high).sum(dim=1))
        return 2 * ends >= m
    if rule == "max_reward":
        return (rewards_PN == high).sum(dim=1) >= m
    if rule == "percentile":
        return torch.zeros(len(rewards_PN), dtype=torch.bool, device=rewards_PN.device)
    return (~rewards_PN.isnan()).sum(dim=1) >= m


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rewards in ascending order, unscored last; the M highest scored ones begin at ``to_highest_P1``."""

    rewards_PN: Tensor
    keys_PN: Tensor
    column_N: Tensor
    to_highest_P1: Tensor

    def rewards(self, positions_PM: Tensor) -> Tensor:
        """The rewards at these positions, in float64."""
        return self.rewards_PN.gather(1, self.indices(positions_PM)).double()

    def indices(self, positions_PM: Tensor) -> Tensor:
        """Which rollouts are at these positions."""
        return self.column_N[self.keys_PN.gather(1, positions_PM) & MAGNITUDE]


def _sort(rewards_PN: Tensor, m: int, generator: torch.Generator | None) -> _Sorted:
    """Sort whole numbers: a reward's float32 bits (`in_float32`), then the place of its column in a random order.

    The place makes the order of equal rewards random and leads back to the column. Flipping the magnitude
    bits of negative floats makes their bits sort as numbers do.
    """
    n = rewards_PN.shape[1]
    if not 1 <= m <= n:
        raise ReachlabError(f"down-sampling: cannot keep {m} of {n} rollouts; choose 1 to {n}")
    if rewards_PN.isinf().any():
        raise ReachlabError("down-sampling: a reward is infinite; rewards must be finite, or NaN where unscored")
    rewards_PN = rewards_PN.detach()
    scored_P1 = n - rewards_PN.isnan().sum(dim=1, keepdim=True)
    column_N = torch.randperm(n, generator=generator, device=rewards_PN.device)
    bits_PN = in_float32(rewards_PN).nan_to_num(nan=torch.inf).add_(0.0).view(torch.int32)  # + 0.0 turns −0.0 into 0.0
    bits_PN ^= bits_PN >> 31 & MAGNITUDE
    keys_PN = bits_PN.long().bitwise_left_shift_(32).bitwise_or_(column_N.argsort())
    if keys_PN.is_cpu:
        keys_PN.numpy().sort(axis=1)  # in place, and several times as fast as torch's sort on CPUs
    else:
        keys_PN = keys_PN.sort(dim=1).values
    return _Sorted(rewards_PN, keys_PN, column_N, (scored_P1 - m).clamp(min=0))


def in_float32(rewards_PN: Tensor) -> Tensor:
    """Numbers in float32 that are ordered as the rewards are: these themselves, or their ranks where float32 would not
    tell some apart (2²⁴ + 1 from 2²⁴)."""
    narrow_PN = rewards_PN.float()
    if not (narrow_PN.to(rewards_PN.dtype) != rewards_PN)[~rewards_PN.isnan()].any():
        return narrow_PN
    sorted_PN, order_PN = rewards_PN.sort(dim=1)
    above_PN = pad(sorted_PN[:, 1:] > sorted_PN[:, :-1], (1, 0))
    ranks_PN = torch.empty_like(narrow_PN).scatter_(1, order_PN, above_PN.cumsum(dim=1).float())
    return ranks_PN.masked_fill(rewards_PN.isnan(), torch.nan)


def _sums_of_splits(low_PM: Tensor, high_PM: Tensor) -> Tensor:
    """Sum of the first a of `low` and the last M − a of `high`, for every a in 0..M: (P, M + 1).

    A step from a to a + 1 puts one of `low` in the place of one of `high`.
    """
    return pad((low_PM - high_PM).cumsum_(dim=1), (1, 0)).add_(high_PM.sum(dim=1, keepdim=True))
