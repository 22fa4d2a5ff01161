"""The clipped policy-gradient loss, and the critic's loss.

With ρ = exp(log π(y_t) − log π_old(y_t)), each answer token costs

    −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A) + β KL(π ‖ π_ref)

Sources: PPO (arXiv 1707.06347); the mean over an answer's tokens, then over answers, and the KL in the loss are
GRPO's (arXiv 2402.03300); the mean over all tokens and the separate ε_high are DAPO's (arXiv 2503.14476); the division
by a constant is Dr. GRPO's (arXiv 2503.20783). The critic's clipped loss is not in the PPO paper but in its authors'
code (*openai/baselines*, ppo2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import Aggregate, Algorithm, KLEstimator
from reachlab.rl.kl import estimate_kl, k3


@dataclass(frozen=True, kw_only=True)
class LossForm:
    """What is done to ratios, and how tokens become one number."""

    clip_low: float | None = 0.2
    """ε_low; None leaves that side of the ratio alone."""
    clip_high: float | None = 0.2
    """ε_high; None likewise."""
    aggregate: Aggregate = "sequence"
    """How tokens become one number."""
    max_tokens: int | None = None
    """Longest answer allowed, for ``constant``."""
    kl_coef: float = 0.0
    """β, of a KL to the reference policy in the loss."""
    kl_estimator: KLEstimator = "k3"
    """Which of `kl.py`."""

    @classmethod
    def of(cls, algorithm: Algorithm, max_tokens: int, kl: float = 0.0) -> "LossForm":
        """An algorithm's; `kl` is the weight of a KL to the start, wherever the algorithm has it."""
        return cls(
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            aggregate=algorithm.aggregate,
            max_tokens=max_tokens,
            kl_coef=kl if algorithm.kl_place == "loss" else 0.0,
            kl_estimator=algorithm.kl_estimator,
        )


