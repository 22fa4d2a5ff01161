"""One decoding step of a Llama-shaped model, in as few operations as it takes.

For a small model a step through the modules is mostly overhead: dozens of small operations a layer, each a pass over memory.
The same function in fewer, with n(x) = x / √(mean x² + ε):

    q, k, v = n(x) Wqkv          Wqkv = [Wq; Wk; Wv] diag(norm weight), one product
    x ← x + attention(q, k, v) Wo
    g, u    = n(x) Wgu           likewise; a sparse mixture goes through its own module
    x ← x + (silu(g) · u) Wd
    logits  = n(x) Wout

It fits Llama, Mistral, Qwen2, Qwen3, OLMoE, Qwen3-MoE, Mixtral and their like. Whether it fits a given model is not guessed from
its name: the structure is looked for, and then the model's own logits must come out on a probe; otherwise `lean_decoder`
gives None and the engine goes through the modules. Weights are read when the decoder is made: make it anew after an update.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import PreTrainedModel

from reachlab.sampling.shared_prefix import PrefixCache, decode_attention

ROTARY = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose angles depend on the position alone."""


@dataclass
class _Layer:
    qkv_HF: Tensor
    qkv_bias_F: Tensor | None
    out_FH: Tensor
    out_bias_H: Tensor | None
    query_heads: int
    key_heads: int
    head_norm: tuple[str, Tensor, float] | None
    scale: float
    window: int | None
    eps: tuple[float, float]
    gate_up_HF: Tensor | None
    down_FH: Tensor | None
    mixture: nn.Module | None
    mixture_norm_H: Tensor | None


class LeanDecoder:
    """Computes logits of one token a row, given a `PrefixCache` that is ready for the step."""

    def __init__(self, model: Any, positions: int):
        body = model.model
        self.embedding: Tensor = body.embed_tokens.weight
        self.layers = [_read_layer(layer, model.config) for layer in body.layers]
        self.eps = _eps(body.norm)
        self.logits_HV = (model.lm_head.weight * body.norm.weight).t().contiguous()
        probe = torch.zeros(1, 1, 1, dtype=model.dtype, device=model.device)
        cos, sin = body.rotary_emb(probe, torch.arange(positions, device=model.device)[None])
        width = cos.shape[-1] // 2
        # Both halves hold the same angles.
        self.cos_TD, self.sin_TD = cos[0, :, :width].contiguous(), sin[0, :, :width].contiguous()

    def logits(self, ids_B: Tensor, positions_B: Tensor, cache: PrefixCache) -> Tensor:
        """Logits after token `ids_B` at position `positions_B` of each row: (B, V)."""
        x_BH = self.embedding[ids_B]
        cos_B1D, sin_B1D = self.cos_TD[positions_B][:, None], self.sin_TD[positions_B][:, None]
        for index, layer in enumerate(self.layers):
            x_BH = self._layer(index, layer, x_BH, cos_B1D, sin_B1D, cache)
        return _unit(x_BH, self.eps) @ self.logits_HV

    @staticmethod
    def _layer(
        index: int, layer: _Layer, x_BH: Tensor, cos_B1D: Tensor, sin_B1D: Tensor, cache: PrefixCache
    ) -> Tensor:
        B, heads = len(x_BH), layer.query_heads + layer.key_heads
        qkv_BF = _linear(_unit(x_BH, layer.eps[0]), layer.qkv_HF, layer.qkv_bias_F)
        qkv_BND = qkv_BF.view(B, heads + layer.key_heads, -1)
        qk_BND = qkv_BND[:, :heads]
        if layer.head_norm is not None:
            qk_BND = _normalise_heads(qk_BND, layer)
        half = qk_BND.shape[-1] // 2
        left, right = qk_BND[..., :half], qk_BND[..., half:]
        turned_BND = torch.empty_like(qk_BND, memory_format=torch.contiguous_format)
        torch.mul(left, cos_B1D, out=turned_BND[..., :half]).addcmul_(right, sin_B1D, value=-1)
        torch.mul(right, cos_B1D, out=turned_BND[..., half:]).addcmul_(left, sin_B1D)
        attended_BHD = decode_attention(
            cache,
            index,
            turned_BND[:, : layer.query_heads],
            turned_BND[:, layer.query_heads :],
            qkv_BND[:, heads:],
            layer.scale,
            layer.window,
        )
        attended_BF = attended_BHD.view(B, -1)
        if layer.out_bias_H is not None:
            x_BH = x_BH + layer.out_bias_H
        x_BH = torch.addmm(x_BH, attended_BF, layer.out_FH)
        if layer.mixture is not None:
            assert layer.mixture_norm_H is not None
            normed_BH = _unit(x_BH, layer.eps[1]) * layer.mixture_norm_H
            mixed = layer.mixture(normed_BH[:, None])
            return x_BH + (mixed[0] if isinstance(mixed, tuple) else mixed)[:, 0]
        assert layer.gate_up_HF is not None
        assert layer.down_FH is not None
        gate_up_BF = _unit(x_BH, layer.eps[1]) @ layer.gate_up_HF
        inner = gate_up_BF.shape[1] // 2
        hidden_BF = F.silu(gate_up_BF[:, :inner], inplace=True).mul_(gate_up_BF[:, inner:])
        return torch.addmm(x_BH, hidden_BF, layer.down_FH)


