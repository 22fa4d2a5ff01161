"""The weights of a Llama-shaped model as `fused_cpu.py` multiplies with them: read once a call, shared by its threads.

Every matrix lies as (in, out), so that a product reads it in order, and a wide one in panels of at most `PANEL`
columns: over a matrix with longer rows the product walks from page to page, and MKL's float32 products took 1.6 times
as long (128 rows, 576 x 3,072 and 576 x 49,152). Norm weights are multiplied into the matrices that follow them.

Axes. N: panels, H: hidden width, F: width inside a projection, V: vocabulary, E: experts, D: width of a head.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

PANEL = 384
"""Columns of a panel, at most."""
NO_NORM, HEAD_NORM, WIDTH_NORM = 0, 1, 2
READ = re.compile(
    r"self_attn\.([qkvo]_proj\.(weight|bias)|[qk]_norm\.weight)$|mlp\.(gate|up|down)_proj\.weight$|"
    r"mlp\.experts\.(gate_up|down)_proj$|layernorm\.weight$|body\.(norm|embed_tokens)\.weight$|^head\.weight$"
)
"""Parameters that are read here."""
ASKED = re.compile(r"(mlp\.gate|^body\.rotary_emb)(\.|$)")
"""Modules that are called as they are."""


@dataclass(frozen=True)
class Mixture:
    """A sparse mixture: its router is asked as it is, its experts are multiplied with one by one."""

    router: Any
    gate_up_EHF: Tensor
    down_EFH: Tensor
    norm_H: Tensor


@dataclass(frozen=True)
class FusedCpuLayer:
    """A decoder layer."""

    qkv_NHF: list[Tensor]
    qkv_bias_F: Tensor | None
    out_FH: Tensor
    out_bias_H: Tensor | None
    heads: tuple[int, int]  # query heads, key heads
    norm: int
    norm_ND: np.ndarray
    norm_eps: np.float32
    scale: np.float32
    window: int
    eps: tuple[np.float32, np.float32]
    gate_up_NHF: Tensor | None  # panels of the gate, then as many of what it gates
    down_FH: Tensor | None
    mixture: Mixture | None


class FusedCpuWeights:
    """What a `FusedCpuDecoder` needs of a model.

    Raises:
        AttributeError, ValueError and their like: the model has other parts.
    """

    @torch.no_grad()
    def __init__(self, model: Any):
        body = model.get_decoder()
        self.embedding: Tensor = body.embed_tokens.weight
        self.layers = [_read_layer(layer) for layer in body.layers]
        self.eps = _eps(body.norm)
        self.logits_NHV = _panels(model.lm_head.weight, body.norm.weight)
        self.rotary = body.rotary_emb


def unread(model: Any) -> set[str]:
    """The parameters and buffers of a model's text part that `FusedCpuWeights` does not read, and that the decoder has
    no use for therefore: a bias that is still 0, for instance. Routers and rotary embeddings are called as they are."""
    parts = {f"body.{name}": part for name, part in model.get_decoder().named_modules()} | {"head": model.lm_head}
    return {
        f"{name}.{inside}"
        for name, part in parts.items()
        if not ASKED.search(name)
        for inside in (*dict(part.named_parameters(recurse=False)), *dict(part.named_buffers(recurse=False)))
        if not READ.search(f"{name}.{inside}")
    }


def _panels(weight_FH: Tensor, norm_H: Tensor | None = None) -> list[Tensor]:
    """The transposed matrix, cut into panels."""
    parts = []
    for part_FH in weight_FH.tensor_split(-(-len(weight_FH) // PANEL)):
        panel_HF = torch.empty(weight_FH.shape[1], len(part_FH))
        parts.append(
            panel_HF.copy_(part_FH.t()) if norm_H is None else torch.mul(part_FH.t(), norm_H[:, None], out=panel_HF)
        )
    return parts


def _read_layer(layer: Any) -> FusedCpuLayer:
    """The parts of a decoder layer; an error of some kind where it has others."""
    if {name for name, _ in layer.named_children()} != {
        "self_attn", "mlp", "input_layernorm", "post_attention_layernorm",
    }:  # fmt: skip
        raise ValueError("a layer with other parts")
    attention, before, after = layer.self_attn, layer.input_layernorm, layer.post_attention_layernorm
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    biases = [p.bias for p in projections if p.bias is not None]
    if len(biases) not in (0, len(projections)):
        raise ValueError("biases of some projections")
    width = attention.head_dim
    heads = (attention.q_proj.out_features // width, attention.k_proj.out_features // width)
    norm, norm_ND, norm_eps = NO_NORM, np.zeros((sum(heads), width), np.float32), 0.0
    if hasattr(attention, "q_norm"):
        weights = [attention.q_norm.weight, attention.k_norm.weight]
        norm = HEAD_NORM if len(weights[0]) == width else WIDTH_NORM
        norm_ND = torch.cat([w.view(-1, width).expand(n, width) for w, n in zip(weights, heads, strict=True)]).numpy()
        norm_eps = attention.q_norm.variance_epsilon
    mixture = _read_mixture(layer.mlp, after.weight) if hasattr(layer.mlp, "experts") else None
    return FusedCpuLayer(
        qkv_NHF=_panels(torch.cat([p.weight for p in projections]), before.weight),
        qkv_bias_F=torch.cat(biases) if biases else None,
        out_FH=attention.o_proj.weight.t().contiguous(),
        out_bias_H=attention.o_proj.bias,
        heads=heads,
        norm=norm,
        norm_ND=norm_ND,
        norm_eps=np.float32(norm_eps),
        scale=np.float32(attention.scaling),
        # Families with windows in some layers keep them in the layer; the others read the configuration.
        window=getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None)) or 0,
        eps=(_eps(before), _eps(after)),
        gate_up_NHF=None if mixture else _gate_up(layer.mlp, after.weight),
        down_FH=None if mixture else layer.mlp.down_proj.weight.t().contiguous(),
        mixture=mixture,
    )


def _gate_up(mlp: Any, norm_H: Tensor) -> Tensor:
    """The two matrices' panels, all of one width: what is missing in the last ones is 0."""
    if mlp.gate_proj.bias is not None:
        raise ValueError("an MLP with biases")
    F, H = mlp.gate_proj.weight.shape
    count = -(-F // PANEL)
    width = -(-F // count)
    panels_NHF = torch.zeros(2 * count, H, width)
    for matrix, proj in enumerate((mlp.gate_proj, mlp.up_proj)):
        for number, part_FH in enumerate(proj.weight.split(width)):
            target_HF = panels_NHF[matrix * count + number, :, : len(part_FH)]
            torch.mul(part_FH.t(), norm_H[:, None], out=target_HF)
    return panels_NHF


def _read_mixture(mlp: Any, norm_H: Tensor) -> Mixture:
    if {name for name, _ in mlp.named_children()} != {"gate", "experts"}:
        raise ValueError("a mixture with other parts, such as shared experts")
    experts = mlp.experts
    return Mixture(mlp.gate, experts.gate_up_proj.mT, experts.down_proj.mT, norm_H)


def _eps(norm: Any) -> np.float32:
    return np.float32(norm.variance_epsilon)
