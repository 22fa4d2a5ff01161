"""What a down-sampling rule is: of the N rollouts of a prompt, which M are kept, and what others must know of that.

Besides the choice itself, two things. *Waves* (`budgets/waves.py`) stop drawing for a prompt whose kept rewards no
further rollout could change: `saturated` says which those are. Importance weights (`weighting.py`) undo the choice's
bias: they need the probability with which each rollout was kept, given all rewards, which is `share_kept`.

Source: *Not All Rollouts are Useful: Down-Sampling Rollouts in LLM Reinforcement Learning* (arXiv 2504.13818).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules.ordering import in_float32

Keep = Callable[[Tensor, int, torch.Generator | None], Tensor]
"""(rewards_PN, M, generator) → indices_PM of the rollouts to keep, int64, distinct in each row.

Rewards are finite; NaN is unscored, and kept only where fewer than M are scored. Prompts do not touch each other. The
generator lives on the rewards' device. Raises ReachlabError for infinite rewards, M < 1 and M > N.
"""

Saturated = Callable[[Tensor, int, float, float], Tensor]
"""(rewards_PN, M, low, high) → bool (P,): no further rollout with a reward in [low, high] could change the rewards that
are kept. NaN is unscored, or not drawn yet."""


def never(rewards_PN: Tensor, m: int, low: float, high: float) -> Tensor:
    """A further rollout may always change what is kept: right for every rule, at the price of drawing all n."""
    return torch.zeros(len(rewards_PN), dtype=torch.bool, device=rewards_PN.device)


def enough_scored(rewards_PN: Tensor, m: int, low: float, high: float) -> Tensor:
    """M are scored: for rules to which any M scored rollouts are as good as others."""
    return (~rewards_PN.isnan()).sum(dim=1) >= m


def share_of_equals(rewards_PN: Tensor, kept_PA: Tensor) -> Tensor:
    """How many rollouts of a reward are kept, over how many there are: (P, N) float64, NaN where unscored.

    It is the probability of being kept under any rule whose choice depends on the rewards alone and is uniform among
    equal ones.
    """
    return _share(in_float32(rewards_PN), kept_PA)


def share_of_scored(rewards_PN: Tensor, kept_PA: Tensor) -> Tensor:
    """How many scored rollouts are kept, over how many there are: for rules that are blind to rewards."""
    return _share(in_float32(rewards_PN) * 0, kept_PA)


def _share(classes_PN: Tensor, kept_PA: Tensor) -> Tensor:
    alike_PN = (classes_PN[:, :, None] == classes_PN[:, None, :]).sum(dim=2)
    kept_PN = (classes_PN[:, :, None] == classes_PN.gather(1, kept_PA)[:, None, :]).sum(dim=2)
    return kept_PN.double() / alike_PN


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A way to choose M of N rollouts. `checks.check_rule` holds one to what is promised here."""

    name: str
    keep: Keep
    saturated: Saturated = never
    """When no further rollout could change what is kept."""
    share_kept: Callable[[Tensor, Tensor], Tensor] = share_of_equals
    """(rewards_PN, kept_PA) → q (P, N): the probability that each rollout was to be kept, given the rewards."""
    keeps_all: bool = False
    """Whether it is no selection: M must be N."""


def adopted(name: str, found: Any) -> Rule:
    """A rule as others give it, under the name that they give it: a `Rule`, or the function that keeps.

    Raises:
        ReachlabError: it is neither.
    """
    if isinstance(found, Rule):
        return replace(found, name=name)
    if not callable(found) or isinstance(found, type):
        raise ReachlabError(f"rule {name!r} is neither a Rule nor a function (rewards_PN, m, generator)")
    return Rule(name=name, keep=found)
