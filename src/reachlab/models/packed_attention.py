"""Attention within a pack: rows of queries that share a prompt's keys, gathered from one row of tokens and put back.

    o = softmax(s · q [ K prompt ; K own ]ᵀ + bias) [ V prompt ; V own ],   bias = 0 where a query may look, else −∞

`packing.py` says why, and makes the layouts. Registered with transformers' `AttentionInterface` under `NAME`; without a
layout it is attention as ever.

Axes. B: rows of a block, T: own tokens of a row, W: tokens before them, S = W + T: keys, L: tokens of the pack,
N: those of a block, P: prompts, Q: query heads, H: key heads, D: width of a head, F: all heads' widths.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "reachlab_packed"
NOWHERE = 2**31 - 1
"""The position of a key that is padding: after every query."""


@dataclass(frozen=True)
class AttentionBlock:
    """Rows of nearly equal length that attend together: B rows of T own tokens, after a prefix of W; S = W + T keys."""

    query_BT: Tensor  # where in the pack; padding points at a row's last token
    key_BS: Tensor
    query_slots_N: Tensor  # where in the flattened (B, T) the block's tokens are, in the pack's order
    key_slots_N: Tensor  # likewise in (B, S)
    at_BT: Tensor  # positions
    key_at_BS: Tensor
    owner_PB: Tensor  # 1 where row b answers prompt p

    @property
    def width(self) -> int:
        """W, tokens of the prefix."""
        return self.key_BS.shape[1] - self.query_BT.shape[1]

    def bias(self, window: int | None, repeat: int, dtype: torch.dtype) -> Tensor:
        """0 where a query may look and −∞ elsewhere, (B, 1, repeat · T, S).

        Args:
            window: tokens that a query sees, its own included; None: all before it.
            repeat: query heads a key head, whose queries stand below each other.
            dtype: of the bias.
        """
        query_at, key_at = self.at_BT[:, :, None], self.key_at_BS[:, None, :]
        visible_BTS = key_at <= query_at
        if window:
            visible_BTS &= key_at > query_at - window
        # Rows begin at multiples of 16, or a CUDA kernel would copy the mask in every layer.
        B, T, S = visible_BTS.shape
        bias_BTS = torch.zeros(B, T, -(-S // 16) * 16, dtype=dtype, device=visible_BTS.device)
        bias_BTS[..., :S].masked_fill_(~visible_BTS, float("-inf"))
        return bias_BTS.repeat(1, repeat, 1)[:, None, :, :S]


@dataclass(frozen=True)
class Layout:
    """The blocks of a pack in the order of its tokens, the prompts first; and the masks its layers share."""

    blocks: list[AttentionBlock]
    longest: int  # of its sequences
    windows: set[int] = field(default_factory=set)  # that a layer asked for
    biases: dict[tuple[int | None, int, torch.dtype], list[Tensor]] = field(default_factory=dict)

    def bias(self, window: int | None, repeat: int, dtype: torch.dtype) -> list[Tensor]:
        """A mask a block, made when first asked for.

        Args:
            window: tokens that a query sees; None: all before it.
            repeat: query heads a key head.
            dtype: of the bias.
        """
        if window:
            self.windows.add(window)
        key = (window if window and window < self.longest else None, repeat, dtype)
        if key not in self.biases:
            self.biases[key] = [block.bias(*key) for block in self.blocks]
        return self.biases[key]


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """What transformers calls at every layer.

    Args:
        module: the layer's attention.
        query: (B, Q, L, D); with a pack, B is 1.
        key: (B, H, L, D). value: likewise, of its own width.
        attention_mask: transformers'; a pack has its own.
        keywords: the layer's settings, and the pack's layout as `packed`; without one it is attention as ever.

    Returns:
        What was attended to, (B, L, Q, width of a value).

    Raises:
        ValueError: attention that cannot be packed.
    """
    packed: Layout | None = keywords.pop("packed", None)
    scaling, dropout = keywords.pop("scaling", None), keywords.pop("dropout", 0.0)
    sliding_window, softcap = keywords.pop("sliding_window", None), keywords.pop("softcap", None)
    s_aux: Tensor | None = keywords.pop("s_aux", None)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if packed is None:
        if softcap is None and s_aux is None:
            plain: tuple[Tensor, None] = sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout, scale, **keywords
            )
            return plain
        bias, sinks = _full_bias(query, key, attention_mask), None if s_aux is None else s_aux.view(1, -1, 1, 1)
        return _attention(query, key, value, bias, scale, dropout, softcap, sinks).transpose(1, 2), None
    strange = [n for n, v in keywords.items() if isinstance(v, Tensor) and n not in ("position_ids", "cache_position")]
    if strange:
        raise ValueError(f"{type(module).__name__}: attention with {', '.join(strange)} cannot be packed")
    repeat = query.shape[1] // key.shape[1]
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    queries, keys, values = (
        _Spread.apply(x[0].transpose(0, 1), packed, prefixed)  # type: ignore[no-untyped-call]
        for x, prefixed in ((query, False), (key, True), (value, True))
    )
    attended = []
    for q, k, v, bias in zip(queries, keys, values, packed.bias(sliding_window, repeat, dtype), strict=True):
        B, T, Q, D = q.shape
        # Query heads that share a key head stand below each other: no copy of keys, and one mask for all.
        q_BHTD = q.view(B, T, Q // repeat, repeat, D).permute(0, 2, 3, 1, 4).reshape(B, Q // repeat, repeat * T, D)
        sinks = (
            None if s_aux is None else s_aux.view(1, -1, repeat, 1).expand(-1, -1, -1, T).reshape(1, -1, repeat * T, 1)
        )
        out = _attention(q_BHTD, k.transpose(1, 2), v.transpose(1, 2), bias, scale, dropout, softcap, sinks)
        attended.append(out.view(B, Q // repeat, repeat, T, -1).permute(0, 3, 1, 2, 4).reshape(B, T, Q, -1))
    return _Join.apply(packed, *attended)[None], None  # type: ignore[no-untyped-call]


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    scale: float,
    dropout: float,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """softmax(s · q kᵀ + bias) v, all (B, H, ·, D); with scores softly capped, and sinks that take their share."""
    if softcap is None and sinks is None:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, scale=scale)
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = (q @ k.transpose(-1, -2)) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores + bias
    if sinks is not None:
        scores = torch.cat([scores, sinks.expand(*scores.shape[:-1], 1)], -1)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(v.dtype)
    return F.dropout(weights[..., : k.shape[2]], dropout) @ v


def _full_bias(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """What is added to the scores of an unpacked call: causal where transformers left the mask out."""
    if mask is not None and mask.dtype != torch.bool:
        return mask
    T, S = query.shape[2], key.shape[2]
    if mask is None:
        mask = torch.ones(T, S, dtype=torch.bool, device=query.device).tril(S - T)
    return torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill_(
        ~mask, torch.finfo(query.dtype).min
    )


class _Spread(torch.autograd.Function):
    """A pack's tokens (L, ...) as the padded rows of each block, with the prompt before them where `prefixed`.

    Every own token is in one place of the rows, so its gradient is gathered and not added up. A prompt's is summed over
    the rows that answer it, as a matrix product: in one order, on every device. Padding has no gradient: no query
    sees such a key, and no one reads the output of such a query.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layout: Layout, prefixed: bool) -> tuple[Tensor, ...]:
        ctx.layout, ctx.prefixed = layout, prefixed
        x_LF, tail = x.flatten(1), x.shape[1:]
        places = (block.key_BS if prefixed else block.query_BT for block in layout.blocks)
        return tuple(x_LF.index_select(0, at.flatten()).view(*at.shape, *tail) for at in places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        blocks, tail = ctx.layout.blocks, grads[0].shape[2:]
        slots = (block.key_slots_N if ctx.prefixed else block.query_slots_N for block in blocks)
        rows = [grad.flatten(0, 1).flatten(1) for grad in grads]
        grad_LF = torch.cat([row.index_select(0, at) for row, at in zip(rows, slots, strict=True)])
        if ctx.prefixed and len(blocks) > 1:
            prompts, width = blocks[0], blocks[1].width
            shared = torch.zeros((), dtype=grad_LF.dtype, device=grad_LF.device)
            for block, row in zip(blocks[1:], rows[1:], strict=True):
                prefix_BF = row.reshape(len(block.key_BS), -1)[:, : width * row.shape[1]]
                shared = shared + block.owner_PB.to(row.dtype) @ prefix_BF
            shared_NF = shared.reshape(-1, grad_LF.shape[1]).index_select(0, prompts.key_slots_N)
            grad_LF[: len(shared_NF)] += shared_NF
        return grad_LF.view(-1, *tail), None, None


class _Join(torch.autograd.Function):
    """The blocks' rows (B, T, ...) as the pack's tokens (L, ...), without the padding."""

    @staticmethod
    def forward(ctx: Any, layout: Layout, *rows: Tensor) -> Tensor:
        ctx.layout, ctx.shapes = layout, [row.shape for row in rows]
        slots = [block.query_slots_N for block in layout.blocks]
        joined = rows[0].new_empty(sum(map(len, slots)), *rows[0].shape[2:])
        # Gathered straight into their places: no second copy.
        for part, row, at in zip(torch.split(joined, [*map(len, slots)]), rows, slots, strict=True):
            torch.index_select(row.flatten(0, 1), 0, at, out=part)
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        blocks = ctx.layout.blocks
        parts = torch.split(grad, [len(block.query_slots_N) for block in blocks])
        gradients = []
        for part, block, shape in zip(parts, blocks, ctx.shapes, strict=True):
            rows = part.new_zeros(shape[0] * shape[1], *shape[2:])
            gradients.append(rows.index_copy_(0, block.query_slots_N, part).view(shape))
        return None, *gradients


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
