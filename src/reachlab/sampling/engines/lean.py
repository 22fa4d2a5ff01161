"""One decoding step of a Llama-shaped model on a CPU, in as few passes over memory as it takes.

For a small model a step through the modules is mostly overhead: dozens of small operations a layer, each a pass over
memory and a fresh allocation. The same function, with n(x) = x / √(mean x² + ε):

    q, k, v = n(x) Wqkv          Wqkv = [Wq; Wk; Wv] diag(norm weight): one product
    a       = attention(q, k, v)                                        one kernel (`kernels.py`)
    x       ← x + a Wo
    g, u    = n(x) Wgu           likewise
    x       ← x + (silu(g) · u) Wd
    logits  = n(x) Wout

A sparse mixture's tokens are sorted by expert, so that an expert is two products as well. It fits Llama, Mistral,
Qwen2, Qwen3, OLMoE, Qwen3-MoE, Mixtral and their like. Whether it fits a given model is not guessed from its name: the
structure is looked for, and then the model's own logits must come out on a probe (`fits`); otherwise the engine
goes through the modules. Weights are read when the decoder is made: make it anew after an update.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.sampling.engines import kernels
from reachlab.sampling.engines.shared_prefix import PrefixCache

ROTARY = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose angles depend on the position alone."""
NO_NORM, HEAD_NORM, WIDTH_NORM = 0, 1, 2


@dataclass(frozen=True)
class _Mixture:
    router: Any
    gate_up_EHF: Tensor
    down_EFH: Tensor
    norm_H: Tensor


@dataclass(frozen=True)
class _Layer:
    qkv_HF: Tensor
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
    gate_up_HF: Tensor | None
    down_FH: Tensor | None
    mixture: _Mixture | None


