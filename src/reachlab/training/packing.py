"""Log-probabilities of many answers in packs: no padding, and a prompt is computed once for all its answers.

A pack is one row of L tokens: its prompts, then its answers, end to end. Embeddings, projections, MLPs, experts and
norms see these L = ΣTp + ΣT tokens and nothing else. Only attention must know where a sequence ends: answer i of
prompt p, at position t after its prompt, attends to

    keys = [ prompt p (shared by its answers) ; answer i up to t ],      position = Tp + t

so in there, queries, keys and values are gathered into padded rows, and the result back into the pack. A prompt's keys
get the sum of its answers' gradients, which is the gradient of the rows computed one by one. An answer's last token is
never fed, for nothing is predicted from it; logits are made only where an answer's token is.

Prompts shared in the forward pass: Prefix Grouper (arXiv 2506.05433); sequences end to end: arXiv 2107.02027. Theirs
group the answers of one prompt, ours packs many prompts under one budget of tokens.

The attention function is registered with transformers' `AttentionInterface`; what it needs travels as a keyword through
the model's own forward pass, so no model is edited and several threads may call one model. Whether a model hands the
keyword on, and has nothing else that crosses the border between two answers (a convolution, a recurrence), is not
guessed from its name: the log-probabilities of a small probe must be those of padded rows. Other models get padded
rows, sorted by length, through the same functions.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate, chain, pairwise
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from reachlab.errors import ReachlabError
from reachlab.rl.losses import token_logprobs

NAME = "reachlab_packed"
KINDS = {"full_attention", "sliding_attention"}
"""Kinds of layers whose mask follows from positions and a window."""
NOWHERE = 2**31 - 1
"""The position of a key that is padding: after every query."""
SPREAD = 1.5
"""Rows attend together whose lengths are within this factor: more calls against more padding."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-2}
"""How far the probe may be off, as a share of what another prompt does to it; half precision: `HALF_TOLERANCE`."""
HALF_TOLERANCE = 0.3
MISFITS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a model raises that cannot do with our arguments."""


@dataclass(frozen=True)
class _Block:
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
        """0 where a query may look and −∞ elsewhere, (B, 1, repeat · T, S)."""
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
class _Layout:
    """The blocks of a pack in the order of its tokens, the prompts first; and the masks its layers share."""

    blocks: list[_Block]
    longest: int  # of its sequences
    windows: set[int] = field(default_factory=set)  # that a layer asked for
    biases: dict[tuple[int | None, int, torch.dtype], list[Tensor]] = field(default_factory=dict)

    def bias(self, window: int | None, repeat: int, dtype: torch.dtype) -> list[Tensor]:
        """A mask a block, made when first asked for."""
        if window:
            self.windows.add(window)
        key = (window if window and window < self.longest else None, repeat, dtype)
        if key not in self.biases:
            self.biases[key] = [block.bias(*key) for block in self.blocks]
        return self.biases[key]


@dataclass(frozen=True)
class Pack:
    """B answers and their prompts, as one forward pass takes them; `logprobs` and `values` are (B, T)."""

    index_B: Tensor
    """Which answers these are, counted through all prompts' answers in the order `Packer.pack` got them."""
    targets_BT: Tensor
    """Tokens of the answers, 0 after their ends."""
    mask_BT: Tensor
    """True on an answer's tokens."""
    ids_RL: Tensor
    """What the model is fed: one row, or padded rows where the model does not fit."""
    positions_RL: Tensor | None
    """Given only for one row."""
    slots_K: Tensor
    """Where in the flattened (B, T) the K answer tokens are."""
    from_K: Tensor
    """Where each is predicted: index in the row; for padded rows, in the flattened (R, L - 1 - first)."""
    first: int
    """Padded rows: the first position from which something is predicted."""
    layout: _Layout | None = field(repr=False)

    @property
    def B(self) -> int:  # noqa: N802
        """Answers."""
        return self.targets_BT.shape[0]

    @property
    def T(self) -> int:  # noqa: N802
        """Tokens of the longest answer."""
        return self.targets_BT.shape[1]

    @property
    def tokens(self) -> int:
        """Tokens the model computes, padding included where there is any."""
        return self.ids_RL.numel()

    def to(self, device: torch.device | str) -> "Pack":
        """The pack on another device."""
        layout = self.layout and _Layout([_moved(block, device) for block in self.layout.blocks], self.layout.longest)
        moved: Pack = replace(_moved(self, device), layout=layout)
        return moved

    def rows(self, values_K: Tensor) -> Tensor:
        """One value an answer token, as (B, T), zero elsewhere."""
        flat = values_K.new_zeros(self.targets_BT.numel()).index_copy(0, self.slots_K, values_K)
        return flat.view(self.targets_BT.shape)


