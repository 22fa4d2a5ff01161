"""One decoding step of a Llama-shaped model on a CPU, in as few passes over memory as it takes.

For a small model a step through the modules is mostly overhead: dozens of small operations a layer, each a pass over
memory and a fresh allocation. The same function, with n(x) = x / √(mean x² + ε):

    q, k, v = n(x) Wqkv          Wqkv = [Wq; Wk; Wv] diag(norm weight)
    a       = attention(q, k, v)                                        `fused_cpu_attention.py`
    x       ← x + a Wo
    g, u    = n(x) Wgu           likewise
    x       ← x + (silu(g) · u) Wd                     a kernel (`fused_cpu_kernels.py`) between two products
    logits  = n(x) Wout

A sparse mixture's tokens are sorted by expert, so that an expert is two products as well. It fits Llama, Mistral,
Qwen2, Qwen3, OLMoE, Qwen3-MoE, Mixtral and their like. Whether it fits a given model is not guessed from its name but
found out (`probe.py`); otherwise the engine goes through the modules. Weights are read when `FusedCpuWeights` are made:
make them anew after an update.

Axes. B: rows, T: positions, H: hidden width, F: width inside a projection, N: panels of a wide matrix, V: vocabulary,
E: experts, K: experts that a token visits, S = B·K: token-expert pairs, sorted by expert.
"""

import numpy as np
import torch
from torch import Tensor

from reachlab.engines import fused_cpu_kernels as kernels
from reachlab.engines.fused_cpu_attention import FusedCpuAttention
from reachlab.engines.fused_cpu_buffers import Buffers
from reachlab.engines.fused_cpu_weights import FusedCpuWeights, Mixture
from reachlab.engines.shared_prefix import PrefixCache


class FusedCpuDecoder:
    """Computes logits of one token a row. One thread at a time; the weights may be shared.

    Made for tokens at `positions_T`, and batches of `rows`.
    """

    @torch.no_grad()
    def __init__(self, weights: FusedCpuWeights, positions_T: Tensor, rows: int):
        self.weights = weights
        cos, sin = weights.rotary(weights.embedding[:1, None], positions_T[None])
        half = cos.shape[-1] // 2
        # Both halves hold the same angles.
        self.cos_TD, self.sin_TD = (t[0, :, :half].contiguous().numpy() for t in (cos, sin))
        self.buffers = Buffers(rows)

    def logits(
        self, rows: np.ndarray, ids_B: Tensor, own_B: np.ndarray, at_B: np.ndarray, cache: PrefixCache
    ) -> Tensor:
        """Logits after one more token of each row, (B, V) float32, valid until the next call.

        Args:
            rows: (B,), int64, which of the cache's rows are fed.
            ids_B: the tokens they are fed.
            own_B: how many own tokens each row has before this one.
            at_B: where among the decoder's positions each token is.
            cache: keys and values; it knows its blocks (`begin_fused_cpu_step`).
        """
        B, weights = len(ids_B), self.weights
        x_BH = torch.index_select(weights.embedding, 0, ids_B, out=self.buffers.get("x", B, weights.embedding.shape[1]))
        attention = FusedCpuAttention(self.buffers, rows, own_B, (self.cos_TD[at_B], self.sin_TD[at_B]), cache)
        for number, layer in enumerate(weights.layers):
            qkv_BF = self._project("qkv", self._unit(x_BH, layer.eps[0]), layer.qkv_NHF)
            if layer.qkv_bias_F is not None:
                qkv_BF += layer.qkv_bias_F
            torch.addmm(x_BH, attention.attend(number, layer, qkv_BF), layer.out_FH, out=x_BH)
            if layer.out_bias_H is not None:
                x_BH += layer.out_bias_H
            if layer.mixture is not None:
                self._mix(x_BH, layer.mixture, layer.eps[1])
            elif layer.gate_up_NHF is not None and layer.down_FH is not None:
                hidden_BF = self._gate_up(self._unit(x_BH, layer.eps[1]), layer.gate_up_NHF, len(layer.down_FH))
                torch.addmm(x_BH, hidden_BF, layer.down_FH, out=x_BH)
        return self._project("logits", self._unit(x_BH, weights.eps), weights.logits_NHV)

    def _unit(self, x_BH: Tensor, eps: np.float32) -> Tensor:
        out_BH = self.buffers.get("unit", *x_BH.shape)
        kernels.unit(x_BH.numpy(), eps, out_BH.numpy())
        return out_BH

    def _project(self, name: str, x_BH: Tensor, panels_NHF: list[Tensor]) -> Tensor:
        out_BF = self.buffers.get(name, len(x_BH), sum(panel.shape[1] for panel in panels_NHF))
        at = 0
        for panel in panels_NHF:
            torch.mm(x_BH, panel, out=out_BF[:, at : at + panel.shape[1]])
            at += panel.shape[1]
        return out_BF

    def _gate_up(self, x_BH: Tensor, panels_NHF: Tensor, width: int) -> Tensor:
        """silu(g) · u"""
        (N, _, F), B = panels_NHF.shape, len(x_BH)
        both_NBF = self.buffers.get("gate_up", N * B, F).view(N, B, F)
        torch.bmm(x_BH.expand(N, -1, -1), panels_NHF, out=both_NBF)
        hidden_BF = self.buffers.get("hidden", B, width)
        kernels.gate(both_NBF.numpy(), hidden_BF.numpy())
        return hidden_BF

    def _mix(self, x_BH: Tensor, mixture: Mixture, eps: np.float32) -> None:
        """x ← x + Σ_k w_k E_k(n(x)), expert by expert over the tokens that chose it."""
        h_BH = self._unit(x_BH, eps).mul_(mixture.norm_H)
        _, weights_BK, experts_BK = mixture.router(h_BH)
        K, (E, H, F) = experts_BK.shape[1], mixture.gate_up_EHF.shape
        ends_E, token_S, place_BK = kernels.group(experts_BK.numpy(), E)
        h_SH = torch.index_select(h_BH, 0, torch.from_numpy(token_S), out=self.buffers.get("chosen", len(token_S), H))
        gate_up_SF, out_SH = self.buffers.get("gate_up", len(token_S), F), self.buffers.get("experts", len(token_S), H)
        parts = [slice(a, b) for a, b in zip([0, *ends_E[:-1].tolist()], ends_E.tolist(), strict=True)]
        for e, part in enumerate(parts):
            if part.start < part.stop:
                torch.mm(h_SH[part], mixture.gate_up_EHF[e], out=gate_up_SF[part])
        gate_SF, up_SF = gate_up_SF.chunk(2, dim=1)
        hidden_SF = torch.nn.functional.silu(gate_SF, inplace=True).mul_(up_SF)
        for e, part in enumerate(parts):
            if part.start < part.stop:
                torch.mm(hidden_SF[part], mixture.down_EFH[e], out=out_SH[part])
        kernels.combine(out_SH.numpy(), place_BK, weights_BK.numpy().reshape(-1, K), x_BH.numpy())