def lean_decoder(model: PreTrainedModel, positions: int) -> LeanDecoder | None:
    """A decoder for `model` and sequences of up to `positions` tokens, or None where the model is of another shape.

    To be called while the model attends through `shared_prefix_attention`.
    """
    rope = getattr(model.config, "rope_parameters", None) or {}
    if model.dtype != torch.float32 or rope.get("rope_type", "default") not in ROTARY:
        return None
    try:
        decoder = LeanDecoder(model, positions)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None
    return decoder if _reproduces(decoder, model) else None


def _reproduces(decoder: LeanDecoder, model: PreTrainedModel) -> bool:
    """Whether the model's own logits come out: two prompts, two rows each, two steps."""
    vocabulary = decoder.embedding.shape[0]
    prompt_ST = torch.arange(4, device=model.device).view(2, 2) * 7 % vocabulary
    ids_B = torch.arange(4, device=model.device) * 11 % vocabulary
    answers = []
    for lean in (False, True):
        cache = PrefixCache(2, 2, 2, 2, model.device)
        cache.begin_prefill(torch.ones_like(prompt_ST, dtype=torch.bool))
        model(input_ids=prompt_ST, position_ids=torch.tensor([[0, 1]] * 2, device=model.device), use_cache=False, prefix_cache=cache)
        for block in range(2):
            cache.place(block, block)
        for step in range(2):
            at_B = torch.full_like(ids_B, step)
            cache.begin_step(2, at_B, step + 1, 2)
            if lean:
                logits_BV = decoder.logits(ids_B, at_B + 2, cache)
            else:
                logits_BV = model(
                    input_ids=ids_B[:, None], position_ids=at_B[:, None] + 2, use_cache=False, prefix_cache=cache
                ).logits[:, -1]
        answers.append(logits_BV.float())
    scale = answers[0].std() + 1e-6
    return bool(((answers[0] - answers[1]).abs().max() / scale) < 1e-3)


def _read_layer(layer: Any, config: Any) -> _Layer:
    """The parts of a decoder layer; AttributeError where it has others."""
    attention, mlp = layer.self_attn, layer.mlp
    before, after = layer.input_layernorm, layer.post_attention_layernorm
    if {name for name, _ in layer.named_children()} != {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}:
        raise ValueError("a layer with other parts")
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    width = attention.head_dim
    biases = [p.bias for p in projections]
    dense = hasattr(mlp, "gate_proj")
    if dense and (mlp.gate_proj.bias is not None or not isinstance(mlp.act_fn, nn.SiLU) and type(mlp.act_fn).__name__ != "SiLUActivation"):
        raise ValueError("an MLP of another kind")
    head_norm = None
    if hasattr(attention, "q_norm"):
        weights = [attention.q_norm.weight, attention.k_norm.weight]
        kind = "head" if weights[0].shape[0] == width else "width"
        shapes = (attention.q_proj.out_features // width, attention.k_proj.out_features // width)
        weight = torch.cat(
            [w.expand(n, width) if kind == "head" else w.view(n, width) for w, n in zip(weights, shapes, strict=True)]
        )
        head_norm = (kind, weight, _eps(attention.q_norm))
    return _Layer(
        qkv_HF=(torch.cat([p.weight for p in projections]) * before.weight).t().contiguous(),
        qkv_bias_F=None if biases[0] is None else torch.cat(biases),
        out_FH=attention.o_proj.weight.t(),
        out_bias_H=attention.o_proj.bias,
        query_heads=attention.q_proj.out_features // width,
        key_heads=attention.k_proj.out_features // width,
        head_norm=head_norm,
        scale=attention.scaling,
        window=getattr(attention, "sliding_window", None),
        eps=(_eps(before), _eps(after)),
        gate_up_HF=(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * after.weight).t().contiguous() if dense else None,
        down_FH=mlp.down_proj.weight.t() if dense else None,
        mixture=None if dense else mlp,
        mixture_norm_H=None if dense else after.weight,
    )


def _eps(norm: Any) -> float:
    return float(norm.variance_epsilon)


def _unit(x: Tensor, eps: float) -> Tensor:
    """x / √(mean x² + ε) over the last axis."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight if bias is None else torch.addmm(bias, x, weight)


def _normalise_heads(qk_BND: Tensor, layer: _Layer) -> Tensor:
    """Query-key normalisation: a head at a time (Qwen3), or over all query and all key heads (OLMoE)."""
    assert layer.head_norm is not None
    kind, weight_ND, eps = layer.head_norm
    if kind == "head":
        return _unit(qk_BND, eps).mul_(weight_ND)
    B, N, D = qk_BND.shape
    parts = qk_BND.split([layer.query_heads, layer.key_heads], 1)
    return torch.cat([_unit(p.reshape(B, -1), eps).view(B, -1, D) for p in parts], 1).mul_(weight_ND)