class Packer:
    """Packs rollouts for a model, and computes their log-probabilities and values."""

    def __init__(self, model: Any):
        """Find out, on a few tokens, whether `model` can be packed.

        A model that can is left with our attention, which computes what its own did wherever no pack is given. Give
        the model itself or a peft model around it, before it is wrapped for several processes.
        """
        self._lock = Lock()
        text = model.config.get_text_config()
        self._vocabulary, self._hidden = int(text.vocab_size), int(getattr(text, "hidden_size", 0) or 1)
        self.fits = False
        before = model.config._attn_implementation
        with _probing(model):
            self._keeps = self._keeps_logits(model)
            if getattr(model, "_supports_attention_backend", False) and _kinds(text) <= KINDS:
                try:
                    model.set_attn_implementation(NAME)
                    self.fits = self._reproduces(model)
                except MISFITS:
                    self.fits = False
                if not self.fits:
                    model.set_attn_implementation(before)

    def pack(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]], tokens: int, pieces: int = 1
    ) -> list[Pack]:
        """The answers in packs of nearly equal cost.

        Args:
            prompts: P prompts of at least one token.
            answers: the answers to each, any number of them, each of at least one token.
            tokens: most tokens of a pack; a prompt and an answer that are longer make a pack of their own.
            pieces: packs are made to be computed by so many workers: a multiple of it, where the answers are
                enough. A prompt whose answers fall into several packs is in each of them.

        Raises:
            ReachlabError: an empty prompt or answer, or a number below 1.
        """
        if tokens < 1 or pieces < 1:
            raise ReachlabError(f"packing: tokens={tokens} and pieces={pieces} must be 1 or more")
        if any(not a for row in answers for a in row) or any(
            not p for p, row in zip(prompts, answers, strict=True) if row
        ):
            raise ReachlabError("packing: an empty prompt or answer; leave out what has no token to predict, or from")
        return (
            self._packed(prompts, answers, tokens, pieces) if self.fits else _padded(prompts, answers, tokens, pieces)
        )

    def logprobs(
        self, model: Any, pack: Pack, temperature: float = 1.0, entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """log π of each answer token with gradient and, if asked, the entropy there without; (B, T), zero off the mask.

        `model` is the one this packer was made for, or another of its architecture. Several threads may call at once.

        Raises:
            ReachlabError: a temperature that is not above 0.
        """
        self._prepare(model, pack)
        if pack.layout is None:
            columns = torch.arange(pack.first, pack.ids_RL.shape[1] - 1, device=pack.ids_RL.device)
            targets = pack.ids_RL[:, pack.first + 1 :]
        else:
            columns = pack.from_K
            targets = pack.targets_BT.flatten()[pack.slots_K][None]
        keep = {"logits_to_keep": columns} if self._keeps else {}
        logits = model(**_inputs(pack), **keep).logits
        if not self._keeps:
            logits = logits[:, columns]
        found = token_logprobs(logits, targets, temperature, entropy=entropy)
        at_K = pack.from_K if pack.layout is None else slice(None)
        logprobs, entropies = (x if x is None else pack.rows(x.flatten()[at_K]) for x in found)
        assert logprobs is not None
        return logprobs, entropies

    def values(self, body: Any, head: nn.Linear, pack: Pack) -> Tensor:
        """A critic's value of the state in which each answer token was drawn: (B, T), zero off the mask.

        Args:
            body: a backbone without its head, of the architecture this packer was made for.
            head: (H) to 1. It is applied to the last hidden state that predicts the token.
            pack: from `pack`.
        """
        self._prepare(body, pack)
        hidden_RLH = body(**_inputs(pack)).last_hidden_state
        if pack.layout is None:
            hidden_RLH = hidden_RLH[:, pack.first : -1]
        hidden_KH = hidden_RLH.flatten(0, 1).index_select(0, pack.from_K)
        values_K = head(hidden_KH.to(head.weight.dtype)).squeeze(-1)
        return pack.rows(values_K.to(torch.promote_types(values_K.dtype, torch.float32)))

    def _prepare(self, model: Any, pack: Pack) -> None:
        """See that a copy, a reference or a critic attends as the pack wants it."""
        inner = getattr(model, "module", model)
        with self._lock:
            if pack.layout is not None and inner.config._attn_implementation != NAME:
                inner.set_attn_implementation(NAME)

    def _packed(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]], tokens: int, pieces: int
    ) -> list[Pack]:
        firsts = [0, *accumulate(map(len, answers))]
        # Prompts of like length lie together, so that little is padded inside attention.
        order = sorted((p for p in range(len(prompts)) if answers[p]), key=lambda p: (len(prompts[p]), p))
        rows = [(p, firsts[p] + i, answers[p][i]) for p in order for i in range(len(answers[p]))]
        owners = [p for p, _, _ in rows]
        widths = [len(prompts[p]) for p in owners]
        new = [w if i == 0 or owners[i - 1] != owners[i] else 0 for i, w in enumerate(widths)]
        lengths = [len(a) - 1 for _, _, a in rows]

        # A token's attention to S keys costs about S / 6H of its matrix products.
        def work(width: int, length: int) -> float:
            return length * (1 + (width + length / 2) / (6 * self._hidden))

        sums = [0, *accumulate(n + w for n, w in zip(lengths, new, strict=True))]
        works = [0.0, *accumulate(work(w, n) + work(0, v) for w, n, v in zip(widths, lengths, new, strict=True))]

        def size(start: int, stop: int) -> int:
            return sums[stop] - sums[start] + widths[start] - new[start]

        def cost(start: int, stop: int) -> float:
            return works[stop] - works[start] + work(0, widths[start] - new[start])

        return [_pack(prompts, rows[a:b]) for a, b in _cut(len(rows), size, cost, tokens, pieces)]

    def _keeps_logits(self, model: Any) -> bool:
        """Whether the model makes logits only where it is asked to."""
        ids = torch.zeros(1, 3, dtype=torch.long, device=model.device)
        try:
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=torch.tensor([1], device=ids.device)).logits
        except MISFITS:
            return False
        return bool(logits.shape[1] == 1)

    def _reproduces(self, model: Any) -> bool:
        """Whether packed log-probabilities are those of padded rows, beside what another prompt makes of them."""
        generator = torch.Generator().manual_seed(0)

        def draw(*lengths: int) -> list[list[int]]:
            return [torch.randint(self._vocabulary, (n,), generator=generator).tolist() for n in lengths]

        prompts, others, answers = draw(5, 2, 4), draw(5, 2, 4), [draw(6, 1, 4, 5), draw(3, 7), draw(5, 5)]
        packs = [
            *self._packed(prompts, answers, 1 << 30, 1),
            *_padded(prompts, answers, 1 << 30, 1),
            *_padded(others, answers, 1 << 30, 1),
        ]
        packs = [pack.to(model.device) for pack in packs]
        packed, padded, other = (self.logprobs(model, pack)[0][pack.index_B.argsort()] for pack in packs)
        error, effect = (packed - padded).abs().mean(), (other - padded).abs().mean()
        # The probe is shorter than most windows: a layer that has one must have told us.
        text, layout = model.config.get_text_config(), packs[0].layout
        told = "sliding_attention" not in _kinds(text) or (layout is not None and text.sliding_window in layout.windows)
        return told and bool(error < TOLERANCE.get(model.dtype, HALF_TOLERANCE) * effect)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    packed: _Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention signature: query (B, Hq, L, D), key and value (B, H, L, D); output (B, L, Hq, D).

    With `packed`, B is 1 and the mask is the pack's. Without, it is attention as ever.
    """
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if packed is None:
        if softcap is None and s_aux is None:
            found: tuple[Tensor, None] = sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout, scale, **kwargs
            )
            return found
        bias, sinks = _full_bias(query, key, attention_mask), None if s_aux is None else s_aux.view(1, -1, 1, 1)
        return _attention(query, key, value, bias, scale, dropout, softcap, sinks).transpose(1, 2), None
    strange = [n for n, v in kwargs.items() if isinstance(v, Tensor) and n not in ("position_ids", "cache_position")]
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
    def forward(ctx: Any, x: Tensor, layout: _Layout, prefixed: bool) -> tuple[Tensor, ...]:
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
    def forward(ctx: Any, layout: _Layout, *rows: Tensor) -> Tensor:
        ctx.layout, ctx.shapes = layout, [row.shape for row in rows]
        parts = zip(rows, layout.blocks, strict=True)
        return torch.cat([row.flatten(0, 1).index_select(0, block.query_slots_N) for row, block in parts])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        blocks = ctx.layout.blocks
        parts = torch.split(grad, [len(block.query_slots_N) for block in blocks])
        found = []
        for part, block, shape in zip(parts, blocks, ctx.shapes, strict=True):
            rows = part.new_zeros(shape[0] * shape[1], *shape[2:])
            found.append(rows.index_copy_(0, block.query_slots_N, part).view(shape))
        return None, *found


def _pack(prompts: Sequence[Sequence[int]], rows: Sequence[tuple[int, int, Sequence[int]]]) -> Pack:
    """One pack of rows (prompt, index, answer)."""
    rows = sorted(rows, key=lambda row: (len(row[2]), row[1]))
    shown = list(dict.fromkeys(sorted(p for p, _, _ in rows)))
    place = {p: i for i, p in enumerate(shown)}
    owner_B = torch.tensor([place[p] for p, _, _ in rows])
    prompt_P, answer_B = (
        torch.tensor([len(x) for x in xs]) for xs in ([prompts[p] for p in shown], [a for *_, a in rows])
    )
    fed_B = answer_B - 1
    # The pack: all prompts, then all answers, the shortest first, each without its last token.
    starts_P, starts_B = prompt_P.cumsum(0) - prompt_P, int(prompt_P.sum()) + fed_B.cumsum(0) - fed_B
    ids = torch.tensor(
        [*chain.from_iterable(prompts[p] for p in shown), *chain.from_iterable(a[:-1] for *_, a in rows)]
    )
    prompt_block = _block(starts_P, prompt_P, torch.zeros_like(prompt_P))
    blocks = [prompt_block]
    for part in _buckets(fed_B.tolist()):
        block = _block(starts_B[part], fed_B[part], prompt_P[owner_B[part]])
        blocks.append(_prefixed(block, prompt_block, owner_B[part]))
    position_L = torch.cat([block.at_BT.flatten()[block.query_slots_N] for block in blocks])

    targets_BT, mask_BT = _right_padded([a for *_, a in rows])
    # The first token is predicted by the prompt's last, every other by the one before it.
    from_BT = starts_B[:, None] + torch.arange(mask_BT.shape[1]) - 1
    from_BT[:, 0] = (starts_P + prompt_P - 1)[owner_B]
    return Pack(
        index_B=torch.tensor([index for _, index, _ in rows]),
        targets_BT=targets_BT,
        mask_BT=mask_BT,
        ids_RL=ids[None],
        positions_RL=position_L[None],
        slots_K=mask_BT.flatten().nonzero()[:, 0],
        from_K=from_BT[mask_BT],
        first=0,
        layout=_Layout(blocks, int((prompt_P[owner_B] + fed_B).max())),
    )


def _block(starts_B: Tensor, lengths_B: Tensor, first_B: Tensor) -> _Block:
    """Rows of contiguous tokens, whose first has position `first_B`, without a prefix."""
    steps_T = torch.arange(int(lengths_B.max()))
    real_BT = steps_T < lengths_B[:, None]
    # Padding does as the row's last token does, so that it sees something.
    within_BT = torch.minimum(steps_T, lengths_B[:, None] - 1)
    query_BT, at_BT = starts_B[:, None] + within_BT, first_B[:, None] + within_BT
    slots_N = real_BT.flatten().nonzero()[:, 0]
    owner_PB = torch.empty(0, len(starts_B))
    return _Block(query_BT, query_BT, slots_N, slots_N, at_BT, at_BT.masked_fill(~real_BT, NOWHERE), owner_PB)


def _prefixed(block: _Block, prompts: _Block, owner_B: Tensor) -> _Block:
    """The block with its rows' prompts before its own keys."""
    T = block.query_BT.shape[1]
    P, W = prompts.query_BT.shape
    row_N, step_N = block.query_slots_N // T, block.query_slots_N % T
    return replace(
        block,
        key_BS=torch.cat([prompts.query_BT[owner_B], block.query_BT], 1),
        key_slots_N=row_N * (W + T) + W + step_N,
        key_at_BS=torch.cat([prompts.key_at_BS[owner_B], block.key_at_BS], 1),
        owner_PB=(owner_B == torch.arange(P)[:, None]).float(),
    )


