"""Attention over a prompt that many samples share, and the cache behind it.

Rows come in blocks: G blocks of R rows, all rows of a block answering the same prompt. A decoding row b of block g
attends to

    keys = [ prefix of g (Tp tokens, stored once a block) ; its own tokens (up to To, stored a row) ]

    o_b = softmax( s · [ q_b Kprefix_gᵀ ; q_b Kown_bᵀ ] + mask ) · [ Vprefix_g ; Vown_b ]

so the prompt's keys are read once for R rows, as one matrix product (Bifurcated attention, arXiv 2403.08845).
Everything is allocated once; decoding copies no cache. Values may be of another width than keys (DeepSeek's MLA). A
sink (gpt-oss) is one more score a head, which takes its share of the softmax and adds nothing.

The attention function is registered with transformers' `AttentionInterface`; the state travels as a keyword through the
model's own forward pass, so no model is edited.

Axes. G: blocks, R: rows of a block, B = G·R: rows, Q: query heads, H: key heads, T: tokens, To and Tp: own tokens and
those of a prompt, S: places on the shelf, D: width of a head.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from transformers import AttentionInterface, PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.models.vision import set_text_attention

NAME = "reachlab_shared_prefix"

Pair = tuple[torch.Tensor, torch.Tensor]
"""Keys and values."""


@dataclass(frozen=True)
class AttentionSettings:
    """What a layer says of its attention."""

    scale: float
    """What scores are multiplied by."""
    window: int | None = None
    """Tokens that a query sees, its own included; None: all before it."""
    softcap: float | None = None
    """c of c · tanh(score / c)."""
    sinks_Q: torch.Tensor | None = None
    """One more score a query head, which takes its share of the softmax and adds nothing."""

    @classmethod
    def of(cls, query: torch.Tensor, keywords: Mapping[str, Any]) -> "AttentionSettings":
        """The settings among the keywords that transformers hands to an attention function.

        Args:
            query: (..., D), for the usual scale.
            keywords: all that transformers hands over.
        """
        scale = keywords.get("scaling")
        return cls(
            scale if scale is not None else query.shape[-1] ** -0.5,
            keywords.get("sliding_window"),
            keywords.get("softcap"),
            keywords.get("s_aux"),
        )


class PrefixCache:
    """Keys and values of G blocks × R rows, for every layer. Axes: G blocks, R rows, H key/value heads, T tokens, D."""

    def __init__(self, blocks: int, rows: int, prefix_tokens: int, own_tokens: int, device: torch.device):
        self.blocks, self.rows = blocks, rows
        self.prefix_tokens, self.own_tokens = prefix_tokens, own_tokens
        self.prefix_GHTD: list[Pair] = []
        self.own_GRHTD: list[Pair] = []
        self.prefix_valid_GT = torch.zeros(blocks, prefix_tokens, dtype=torch.bool, device=device)
        # Prompts already prefilled and waiting for a block: keys and values a layer, and which positions are real.
        self.shelf: list[Pair] = []
        self.shelf_valid_ST = self.prefix_valid_GT[:0]
        # What the layers of one decoding step share.
        self.active = self.longest = self.prefix_used = 0
        self.positions_B = self.rows_B = torch.zeros(0, dtype=torch.long, device=device)
        self.lockstep: int | None = None
        self.bias_B1T: torch.Tensor | None = None
        self.prefilling = False
        # Where somebody listens (`probe.py`), the queries of one step, a layer each.
        self.queries: list[torch.Tensor] | None = None

    def begin_prefill(self, valid_ST: torch.Tensor) -> None:
        """Expect one forward pass over left-padded prompts; its keys and values become the shelf."""
        self.prefilling, self.shelf, self.shelf_valid_ST = True, [], valid_ST

    def place(self, slot: int, block: int) -> None:
        """Give `block` the prompt in `slot` of the shelf.

        Args:
            slot: the prompt's row among those that were prefilled together.
            block: which block gets it.
        """
        if not self.prefix_GHTD:
            for pair in self.shelf:
                heads, (key, value) = pair[0].shape[1], (t.shape[-1] for t in pair)
                like, (G, R) = pair[0].new_zeros, (self.blocks, self.rows)
                prefix, own = (heads, self.prefix_tokens), (heads, self.own_tokens)
                self.prefix_GHTD.append((like(G, *prefix, key), like(G, *prefix, value)))
                self.own_GRHTD.append((like(G, R, *own, key), like(G, R, *own, value)))
        start = self.prefix_tokens - self.shelf_valid_ST.shape[1]
        self.prefix_valid_GT[block] = False
        self.prefix_valid_GT[block, start:] = self.shelf_valid_ST[slot]
        for stores, news in zip(self.prefix_GHTD, self.shelf, strict=True):
            for store, new in zip(stores, news, strict=True):
                store[block, :, start:] = new[slot]

    def copy_prefix(self, source: int, target: int) -> None:
        """Give block `target` the prompt of block `source`."""
        self.prefix_valid_GT[target] = self.prefix_valid_GT[source]
        for pair in self.prefix_GHTD:
            for tensor in pair:
                tensor[target] = tensor[source]

    def move(self, source: int, target: int, own: int) -> None:
        """Copy a whole block into another place; `own` is how many own tokens its longest row has.

        Args:
            source: the block that is copied.
            target: the block that is overwritten.
            own: own tokens of its longest row.
        """
        self.copy_prefix(source, target)
        for pair in self.own_GRHTD:
            for tensor in pair:
                tensor[target, :, :, :own] = tensor[source, :, :, :own]

    def begin_step(self, active: int, positions_B: torch.Tensor, longest: int, prefix_used: int) -> None:
        """Expect one decoding pass over blocks 0 .. active-1.

        Args:
            active: blocks in the batch.
            positions_B: index, among its own tokens, of the token each row feeds.
            longest: own tokens to attend to, the one being fed included.
            prefix_used: length of the longest prompt in the batch.
        """
        self.prefilling, self.active, self.longest, self.prefix_used = False, active, longest, prefix_used
        self.positions_B = positions_B
        if len(self.rows_B) != len(positions_B):
            self.rows_B = torch.arange(len(positions_B), device=positions_B.device)
        own_BT = torch.arange(longest, device=positions_B.device) <= positions_B[:, None]
        prefix_GT = self.prefix_valid_GT[:active, self.prefix_tokens - prefix_used :]
        together = bool(own_BT.all())
        self.lockstep = longest - 1 if together else None
        self.bias_B1T = None
        if not (together and bool(prefix_GT.all())):
            visible_BT = torch.cat([prefix_GT.repeat_interleave(self.rows, 0), own_BT], 1)
            bias_BT = torch.zeros(visible_BT.shape, device=positions_B.device)
            self.bias_B1T = bias_BT.masked_fill_(~visible_BT, float("-inf"))[:, None]

    def begin_fused_cpu_step(self, active: int, prefix_used: int) -> None:
        """Expect one decoding pass of a `FusedCpuDecoder`, which is told the rows itself.

        Args:
            active: blocks in the batch.
            prefix_used: tokens of the longest prompt in the batch.
        """
        self.prefilling, self.active, self.prefix_used = False, active, prefix_used

    def fork(self, sources: np.ndarray, targets: np.ndarray, own: int) -> None:
        """Copy the first `own` own tokens of rows into other rows.

        Args:
            sources: rows that are copied, counted through all blocks.
            targets: as many rows, which are overwritten.
            own: own tokens of each to copy.
        """
        for pair in self.own_GRHTD:
            for tensor in pair:
                rows = tensor.view(-1, *tensor.shape[2:])
                rows[targets, :, :own] = rows[sources, :, :own]

    def begin_padded_step(self, active: int, positions_B: torch.Tensor, longest: int) -> None:
        """As `begin_step`, in shapes that do not follow the rows: prefixes in full, `longest` own tokens, as many as
        any row has or more. Nothing is asked of the device, so the step can be captured.

        Args:
            active: blocks in the batch.
            positions_B: (B,), index, among its own tokens, of the token each row feeds.
            longest: own tokens to attend to, at least as many as any row has.
        """
        self.prefilling, self.active, self.longest, self.prefix_used = False, active, longest, self.prefix_tokens
        self.positions_B, self.lockstep = positions_B, None
        if len(self.rows_B) != len(positions_B):
            self.rows_B = torch.arange(len(positions_B), device=positions_B.device)
        own_BT = torch.arange(longest, device=positions_B.device) <= positions_B[:, None]
        # By index: how often rows repeat would be asked of the device.
        prefix_BT = self.prefix_valid_GT[:active][self.rows_B // self.rows]
        visible_BT = torch.cat([prefix_BT, own_BT], 1)
        bias_BT = torch.zeros(visible_BT.shape, device=positions_B.device)
        self.bias_B1T = bias_BT.masked_fill_(~visible_BT, float("-inf"))[:, None]

    def attend(
        self,
        layer: int,
        query_BQD: torch.Tensor,
        key_BHD: torch.Tensor,
        value_BHD: torch.Tensor,
        how: AttentionSettings,
    ) -> torch.Tensor:
        """One decoding step of a layer; see `decode_attention`."""
        return decode_attention(self, layer, query_BQD, key_BHD, value_BHD, how)

    def prefix_start_G(self) -> np.ndarray:  # noqa: N802
        """The first real position of each active block's prefix, on the host."""
        return self.prefix_tokens - self.prefix_valid_GT[: self.active].sum(1).numpy()

    def distance_BT(self) -> torch.Tensor:  # noqa: N802
        """How far key j of [prefix; own] is behind each row's query; prompts lie against the prefix's right edge."""
        behind_T = self.prefix_used - torch.arange(self.prefix_used + self.longest, device=self.positions_B.device)
        return self.positions_B[:, None] + behind_T


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **keywords: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls at every layer.

    Args:
        module: the layer's attention.
        query: (B, Q, T, D).
        key: (B, H, T, D). value: likewise, of its own width.
        attention_mask: none, for transformers makes none for us.
        keywords: the layer's settings (`AttentionSettings`), and our cache as `prefix_cache`.

    Returns:
        What was attended to, (B, T, Q, width of a value).

    Raises:
        ReachlabError: a family whose attention is something else.
    """
    prefix_cache: PrefixCache | None = keywords.pop("prefix_cache", None)
    how = AttentionSettings.of(query, keywords)
    # What is not known here, and not known to be of no account, might change what is attended to.
    given = {name for name, value in keywords.items() if isinstance(value, torch.Tensor)}
    strange = sorted(given - {"position_ids", "cache_position", "s_aux"})
    if attention_mask is not None:  # not transformers', which makes none for us: one of the layer's own, as Doge's
        strange.append("a mask of its own")
    if prefix_cache is None or strange:
        raise ReachlabError(
            f"{type(module).__name__}: this family's attention cannot be decoded here "
            f"({'does not pass its keywords on' if prefix_cache is None else 'uses ' + ', '.join(strange)})"
        )
    cache = prefix_cache
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    if cache.prefilling:
        if layer != len(cache.shelf):
            raise ReachlabError(
                f"{type(module).__name__}: layers share keys and values, which the engine cannot decode"
            )
        return _prefill(cache, query, key, value, how), None
    return cache.attend(layer, query[:, :, 0], key[:, :, 0], value[:, :, 0], how)[:, None], None


def _prefill(
    cache: PrefixCache,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    how: AttentionSettings,
) -> torch.Tensor:
    """Causal attention within left-padded prompts; their keys and values go on the shelf."""
    cache.shelf.append((key, value))
    length = key.shape[2]
    at_T = torch.arange(length, device=key.device)
    visible = at_T[:, None] >= at_T
    if how.window:
        visible = visible & (at_T[:, None] - at_T < how.window)
    # A padding position sees itself, lest its softmax be 0/0; nothing real sees it.
    visible = (visible & cache.shelf_valid_ST[:, None, :]) | torch.eye(length, dtype=torch.bool, device=key.device)
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if how.softcap or how.sinks_Q is not None:
        scores = (query @ key.transpose(-1, -2)).float() * how.scale
        if how.softcap:
            scores = torch.tanh(scores / how.softcap) * how.softcap
        scores = scores.masked_fill(~visible[:, None], float("-inf"))
        out = _softmax(scores, None if how.sinks_Q is None else how.sinks_Q[:, None, None]).to(value.dtype) @ value
    else:
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None], scale=how.scale)
    return out.transpose(1, 2)


def _softmax(scores: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    """Over the last axis, in float32; a sink, in the scores' shape but for that axis, takes its share of it."""
    scores = scores.float()
    if sinks is None:
        return scores.softmax(-1)
    sinks = sinks.float().expand(*scores.shape[:-1], 1)
    return torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]


