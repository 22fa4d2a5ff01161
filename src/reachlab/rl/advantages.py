"""Group-relative advantages: A = (r − mean r) / (std r + ε), over the rollouts of one prompt.

Source: GRPO, *DeepSeekMath* (arXiv 2402.03300). After down-sampling the statistics are those of the kept
rollouts, as in PODS (arXiv 2504.13818), or of all N. The deviation is the population's, so that a group of
one is defined (and gives 0).
"""

from typing import Literal

import torch
from torch import Tensor

from reachlab.errors import ReachlabError

Normalise = Literal["kept", "all"]


def group_advantages(rewards_PN: Tensor, kept_PM: Tensor, normalise: Normalise = "kept", eps: float = 1e-6) -> Tensor:
    """Advantages of the kept rollouts: (P, M), floating point as the rewards.

    Args:
        rewards_PN: rewards of all rollouts; NaN is unscored, enters no statistic and gets advantage 0.
        kept_PM: indices of the kept rollouts of each prompt, as a down-sampling rule gives them.
        normalise: take mean and deviation over the ``kept`` rollouts or over ``all`` N.
        eps: added to the deviation.

    Raises:
        ReachlabError: `normalise` is neither of the two.
    """
    rewards_PM = rewards_PN.gather(1, kept_PM)
    if normalise not in ("kept", "all"):
        raise ReachlabError(f"advantages: normalise = {normalise!r}; choose 'kept' or 'all'")
    return _standardise(rewards_PM, over=rewards_PM if normalise == "kept" else rewards_PN, eps=eps)


def grpo(rewards_PM: Tensor, eps: float = 1e-6) -> Tensor:
    """Advantages of whole groups: (P, M); exactly 0 where all scored rewards of a group agree."""
    return _standardise(rewards_PM, over=rewards_PM, eps=eps)


def _standardise(rewards_PM: Tensor, over: Tensor, eps: float) -> Tensor:
    centre_P1 = over.nanmean(dim=1, keepdim=True)
    deviation_P1 = (over - centre_P1).square().nanmean(dim=1, keepdim=True).sqrt()
    # Where all agree, rounding may set a reward apart from its mean, and the division would blow that up.
    highest_P1 = over.nan_to_num(-torch.inf).amax(dim=1, keepdim=True)
    lowest_P1 = over.nan_to_num(torch.inf).amin(dim=1, keepdim=True)
    advantages_PM = (rewards_PM - centre_P1) / (deviation_P1 + eps)
    return advantages_PM.masked_fill((highest_P1 == lowest_P1) | rewards_PM.isnan(), 0.0)