class LeanDecoder:
    """Computes logits of one token a row, given a `PrefixCache` that is ready for the step. One thread at a time.

    Made for a model that `fits`, sequences of up to `positions` tokens and batches of `rows`.
    """

    @torch.no_grad()
    def __init__(self, model: Any, positions: int, rows: int):
        body = model.get_decoder()
        self.embedding: Tensor = body.embed_tokens.weight
        self.layers = [_read_layer(layer) for layer in body.layers]
        self.eps = _eps(body.norm)
        self.logits_HV = (model.lm_head.weight * body.norm.weight).t().contiguous()
        cos, sin = body.rotary_emb(self.embedding[:1, None], torch.arange(positions)[None])
        half = cos.shape[-1] // 2
        # Both halves hold the same angles.
        self.cos_TD, self.sin_TD = (t[0, :, :half].contiguous().numpy() for t in (cos, sin))
        # Every buffer is allocated once: fresh memory costs more than the arithmetic on it.
        self.rows, self.buffers = rows, dict[tuple[str, int], Tensor]()

    def buffer(self, name: str, rows: int, width: int) -> Tensor:
        """A reused (rows, width) buffer."""
        key = (name, width)
        if key not in self.buffers or len(self.buffers[key]) < rows:
            self.buffers[key] = torch.empty(max(rows, self.rows), width)
        return self.buffers[key][:rows]

    def logits(self, ids_B: Tensor, positions_B: Tensor, cache: PrefixCache) -> Tensor:
        """Logits after token `ids_B` at position `positions_B` of each row: (B, V), valid until the next call."""
        B = len(ids_B)
        x_BH = torch.index_select(self.embedding, 0, ids_B, out=self.buffer("x", B, self.embedding.shape[1]))
        angles = self.cos_TD[positions_B.numpy()], self.sin_TD[positions_B.numpy()]
        at_B, start_G = cache.positions_B.numpy(), cache.prefix_start_G()
        for layer, prefix, own in zip(self.layers, cache.prefix_GHTD, cache.own_GRHTD, strict=True):
            qkv_BF = self._project("qkv", self._unit(x_BH, layer.eps[0]), layer.qkv_HF, layer.qkv_bias_F)
            attended_BF = self.buffer("attended", B, layer.out_FH.shape[0])
            prefix_keys, prefix_values = (t[: cache.active].numpy() for t in prefix)
            own_keys, own_values = (t[: cache.active].flatten(0, 1).numpy() for t in own)
            kernels.attend(
                (0,) * own_keys.shape[-1], qkv_BF.numpy(), *angles, layer.norm_ND, layer.norm, layer.norm_eps,
                prefix_keys, prefix_values, start_G, own_keys, own_values, at_B,
                layer.scale, layer.window, attended_BF.numpy(),
            )  # fmt: skip
            torch.addmm(x_BH, attended_BF, layer.out_FH, out=x_BH)
            if layer.out_bias_H is not None:
                x_BH += layer.out_bias_H
            if layer.mixture is not None:
                self._mix(x_BH, layer.mixture, layer.eps[1])
            elif layer.gate_up_HF is not None and layer.down_FH is not None:
                gate_up_BF = self._project("gate_up", self._unit(x_BH, layer.eps[1]), layer.gate_up_HF)
                torch.addmm(x_BH, self._gate(gate_up_BF), layer.down_FH, out=x_BH)
        return self._project("logits", self._unit(x_BH, self.eps), self.logits_HV)

    def _unit(self, x_BH: Tensor, eps: np.float32) -> Tensor:
        out_BH = self.buffer("unit", *x_BH.shape)
        kernels.unit(x_BH.numpy(), eps, out_BH.numpy())
        return out_BH

    def _project(self, name: str, x_BH: Tensor, weight_HF: Tensor, bias_F: Tensor | None = None) -> Tensor:
        out_BF = torch.mm(x_BH, weight_HF, out=self.buffer(name, len(x_BH), weight_HF.shape[1]))
        return out_BF if bias_F is None else out_BF.add_(bias_F)

    @staticmethod
    def _gate(gate_up_BF: Tensor) -> Tensor:
        """silu(g) · u, in the place of g."""
        gate_BF, up_BF = gate_up_BF.chunk(2, dim=1)
        return torch.nn.functional.silu(gate_BF, inplace=True).mul_(up_BF)

    def _mix(self, x_BH: Tensor, mixture: _Mixture, eps: np.float32) -> None:
        """x ← x + Σ_k w_k E_k(n(x)), expert by expert over the tokens that chose it."""
        h_BH = self._unit(x_BH, eps).mul_(mixture.norm_H)
        _, weights_BK, experts_BK = mixture.router(h_BH)
        K, (E, H, F) = experts_BK.shape[1], mixture.gate_up_EHF.shape
        ends_E, token_S, place_BK = kernels.group(experts_BK.numpy(), E)
        h_SH = torch.index_select(h_BH, 0, torch.from_numpy(token_S), out=self.buffer("chosen", len(token_S), H))
        gate_up_SF, out_SH = self.buffer("gate_up", len(token_S), F), self.buffer("experts", len(token_S), H)
        parts = [slice(a, b) for a, b in zip([0, *ends_E[:-1].tolist()], ends_E.tolist(), strict=True)]
        for e, part in enumerate(parts):
            if part.start < part.stop:
                torch.mm(h_SH[part], mixture.gate_up_EHF[e], out=gate_up_SF[part])
        hidden_SF = self._gate(gate_up_SF)
        for e, part in enumerate(parts):
            if part.start < part.stop:
                torch.mm(hidden_SF[part], mixture.down_EFH[e], out=out_SH[part])
        kernels.combine(out_SH.numpy(), place_BK, weights_BK.numpy().reshape(-1, K), x_BH.numpy())