def decode_attention(
    cache: PrefixCache,
    layer: int,
    query_BQD: torch.Tensor,
    key_BHD: torch.Tensor,
    value_BHD: torch.Tensor,
    how: AttentionSettings,
) -> torch.Tensor:
    """One token a row, against its block's prefix and its own tokens: (B, Q query heads, width of a value). Stores key
    and value.

    Args:
        cache: keys and values, and what `begin_step` told it of this step.
        layer: which layer it is, from 0.
        query_BQD: (B, Q, D), a token's queries a row.
        key_BHD: (B, H, D).
        value_BHD: (B, H, width of a value).
        how: the layer's settings.
    """
    B, Q, D = query_BQD.shape
    G, R, H, T, Tp = cache.active, cache.rows, key_BHD.shape[1], cache.longest, cache.prefix_used
    group, Dv = Q // H, value_BHD.shape[-1]
    own_keys, own_values = (store.flatten(0, 1)[:B] for store in cache.own_GRHTD[layer])
    if cache.lockstep is not None:
        own_keys[:, :, cache.lockstep] = key_BHD
        own_values[:, :, cache.lockstep] = value_BHD
    else:
        own_keys[cache.rows_B, :, cache.positions_B] = key_BHD
        own_values[cache.rows_B, :, cache.positions_B] = value_BHD
    own_keys, own_values = own_keys[:, :, :T], own_values[:, :, :T]
    query = (query_BQD * how.scale).view(B, H, group, D)
    scores = query @ own_keys.transpose(-1, -2)
    if Tp:
        prefix_keys, prefix_values = (store[:G, :, cache.prefix_tokens - Tp :] for store in cache.prefix_GHTD[layer])
        # (G, R, H, group, D) -> (G, H, R·group, D): the rows of a block are the rows of one product.
        packed = query.view(G, R, H, group, D).transpose(1, 2).reshape(G, H, R * group, D)
        shared = (packed @ prefix_keys.transpose(-1, -2)).view(G, H, R, group, Tp).transpose(1, 2)
        scores = torch.cat([shared.reshape(B, H, group, Tp), scores], -1)
    if how.softcap:
        scores = torch.tanh(scores / how.softcap) * how.softcap
    if cache.bias_B1T is not None:
        scores += cache.bias_B1T[:, None]
    if how.window and Tp + T > how.window:
        scores = scores.masked_fill((cache.distance_BT() >= how.window)[:, None, None], float("-inf"))
    sinks = None if how.sinks_Q is None else how.sinks_Q.view(1, H, group, 1)
    weights = _softmax(scores, sinks).to(value_BHD.dtype)
    out = weights[..., Tp:] @ own_values
    if Tp:
        packed = weights[..., :Tp].view(G, R, H, group, Tp).transpose(1, 2).reshape(G, H, R * group, Tp)
        out += (packed @ prefix_values).view(G, H, R, group, Dv).transpose(1, 2).reshape(B, H, group, Dv)
    return out.view(B, Q, Dv)


AttentionInterface.register(NAME, attend)


@contextmanager
def shared_prefix_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` attend through `attend` for a while, in evaluation mode; then as before.

    Raises:
        ReachlabError: a family whose attention does not go through transformers' interface, or that keeps other state.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not getattr(model, "_supports_attention_backend", False) or not kinds <= {
        "full_attention",
        "sliding_attention",
    }:
        raise ReachlabError(
            f"{type(model).__name__}: the transformers engine decodes families whose layers are full or sliding-window "
            f"attention through transformers' AttentionInterface; this one has {', '.join(sorted(kinds))}"
        )
    before, training = config._attn_implementation, model.training
    model.eval()
    set_text_attention(model, NAME)
    try:
        yield
    finally:
        set_text_attention(model, before)
        model.train(training)
