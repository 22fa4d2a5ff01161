"""Losses that keep a router's load even, and its logits small, over the whole batch of all processes.

    load balancing     E Σ_i f_i P_i        f_i = share of tokens that visit i, P_i = mean share of i in the scores
    z-loss             mean of (log Σ_i exp logit_i)²

Sources: Switch Transformers, arXiv 2101.03961, (4)-(6). form="layer" is theirs: every layer has its own f and P, and
the loss is the mean over layers. form="pooled" is that of transformers, `load_balancing_loss_func`, which its families
are trained with: f and P are means over all tokens of all layers together. In both Σ f = K and a uniform router has the
loss K, so `router_aux_loss_coef` means here what it means there. But layers that send all their tokens to one expert
each, every layer to another, are perfect balance where they are pooled (K), and collapsed by layer (E, for K = 1).
ST-MoE, arXiv 2202.08906, (5). Scores that do not sum to one (sigmoid) are divided by their sum first, as DeepSeek-V3
does (arXiv 2412.19437, (17)-(20)), which balances each layer by itself too.

Two departures from transformers. f and P are those of the global batch: there each process balances its own tokens, so
the loss depends on how the batch was split, and on small shares asks for more than balance. And where f comes from the
experts that were really visited, it is right for routers that select by a bias or by chance.

The value is the global one in every process. Its gradient is that process's part: f is a constant, and what is left is
linear in the process's tokens. Both functions send one message: every process has to call them equally often.

Axes. T: tokens, E: experts, K: experts that a token visits, L: layers, F: what is summed of each.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from reachlab.moe.reduce import add_up
from reachlab.moe.scores import Score, score

Form = Literal["layer", "pooled"]
"""What is to be even: every layer's load, or that of all layers together."""
Gradients = Literal["summed", "averaged"]
"""What happens to the gradients of all processes: Reachlab's training adds them up, DDP and FSDP take their mean."""


def load_balancing_loss(
    logits_LTE: Sequence[Tensor],
    visited: int | Sequence[Tensor],
    mask_T: Tensor | None = None,
    *,
    form: Form = "pooled",
    how: Score = "softmax",
    gradients: Gradients = "summed",
) -> Tensor:
    """E Σ_i f_i P_i over all tokens and processes, of all layers together or in the mean of layers; a float32 scalar.

    Args:
        logits_LTE: what each layer's router returns first, (T, E).
        visited: the experts that each layer's tokens visited, (T, K); or K, for those with the largest scores.
        mask_T: which tokens are not padding, of any shape with T elements; None: all.
        form: what f and P are taken over.
        how: the family's score function.
        gradients: how they are put together over processes.
    """
    E, first = logits_LTE[0].shape[-1], logits_LTE[0].device
    parts = []
    for layer, logits_TE in enumerate(logits_LTE):
        shares_TE = score(logits_TE.to(first), how)
        if how != "softmax":
            shares_TE = shares_TE / shares_TE.sum(-1, keepdim=True)
        chosen_TK = shares_TE.topk(visited, -1).indices if isinstance(visited, int) else visited[layer].to(first)
        real_T = _real(mask_T, shares_TE)
        K = chosen_TK.shape[-1]
        counts_E = shares_TE.new_zeros(E, dtype=torch.float32)
        counts_E = counts_E.index_add(0, chosen_TK.reshape(-1), real_T.repeat_interleave(K))
        parts.append(torch.cat([counts_E, real_T @ shares_TE.float(), real_T.sum()[None]]))
    # L of them, or one of all layers.
    sums_LF = torch.stack(parts)
    sums_LF = _total(sums_LF if form == "layer" else sums_LF.sum(0, keepdim=True), gradients)
    counts_LE, shares_LE, rows_L1 = torch.split(sums_LF, [E, E, 1], 1)
    rows_L1 = rows_L1.clamp(min=1)
    loss: Tensor = E * (counts_LE / rows_L1 * (shares_LE / rows_L1)).sum(1).mean()
    return loss


def z_loss(logits_LTE: Sequence[Tensor], mask_T: Tensor | None = None, *, gradients: Gradients = "summed") -> Tensor:
    """The mean over all layers, tokens and processes of the squared log-sum-exp of the logits; a float32 scalar.

    Args:
        logits_LTE: what each layer's router returns first, (T, E); of routers that return logits, and no probabilities.
        mask_T: which tokens are not padding, of any shape with T elements; None: all.
        gradients: how they are put together over processes.
    """
    first = logits_LTE[0].device
    sums = torch.zeros(2, device=first)
    for logits_TE in logits_LTE:
        squares_T = logits_TE.to(first).float().logsumexp(-1).square()
        real_T = _real(mask_T, logits_TE.to(first))
        sums = sums + torch.stack([real_T @ squares_T, real_T.sum()])
    sums = _total(sums, gradients)
    return sums[0] / sums[1].clamp(min=1)


def _real(mask_T: Tensor | None, logits_TE: Tensor) -> Tensor:
    if mask_T is None:
        return torch.ones(len(logits_TE), device=logits_TE.device)
    return mask_T.reshape(-1).to(logits_TE.device, torch.float32)


def _total(part: Tensor, gradients: Gradients) -> Tensor:
    """The sum over all processes, whose gradient is that of this process's part."""
    total = part.detach().clone()
    add_up([total])
    several = dist.is_available() and dist.is_initialized()
    parts = dist.get_world_size() if gradients == "averaged" and several else 1
    return total + parts * (part - part.detach())
