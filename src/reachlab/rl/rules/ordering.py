"""The rollouts of each prompt in the order of their rewards, lowest first, which rules choose positions in.

Unscored rollouts (NaN) are sorted to the end and chosen only where fewer than M are scored. Equal rewards come in
random order.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from reachlab.errors import ReachlabError

MAGNITUDE = 0x7FFFFFFF
"""All bits of an int32 but the sign."""


@dataclass(frozen=True, slots=True)
class Ordered:
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


def ordered(rewards_PN: Tensor, m: int, generator: torch.Generator | None) -> Ordered:
    """Sort whole numbers: a reward's float32 bits (`in_float32`), then the place of its column in a random order.

    The place makes the order of equal rewards random and leads back to the column. Flipping the magnitude
    bits of negative floats makes their bits sort as numbers do.
    """
    n = rewards_PN.shape[1]
    if not 1 <= m <= n:
        raise ReachlabError(f"down-sampling: cannot keep {m} of {n} rollouts; choose 1 to {n}")
    refuse_infinite(rewards_PN)
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
    return Ordered(rewards_PN, keys_PN, column_N, (scored_P1 - m).clamp(min=0))


def refuse_infinite(rewards_PN: Tensor) -> None:
    """Raises:
    ReachlabError: a reward is infinite.
    """
    if rewards_PN.isinf().any():
        raise ReachlabError("down-sampling: a reward is infinite; rewards must be finite, or NaN where unscored")


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
