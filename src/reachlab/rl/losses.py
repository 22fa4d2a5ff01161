"""The clipped policy-gradient loss, and the log-probabilities it needs.

With ρ = exp(log π(y_t) − log π_old(y_t)), each answer token costs −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high)
A).

Sources: PPO (arXiv 1707.06347); the mean over an answer's tokens, then over answers, is GRPO's (arXiv
2402.03300); the mean over all tokens and the separate ε_high are DAPO's (arXiv 2503.14476); the estimate of
KL(π_old ‖ π), ρ − 1 − log ρ, is Schulman's k3 (*Approximating KL Divergence*, 2020).
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reachlab.errors import ReachlabError

Aggregate = Literal["sequence", "token"]

CHUNK_ELEMENTS = 1 << 22
"""Logits turned into float32 at a time."""


def policy_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    advantages_B: Tensor,
    mask_BT: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    aggregate: Aggregate = "sequence",
    total: float | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss to minimise and, averaged likewise and detached, the statistics ``clip_fraction`` and ``kl``.

    Args:
        logprobs_BT: log π of each token, with gradient.
        old_logprobs_BT: log π_old of each token, under the policy that drew them.
        advantages_B: one advantage an answer; 0 adds no gradient, yet the answer counts in the mean.
        mask_BT: true on the answer's tokens; the others may hold anything, NaN too.
        clip_low: ε_low. clip_high: ε_high.
        aggregate: ``sequence``: mean over each answer's tokens, then over answers; ``token``: mean over all
            tokens.
        total: what the last mean divides by, B answers or the number of tokens unless given. With the whole
            batch's number, the losses, gradients and statistics of its micro-batches add up to the batch's.

    Raises:
        ReachlabError: an unknown `aggregate`.
    """
    mask_BT = mask_BT.bool()
    answer_BT = mask_BT.to(logprobs_BT.dtype)
    if aggregate == "sequence":
        weights_BT = answer_BT / (answer_BT.sum(dim=1, keepdim=True).clamp(min=1) * (total or len(mask_BT)))
    elif aggregate == "token":
        weights_BT = answer_BT / (total or answer_BT.sum().clamp(min=1))
    else:
        raise ReachlabError(f"policy loss: aggregate = {aggregate!r}; choose 'sequence' or 'token'")

    advantages_B1 = advantages_B[:, None]
    log_ratio_BT = (logprobs_BT - old_logprobs_BT.detach()).masked_fill(~mask_BT, 0.0)
    ratio_BT = log_ratio_BT.exp()
    free_BT = ratio_BT * advantages_B1
    clipped_BT = ratio_BT.clamp(1 - clip_low, 1 + clip_high) * advantages_B1
    loss = -(torch.minimum(free_BT, clipped_BT) * weights_BT).sum()
    with torch.no_grad():
        stats = {
            "clip_fraction": ((clipped_BT < free_BT) * weights_BT).sum(),
            "kl": ((torch.expm1(log_ratio_BT) - log_ratio_BT) * weights_BT).sum(),
        }
    return loss, stats


def token_logprobs(
    logits_BTV: Tensor, targets_BT: Tensor, temperature: float = 1.0, *, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """log softmax(logits / temperature) at the targets and, if asked, its entropy in nats, without gradient.

    Both are (B, T), float32 or wider. Beside the logits, only their gradient is ever held whole:
    probabilities are made in float32 a few positions at a time, forward and again backward.

    Raises:
        ReachlabError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ReachlabError(f"log-probabilities: temperature {temperature} is not above 0")
    found: tuple[Tensor, Tensor | None]
    found = _TokenLogprobs.apply(logits_BTV, targets_BT, temperature, entropy)  # type: ignore[no-untyped-call]
    return found


class _TokenLogprobs(torch.autograd.Function):
    """d log p(y) / d logits = (onehot(y) − softmax) / temperature."""

    @staticmethod
    def forward(
        ctx: Any, logits_BTV: Tensor, targets_BT: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        logprobs, entropies = [], []
        for at in _chunks(logits_BTV):
            all_BTV = _log_softmax(logits_BTV[:, at], temperature)
            logprobs.append(all_BTV.gather(2, targets_BT[:, at, None]).squeeze(2))
            if entropy:
                entropies.append(torch.special.entr(all_BTV.exp_()).sum(dim=2))
        ctx.save_for_backward(logits_BTV, targets_BT)
        ctx.temperature = temperature
        entropy_BT = torch.cat(entropies, dim=1) if entropy else None
        if entropy_BT is not None:
            ctx.mark_non_differentiable(entropy_BT)
        return torch.cat(logprobs, dim=1), entropy_BT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BT: Tensor, _: Tensor | None) -> tuple[Tensor, None, None, None]:
        logits_BTV, targets_BT = ctx.saved_tensors
        gradient_BTV = torch.empty_like(logits_BTV)
        for at in _chunks(logits_BTV):
            scale_BT1 = grad_BT[:, at, None] / ctx.temperature
            chunk_BTV = _log_softmax(logits_BTV[:, at], ctx.temperature).exp_().mul_(-scale_BT1)
            chunk_BTV.scatter_add_(2, targets_BT[:, at, None], scale_BT1)
            gradient_BTV[:, at] = chunk_BTV
        return gradient_BTV, None, None, None


def _chunks(logits_BTV: Tensor) -> list[slice]:
    batch, length, vocabulary = logits_BTV.shape
    step = max(1, CHUNK_ELEMENTS // max(1, batch * vocabulary))
    return [slice(start, start + step) for start in range(0, max(length, 1), step)]


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    return (logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature).log_softmax(dim=-1)