def _buckets(lengths: Sequence[int]) -> list[slice]:
    """Ascending lengths in parts, the longest at most `SPREAD` times the shortest; those of length 0 are left out."""
    cuts = [bisect_right(lengths, 0)]
    while cuts[-1] < len(lengths):
        cuts.append(bisect_right(lengths, SPREAD * lengths[cuts[-1]]))
    return [slice(a, b) for a, b in pairwise(cuts)]


def _padded(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]], tokens: int, pieces: int
) -> list[Pack]:
    """Rows of prompt and answer, padded on the right: causal, so that nothing real sees the padding."""
    pairs = [(p, a) for p, row in zip(prompts, answers, strict=True) for a in row]
    order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]) + len(pairs[i][1]), i))
    lengths = [len(pairs[i][0]) + len(pairs[i][1]) for i in order]

    def size(start: int, stop: int) -> int:
        return (stop - start) * lengths[stop - 1]

    packs = []
    for start, stop in _cut(len(order), size, size, tokens, pieces):
        rows = [pairs[i] for i in order[start:stop]]
        ids_RL, _ = _right_padded([[*p, *a] for p, a in rows])
        targets_BT, mask_BT = _right_padded([a for _, a in rows])
        before_B = torch.tensor([len(p) - 1 for p, _ in rows])
        first = int(before_B.min())
        starts_B = torch.arange(len(rows)) * (ids_RL.shape[1] - 1 - first) + before_B - first
        packs.append(
            Pack(
                index_B=torch.tensor(order[start:stop]),
                targets_BT=targets_BT,
                mask_BT=mask_BT,
                ids_RL=ids_RL,
                positions_RL=None,
                slots_K=mask_BT.flatten().nonzero()[:, 0],
                from_K=(starts_B[:, None] + torch.arange(mask_BT.shape[1]))[mask_BT],
                first=first,
                layout=None,
            )
        )
    return packs


