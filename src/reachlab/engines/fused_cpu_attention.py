"""Attention of one decoding step on a CPU: products where rows share keys, kernels elsewhere.

All query heads of a block's rows that read a key head of the prompt are the rows of one matrix product (a prompt of any
length is read once a block and not once a row); what a row keeps for itself is a kernel's work. One softmax over both:

    S       = q Kpromptᵀ                                              one product a block and key head
    w_p,w_o = softmax(s · [S ; q Kownᵀ])                              kernel; w_p in the place of S, o = w_o Vown
    o      += w_p Vprompt                                             one product a block and key head

Axes. B: rows, G: blocks of rows that share a prompt, R: rows of a block, Q: query heads, H: key heads, D: width of a
head, d: half of it, F: queries, keys and values of all heads, Tp: tokens of the longest prompt.
"""

import numpy as np
import torch
from torch import Tensor

from reachlab.engines import fused_cpu_kernels as kernels
from reachlab.engines.fused_cpu_buffers import Buffers
from reachlab.engines.fused_cpu_weights import FusedCpuLayer
from reachlab.engines.shared_prefix import PrefixCache


class FusedCpuAttention:
    """One step's attention, in all layers."""

    def __init__(
        self,
        buffers: Buffers,
        rows: np.ndarray,
        own_B: np.ndarray,
        angles_Bd: tuple[np.ndarray, np.ndarray],
        cache: PrefixCache,
    ):
        """Expect the step of some rows.

        Args:
            buffers: where queries, scores and results are put.
            rows: (B,), int64, which of the cache's rows attend.
            own_B: how many own tokens each has before this one.
            angles_Bd: cosines and sines of each token's rotation, (B, d) both, float32; d is half a head's width.
            cache: keys and values.
        """
        self.buffers, self.cache, self.rows, self.own_B = buffers, cache, rows, own_B
        self.cos_Bd, self.sin_Bd = angles_Bd
        self.start_G = cache.prefix_start_G() - (cache.prefix_tokens - cache.prefix_used)

    def attend(self, number: int, layer: FusedCpuLayer, qkv_BF: Tensor) -> Tensor:
        """Head norm, rotation, append to the cache, attention.

        Args:
            number: which layer it is.
            layer: its weights.
            qkv_BF: queries, keys and values of the rows' tokens, (B, (Q + 2H) · D), float32.

        Returns:
            What the heads attended to, (B, Q · D).
        """
        cache, (Q, H) = self.cache, layer.heads
        G, R, Tp = cache.active, cache.rows, cache.prefix_used
        prefix_keys, prefix_values = (t[:G, :, cache.prefix_tokens - Tp :] for t in cache.prefix_GHTD[number])
        own_keys, own_values = (t.flatten(0, 1).numpy() for t in cache.own_GRHTD[number])
        D, M = prefix_keys.shape[-1], R * Q // H
        query, out, scores = (
            self.buffers.get(name, cache.blocks * H * M, width)[: G * H * M].view(G * H, M, width)
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
        attended_BF = self.buffers.get("flat", len(qkv_BF), Q * D)
        kernels.unpack(out.numpy(), R, H, self.rows, attended_BF.numpy())
        return attended_BF
