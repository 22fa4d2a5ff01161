"""Advantage estimators that more than one algorithm uses.

*Within a group*, the rollouts of one prompt: A = r − mean r, divided by std r or not. The deviation is the
population's, so that a group of one is defined (and gives 0). After down-sampling the statistics are those of the kept
rollouts, as in PODS (arXiv 2504.13818), or of all N. Where the KL is in the reward, r is the task's reward less the
answer's whole KL.

*Along an answer*: rewards of tokens, their discounted sums, and GAE (arXiv 1506.02438),

    A_t = Σ_u (γλ)^u δ_{t+u},   δ_t = r_t + γ V_{t+1} − V_t

where the state after the last token has value 0, also when the answer was cut off: its verdict is final.

*Over the batch*: whitening, (A − mean A) / std A over all tokens of a step, on all processes.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import Scored


def shaped_rewards(scored: Scored) -> Tensor:
    """The reward of each kept answer less its KL penalty: (P, M); NaN where unscored."""
    rewards_PM = scored.rewards_PM
    return rewards_PM if scored.penalty_PMT is None else rewards_PM - scored.penalty_PMT.sum(dim=2)


def group_rewards(scored: Scored) -> tuple[Tensor, Tensor]:
    """Rewards of the kept answers, (P, M), and those that their group's statistics are over, (P, M) or (P, N)."""
    rewards_PM = shaped_rewards(scored)
    return rewards_PM, scored.rewards_PN.double() if scored.over_all else rewards_PM


def agree(rewards_PN: Tensor) -> Tensor:
    """Which groups' scored rewards are all the same, or none: bool (P,)."""
    highest_P = rewards_PN.nan_to_num(-torch.inf).amax(dim=1)
    return highest_P <= rewards_PN.nan_to_num(torch.inf).amin(dim=1)


def centred(scored: Scored) -> Tensor:
    """r − mean r over the group: (P, M); exactly 0 for unscored rollouts and groups that agree."""
    return _centre(*group_rewards(scored))


def standardised(scored: Scored) -> Tensor:
    """(r − mean r) / (σ + 10⁻⁶) over the group: (P, M); exactly 0 for unscored rollouts and groups that agree.

    σ is std r, and `least_deviation` where that is more.

    Example:
        >>> reward = torch.tensor([[1.0, 0, 0, 0]])
        >>> mask_PMT = torch.ones(1, 4, 1, dtype=torch.bool)
        >>> scored = Scored(rewards_PN=reward, kept_PM=torch.arange(4)[None], mask_PMT=mask_PMT)
        >>> standardised(scored).round(decimals=3).tolist()
        [[1.732, -0.577, -0.577, -0.577]]
    """
    rewards_PM, over = group_rewards(scored)
    deviation_P1 = torch.maximum(_deviation(over), least_deviation(over, scored.full_credit))
    return _centre(rewards_PM, over) / (deviation_P1 + 1e-6)


def least_deviation(rewards_PN: Tensor, full_credit: float) -> Tensor:
    """full_credit √(n − 1) / n: (P, 1); just below the deviation of one right answer among n − 1 wrong ones.

    A group that differs by less differs in partial credit alone. Divided by its own deviation, 0.05 for a number that
    was near would count as much as a right answer does elsewhere. Groups of right and wrong are never touched.
    """
    n_P1 = (~rewards_PN.isnan()).sum(dim=1, keepdim=True)
    # Rounding must not let a group of one right answer fall below.
    return 0.999 * full_credit * (n_P1 - 1).clamp(min=0).sqrt() / n_P1.clamp(min=1)


def slight(rewards_PN: Tensor, full_credit: float) -> Tensor:
    """Which groups differ, and by less than `least_deviation`: bool (P,)."""
    less_P1 = _deviation(rewards_PN) < least_deviation(rewards_PN, full_credit)
    return ~agree(rewards_PN) & less_P1[:, 0]


def _deviation(rewards_PN: Tensor) -> Tensor:
    """The population's, (P, 1); 0 for a group without any reward, whose advantages are 0 already."""
    apart_PN = rewards_PN - rewards_PN.nanmean(dim=1, keepdim=True)
    return apart_PN.square().nanmean(dim=1, keepdim=True).sqrt().nan_to_num(0.0)