@torch.no_grad()
def fits(model: PreTrainedModel) -> bool:
    """Whether a `LeanDecoder` computes what `model` does; to be asked within `shared_prefix_attention`."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    on_cpu = model.device.type == "cpu" and model.dtype == torch.float32
    if not on_cpu or rope.get("rope_type", "default") not in ROTARY:
        return False
    try:
        return _reproduces(LeanDecoder(model, 8, 4), model)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False


def _reproduces(decoder: LeanDecoder, model: PreTrainedModel) -> bool:
    """Whether the model's own logits come out: two prompts, two rows each, two steps."""
    vocabulary = decoder.embedding.shape[0]
    prompt_ST = torch.arange(4).view(2, 2) * 7 % vocabulary
    ids_B = torch.arange(4) * 11 % vocabulary
    answers = []
    for lean in (False, True):
        cache = PrefixCache(2, 2, 2, 2, model.device)
        cache.begin_prefill(torch.ones_like(prompt_ST, dtype=torch.bool))
        model(input_ids=prompt_ST, position_ids=torch.tensor([[0, 1]] * 2), use_cache=False, prefix_cache=cache)
        for block in range(2):
            cache.place(block, block)
        for step in range(2):
            at_B = torch.full_like(ids_B, step)
            cache.begin_step(2, at_B, step + 1, 2)
            if lean:
                logits_BV = decoder.logits(ids_B, at_B + 2, cache).clone()
            else:
                logits_BV = model(
                    input_ids=ids_B[:, None],
                    position_ids=at_B[:, None] + 2,
                    use_cache=False,
                    prefix_cache=cache,
                ).logits[:, -1]
        answers.append(logits_BV)
    return bool((answers[0] - answers[1]).abs().max() < 1e-3 * (answers[0].std() + 1e-6))


def _read_layer(layer: Any) -> _Layer:
    """The parts of a decoder layer; an error of some kind where it has others."""
    if {name for name, _ in layer.named_children()} != {
        "self_attn", "mlp", "input_layernorm", "post_attention_layernorm",
    }:  # fmt: skip
        raise ValueError("a layer with other parts")
    attention, before, after = layer.self_attn, layer.input_layernorm, layer.post_attention_layernorm
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    width = attention.head_dim
    heads = (attention.q_proj.out_features // width, attention.k_proj.out_features // width)
    norm, norm_ND, norm_eps = NO_NORM, np.zeros((sum(heads), width), np.float32), 0.0
    if hasattr(attention, "q_norm"):
        weights = [attention.q_norm.weight, attention.k_norm.weight]
        norm = HEAD_NORM if len(weights[0]) == width else WIDTH_NORM
        norm_ND = torch.cat([w.view(-1, width).expand(n, width) for w, n in zip(weights, heads, strict=True)]).numpy()
        norm_eps = attention.q_norm.variance_epsilon
    mixture = _read_mixture(layer.mlp, after.weight) if hasattr(layer.mlp, "experts") else None
    return _Layer(
        qkv_HF=(torch.cat([p.weight for p in projections]) * before.weight).t().contiguous(),
        qkv_bias_F=None if projections[0].bias is None else torch.cat([p.bias for p in projections]),
        out_FH=attention.o_proj.weight.t(),
        out_bias_H=attention.o_proj.bias,
        heads=heads,
        norm=norm,
        norm_ND=norm_ND,
        norm_eps=np.float32(norm_eps),
        scale=np.float32(attention.scaling),
        # Families with windows in some layers keep them in the layer; the others read the configuration.
        window=getattr(attention, "sliding_window", getattr(attention.config, "sliding_window", None)) or 0,
        eps=(_eps(before), _eps(after)),
        gate_up_HF=None if mixture else _gate_up(layer.mlp, after.weight),
        down_FH=None if mixture else layer.mlp.down_proj.weight.t(),
        mixture=mixture,
    )


def _gate_up(mlp: Any, norm_H: Tensor) -> Tensor:
    if mlp.gate_proj.bias is not None:
        raise ValueError("an MLP with biases")
    return (torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * norm_H).t().contiguous()


def _read_mixture(mlp: Any, norm_H: Tensor) -> _Mixture:
    if {name for name, _ in mlp.named_children()} != {"gate", "experts"}:
        raise ValueError("a mixture with other parts, such as shared experts")
    experts = mlp.experts
    return _Mixture(mlp.gate, experts.gate_up_proj.mT, experts.down_proj.mT, norm_H)


def _eps(norm: Any) -> np.float32:
    return np.float32(norm.variance_epsilon)
