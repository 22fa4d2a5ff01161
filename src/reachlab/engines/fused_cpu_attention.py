"""Attention of one decoding step on a CPU: products where rows share keys, kernels elsewhere.

All query heads of a block's rows that read a key head of the prompt are the rows of one matrix product (a prompt of any
length is read once a block and not once a row); what a row keeps for itself is a kernel's work. One softmax over both:

    S       = q Kpromptᵀ                                              one product a block and key head
    w_p,w_o = softmax(s · [S ; q Kownᵀ])                              kernel; w_p in the place of S, o = w_o Vown
    o      += w_p Vprompt                                             one product a block and key head
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from reachlab.engines import fused_cpu_kernels as kernels
from reachlab.engines.fused_cpu_weights import Layer
from reachlab.engines.shared_prefix import PrefixCache

if TYPE_CHECKING:
    from reachlab.engines.fused_cpu import LeanDecoder


class LeanAttention:
    """One step's attention: for `rows` of the cache, each with its `own_B`-th own token and its angles."""

    def __init__(
        self, decoder: "LeanDecoder", rows: np.ndarray, own_B: np.ndarray, cos_Bd: np.ndarray, sin_Bd: np.ndarray,
        cache: PrefixCache,
    ):  # fmt: skip
        self.decoder, self.cache = decoder, cache
        self.rows, self.own_B, self.cos_Bd, self.sin_Bd = rows, own_B, cos_Bd, sin_Bd
        self.start_G = cache.prefix_start_G() - (cache.prefix_tokens - cache.prefix_used)

    def attend(self, number: int, layer: Layer, qkv_BF: Tensor) -> Tensor:
        """Head norm, rotation, append to the cache, attention: (B, Q · D)."""
        cache, (Q, H) = self.cache, layer.heads
        G, R, Tp = cache.active, cache.rows, cache.prefix_used
        prefix_keys, prefix_values = (t[:G, :, cache.prefix_tokens - Tp :] for t in cache.prefix_GHTD[number])
        own_keys, own_values = (t.flatten(0, 1).numpy() for t in cache.own_GRHTD[number])
        D, M = prefix_keys.shape[-1], R * Q // H
        query, out, scores = (
            self.decoder.buffer(name, cache.blocks * H * M, width)[: G * H * M].view(G * H, M, width)
            for name, width in (("query", D), ("attended", D), ("scores", Tp))
        )
        width = (0,) * D
        kernels.rotate(
            width, qkv_BF.numpy(), self.cos_Bd, self.sin_Bd, layer.norm_ND, layer.norm, layer.norm_eps, R,
            self.rows, self.own_B, own_keys, own_values, query.numpy(),
        )  # fmt: skip
        if cache.queries is not None:
            # (G · H, R · group, D) -> (B, Q, D)
            cache.queries.append(query.view(G, H, R, Q // H, D).transpose(1, 2).reshape(G * R, Q, D).clone())
        torch.bmm(query, prefix_keys.flatten(0, 1).mT, out=scores)
        kernels.attend(
            width, query.numpy(), scores.numpy(), self.start_G, R, self.rows, self.own_B, own_keys, own_values,
            layer.scale, layer.window, out.numpy(),
        )  # fmt: skip
        torch.baddbmm(out, scores, prefix_values.flatten(0, 1), out=out)
        attended_BF = self.decoder.buffer("flat", len(qkv_BF), Q * D)
        kernels.unpack(out.numpy(), R, H, self.rows, attended_BF.numpy())
        return attended_BF