def _centre(rewards_PM: Tensor, over: Tensor) -> Tensor:
    # Where all agree, rounding may set a reward apart from its mean, and a division would blow that up.
    nothing_PM = agree(over)[:, None] | rewards_PM.isnan()
    return (rewards_PM - over.nanmean(dim=1, keepdim=True)).masked_fill(nothing_PM, 0.0)


def learnable(scored: Scored) -> Tensor:
    """The tokens of the kept answers that have a reward: bool (P, M, T)."""
    return scored.mask_PMT.bool() & ~scored.rewards_PM.isnan()[:, :, None]


def token_rewards(scored: Scored) -> Tensor:
    """The task's reward on the last token, less each token's KL penalty: (P, M, T); 0 for unscored rollouts."""
    mask_PMT = learnable(scored)
    last_PMT = mask_PMT & ~pad(mask_PMT, (0, 1))[:, :, 1:]
    rewards_PMT = torch.where(last_PMT, scored.rewards_PM[:, :, None], 0.0)
    if scored.penalty_PMT is not None:
        rewards_PMT = rewards_PMT - scored.penalty_PMT
    return rewards_PMT.masked_fill(~mask_PMT, 0.0)


def discounted_sums(steps_PMT: Tensor, discount: float) -> Tensor:
    """y_t = x_t + discount · y_{t+1}: (P, M, T). Padding on the right is 0.

    Example:
        >>> discounted_sums(torch.tensor([[[0.0, 0, 1]]]), 0.5).tolist()
        [[[0.25, 0.5, 1.0]]]
    """
    sums_TPM = steps_PMT.movedim(2, 0).clone(memory_format=torch.contiguous_format)  # a token's numbers side by side
    for t in range(len(sums_TPM) - 2, -1, -1):
        sums_TPM[t].add_(sums_TPM[t + 1], alpha=discount)
    return sums_TPM.movedim(0, 2)


def gae(
    rewards_PMT: Tensor, values_PMT: Tensor, mask_PMT: Tensor, gamma: float = 1.0, lam: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Advantages A_t and the returns A_t + V_t that a critic should learn: (P, M, T) both, 0 off the mask.

    Args:
        rewards_PMT: a reward a token (`token_rewards`).
        values_PMT: V_t, the critic's value of the state the token was drawn in, in units of reward.
        mask_PMT: true on answer tokens, from the left; the other tensors may hold anything elsewhere.
        gamma: γ. lam: λ; 1 gives return − value, 0 one-step differences.
    """
    values_PMT = values_PMT.masked_fill(~mask_PMT, 0.0)
    following_PMT = pad(values_PMT, (0, 1))[:, :, 1:]
    deltas_PMT = (rewards_PMT + gamma * following_PMT - values_PMT).masked_fill(~mask_PMT, 0.0)
    advantages_PMT = discounted_sums(deltas_PMT, gamma * lam)
    return advantages_PMT, advantages_PMT + values_PMT


def whiten(values_PMT: Tensor, mask_PMT: Tensor, total: Callable[[Tensor], Tensor], eps: float = 1e-8) -> Tensor:
    """(x − mean x) / (std x + ε) over the masked tokens of all processes: (P, M, T), 0 elsewhere.

    Args:
        values_PMT: x; off the mask anything. mask_PMT: which tokens count.
        total: sums a tensor of statistics over processes (`Scored.total`).
        eps: added to the deviation, which is the population's.
    """
    wide_PMT = values_PMT.double().masked_fill(~mask_PMT, 0.0)
    count, summed = total(torch.stack([mask_PMT.sum().double(), wide_PMT.sum()]))
    apart_PMT = (wide_PMT - summed / count.clamp(min=1)).masked_fill(~mask_PMT, 0.0)
    squares = total(apart_PMT.square().sum()[None])
    deviation = (squares / count.clamp(min=1)).sqrt()
    whitened_PMT: Tensor = apart_PMT / (deviation + eps)
    return whitened_PMT.to(values_PMT.dtype)


def refuse_over_all(scored: Scored, name: str) -> None:
    """Refuse statistics over rollouts that are not kept, for an algorithm whose statistics are over tokens.

    Raises:
        ReachlabError: ``normalise='all'`` while fewer than all are kept.
    """
    if scored.over_all:
        raise ReachlabError(
            f"{name}: its statistics are over tokens, and those of rollouts that are not kept are not at hand; "
            "choose normalise='kept'"
        )