def _right_padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens (B, T), 0 after a row's end, and true where there are any."""
    lengths_B = torch.tensor([len(row) for row in rows])
    real_BT = torch.arange(int(lengths_B.max())) < lengths_B[:, None]
    tokens_BT = torch.zeros(real_BT.shape, dtype=torch.long)
    tokens_BT[real_BT] = torch.tensor([*chain.from_iterable(rows)])
    return tokens_BT, real_BT


def _cut(
    count: int, size: Callable[[int, int], int], cost: Callable[[int, int], float], tokens: int, pieces: int
) -> list[tuple[int, int]]:
    """Cut `count` things, in their order, into parts within `tokens` whose largest cost is as small as it can be.

    As many parts as the tokens ask for, rounded up to a multiple of `pieces`. `size` and `cost` of things
    start .. stop - 1 grow with stop.
    """

    def fill(cap: float) -> list[int]:
        cuts = [0]
        while (start := cuts[-1]) < count:
            over = range(start + 2, count + 1)
            fits = bisect_right(over, False, key=lambda b: size(start, b) > tokens or cost(start, b) > cap)
            cuts.append(start + 1 + fits)
        return cuts

    if not count:
        return []
    wanted = -(-max(len(fill(float("inf"))) - 1, pieces) // pieces) * pieces
    high = cost(0, count)
    low = high / wanted / 2
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if len(fill(middle)) - 1 <= wanted else (middle, high)
    cuts = fill(high)
    while len(cuts) - 1 < min(wanted, count):
        start, stop = max(pairwise(cuts), key=lambda part: (part[1] - part[0] > 1, cost(*part)))
        cuts = sorted([*cuts, (start + stop) // 2])
    return list(pairwise(cuts))


def _inputs(pack: Pack) -> dict[str, Any]:
    """What the model is called with."""
    if pack.layout is None:
        return {"input_ids": pack.ids_RL, "use_cache": False}
    # Masks live as long as one forward pass and its gradient.
    layout = replace(pack.layout, biases={})
    # A mask of four dimensions keeps transformers from making one of L x L; nobody reads it.
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=pack.ids_RL.device)
    return {
        "input_ids": pack.ids_RL,
        "position_ids": pack.positions_RL,
        "attention_mask": mask,
        "use_cache": False,
        "packed": layout,
    }


def _kinds(config: Any) -> set[str]:
    """The kinds of layers of a text model."""
    if layers := getattr(config, "layer_types", None):
        return set(layers)
    return {"sliding_attention" if getattr(config, "sliding_window", None) else "full_attention"}


def _moved(thing: Any, device: torch.device | str) -> Any:
    """A dataclass with its tensors on another device."""
    tensors = {f.name: getattr(thing, f.name) for f in fields(thing) if isinstance(getattr(thing, f.name), Tensor)}
    return replace(thing, **{name: tensor.to(device) for name, tensor in tensors.items()})


@contextmanager
def _probing(model: nn.Module) -> Iterator[None]:
    """Without gradients and dropout for a while."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
