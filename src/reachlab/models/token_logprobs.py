"""Log-probabilities of tokens from logits, without a copy of the logits in float32.

    log p(y_t) = z[y_t] − log Σ_v exp z[v],   z = logits / temperature
    H_t        = − Σ_v p(v) log p(v)

Axes. B: rows, T: tokens, V: entries of the vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reachlab.errors import ReachlabError

CHUNK_ELEMENTS = 1 << 19
"""Logits turned into float32 at a time on a CPU: what stays in its cache."""
ACCELERATOR_CHUNK_ELEMENTS = 1 << 24
"""Likewise elsewhere: what a kernel is busy with for longer than it takes to launch."""


def token_logprobs(
    logits_BTV: Tensor, targets_BT: Tensor, temperature: float = 1.0, *, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """log softmax(logits / temperature) at the targets and, if asked, its entropy in nats, without gradient.

    Beside the logits, only their gradient is ever held whole: probabilities are made in float32 a few positions at a
    time, forward and again backward.

    Args:
        logits_BTV: (B, T, V), of any floating dtype.
        targets_BT: (B, T), int64, a token at each place.
        temperature: what logits are divided by.
        entropy: whether the entropies are made too.

    Returns:
        Log-probabilities and entropies, (B, T) both, in nats, float32 or wider; None for entropies not asked for.

    Raises:
        ReachlabError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ReachlabError(f"log-probabilities: temperature {temperature} is not above 0")
    both: tuple[Tensor, Tensor | None]
    both = _TokenLogprobs.apply(logits_BTV, targets_BT, temperature, entropy)  # type: ignore[no-untyped-call]
    return both


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
    elements = CHUNK_ELEMENTS if logits_BTV.device.type == "cpu" else ACCELERATOR_CHUNK_ELEMENTS
    step = max(1, elements // max(1, batch * vocabulary))
    return [slice(start, start + step) for start in range(0, max(length, 1), step)]


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (logits if temperature == 1 else logits / temperature).log_softmax(dim=-1)