def policy_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    advantages: Tensor,
    mask_BT: Tensor,
    form: LossForm = LossForm(),
    *,
    total: float | Tensor | None = None,
    weights_B: Tensor | None = None,
    ref_logprobs_BT: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss to minimise, and detached statistics.

    ``clip_fraction`` is the share of tokens whose gradient clipping removed, ``kl`` is KL(π_old ‖ π) by k3, and
    ``kl_start`` (where π_ref is given) KL(π ‖ π_ref) by k3. They are means over all tokens where the loss is, else
    over an answer's tokens and then over answers.

    Args:
        logprobs_BT: log π of each token, with gradient.
        old_logprobs_BT: log π_old of each token, under the policy that drew them.
        advantages: one an answer (B,) or a token (B, T); 0 adds no gradient, yet the answer counts in the mean.
        mask_BT: true on the answer's tokens; the others may hold anything, NaN too, in every tensor.
        form: clipping, aggregation, KL.
        total: what the last mean divides by: `denominator` of this batch unless given. With the whole batch's
            number, the losses, gradients and statistics of its micro-batches add up to the batch's.
        weights_B: importance weights of the answers (`weighting.py`); they weigh losses, KL and statistics.
        ref_logprobs_BT: log π_ref of each token.

    Raises:
        ReachlabError: an unknown `aggregate` or `kl_estimator`; ``constant`` without `max_tokens`; a `kl_coef`
            without `ref_logprobs_BT`.
    """
    if form.kl_coef and ref_logprobs_BT is None:
        raise ReachlabError(
            f"policy loss: kl_coef = {form.kl_coef} needs the log-probabilities of the reference policy"
        )
    mask_BT = mask_BT.bool()
    if total is None:
        total = denominator(mask_BT, form.aggregate, weights_B)
    shares_BT = _shares(mask_BT, form.aggregate, total, form.max_tokens, weights_B, logprobs_BT.dtype)

    advantages_BT = (advantages if advantages.ndim == 2 else advantages[:, None]).detach()
    advantages_BT = advantages_BT.expand_as(mask_BT).masked_fill(~mask_BT, 0.0)
    log_ratio_BT = (logprobs_BT - old_logprobs_BT.detach()).masked_fill(~mask_BT, 0.0)
    ratio_BT = log_ratio_BT.exp()
    lowest = 0.0 if form.clip_low is None else 1 - form.clip_low
    highest = torch.inf if form.clip_high is None else 1 + form.clip_high
    free_BT = ratio_BT * advantages_BT
    clipped_BT = ratio_BT.clamp(lowest, highest) * advantages_BT
    costs_BT = -torch.minimum(free_BT, clipped_BT)
    shown = {"clip_fraction": (clipped_BT < free_BT).to(costs_BT), "kl": k3(-log_ratio_BT.detach())}
    if ref_logprobs_BT is not None:
        log_moved_BT = (logprobs_BT - ref_logprobs_BT.detach()).masked_fill(~mask_BT, 0.0)
        shown["kl_start"] = k3(log_moved_BT.detach())
        if form.kl_coef:
            costs_BT = costs_BT + form.kl_coef * estimate_kl(log_moved_BT, form.kl_estimator)

    # A sum over tokens is no fraction and no KL a token: the statistics are means whatever the loss is.
    of_tokens: Aggregate = "token" if form.aggregate == "token" else "sequence"
    means_BT = _shares(mask_BT, of_tokens, total, None, weights_B, logprobs_BT.dtype)
    return (costs_BT * shares_BT).sum(), {name: (value_BT * means_BT).sum() for name, value_BT in shown.items()}


def value_loss(
    values_BT: Tensor,
    old_values_BT: Tensor,
    returns_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip: float | None = 0.2,
    total: float | Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """½ max((v − R)², (clip(v, v_old ± ε) − R)²), mean over tokens, and the detached ``value_clip_fraction``.

    Args:
        values_BT: the critic's value of the state each token was drawn in, with gradient, in units of reward.
        old_values_BT: the same before this step's updates, as the advantages used them.
        returns_BT: what the values should have been (`advantages.gae`).
        mask_BT: true on the tokens to learn from; the others may hold anything, NaN too.
        clip: ε, or None for the plain squared error.
        total: tokens the mean divides by, those of the mask unless given; micro-batches then add up.
    """
    mask_BT = mask_BT.bool()
    if total is None:
        total = denominator(mask_BT, "token")
    shares_BT = _shares(mask_BT, "token", total, None, None, values_BT.dtype)
    values_BT, old_values_BT, returns_BT = (
        x_BT.masked_fill(~mask_BT, 0.0) for x_BT in (values_BT, old_values_BT.detach(), returns_BT.detach())
    )
    free_BT = (values_BT - returns_BT).square()
    if clip is None:
        return (free_BT * shares_BT).sum() / 2, {"value_clip_fraction": free_BT.new_zeros(())}
    near_BT = old_values_BT + (values_BT - old_values_BT).clamp(-clip, clip)
    clipped_BT = (near_BT - returns_BT).square()
    loss = (torch.maximum(free_BT, clipped_BT) * shares_BT).sum() / 2
    return loss, {"value_clip_fraction": ((clipped_BT > free_BT) * shares_BT).sum()}


def denominator(mask_BT: Tensor, aggregate: Aggregate, weights_B: Tensor | None = None) -> Tensor:
    """What the last mean of a loss divides by, a number (): answers, or for ``token`` their tokens.

    It adds up over micro-batches and processes. Importance weights enter it for ``token`` only: Σ w x / Σ w tokens is
    the ratio of two unbiased estimates, while Σ w x / answers is unbiased itself. (So is ``token`` with a total of M
    times the mean length of a prompt's scored rollouts, summed over prompts, where as many of each are scored.)

    Raises:
        ReachlabError: an unknown `aggregate`.
    """
    if aggregate == "token":
        lengths_B = mask_BT.sum(dim=1)
        return (lengths_B if weights_B is None else lengths_B * weights_B).sum()
    if aggregate in ("sequence", "constant", "sum"):
        return mask_BT.new_tensor(len(mask_BT), dtype=torch.int64)
    raise ReachlabError(f"policy loss: aggregate = {aggregate!r}; choose 'sequence', 'token', 'constant' or 'sum'")


def _shares(
    mask_BT: Tensor,
    aggregate: Aggregate,
    total: float | Tensor,
    max_tokens: int | None,
    weights_B: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """What each token counts in the sum that is the loss; 0 off the mask."""
    shares_BT = mask_BT.to(dtype)
    if aggregate == "sequence":
        shares_BT = shares_BT / shares_BT.sum(dim=1, keepdim=True).clamp(min=1)
    elif aggregate == "constant":
        if max_tokens is None:
            raise ReachlabError("policy loss: aggregate = 'constant' divides by max_tokens; give it")
        shares_BT = shares_BT / max_tokens
    if weights_B is not None:
        shares_BT = shares_BT * weights_B[:, None].to(dtype)
    # Nothing to learn from has a total of 0, and a loss of 0.
    total = torch.as_tensor(total, dtype=dtype, device=mask_BT.device)
    return shares_BT / torch.where(total == 0, torch.ones_like(total), total)
