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

The attention function (`packed_attention.py`) is registered with transformers' `AttentionInterface`; what it needs
travels as a keyword through the model's own forward pass, so no model is edited and several threads may call one
model. Whether a model hands the keyword on, and has nothing else that crosses the border between two answers (a
convolution, a recurrence), is not guessed from its name: the log-probabilities of a small probe must be those of padded
rows. Other models get padded rows, sorted by length, through the same functions.
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

from reachlab.errors import ReachlabError
from reachlab.models.packed_attention import NAME, NOWHERE, Block, Layout
from reachlab.models.positions import refuse_unsteady
from reachlab.models.vision import Places, pixels, set_text_attention
from reachlab.rl.losses import token_logprobs

KINDS = {"full_attention", "sliding_attention"}
"""Kinds of layers whose mask follows from positions and a window."""
SPREAD = 1.5
"""Rows attend together whose lengths are within this factor: more calls against more padding."""
INDEXED = "indexed_attention"
"""Layers that choose the keys they attend to."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-2}
"""How far the probe may be off, as a share of what another prompt does to it; half precision: `HALF_TOLERANCE`."""
HALF_TOLERANCE = 0.3
HEAD_LOGITS = 1 << 19
"""Logits that `Packer.sums` makes at a time on a CPU: what stays in its cache."""
ACCELERATOR_HEAD_LOGITS = 1 << 27
"""Likewise elsewhere."""
HEAD_ROWS = 256
"""Yet so many rows at least: for fewer, a head is read from memory more often than it is computed with."""
MISFITS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a model raises that cannot do with our arguments."""


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
    """Given for one row, and where they depend on pictures; (3, R, L) with M-RoPE."""
    slots_K: Tensor
    """Where in the flattened (B, T) the K answer tokens are."""
    from_K: Tensor
    """Where each is predicted: index in the row; for padded rows, in the flattened (R, L - 1 - first)."""
    first: int
    """Padded rows: the first position from which something is predicted."""
    layout: Layout | None = field(repr=False)
    pixels: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The pictures of its prompts (of every row, where rows are padded), as the model takes them."""

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
        layout = self.layout and Layout([_moved(block, device) for block in self.layout.blocks], self.layout.longest)
        seen = {name: value.to(device) for name, value in self.pixels.items()}
        moved: Pack = replace(_moved(self, device), layout=layout, pixels=seen)
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

        Raises:
            ReachlabError: a token's log-probability depends on what comes after it, or on padding.
        """
        self._lock = Lock()
        text = model.config.get_text_config()
        self._text = text
        self._vocabulary, self._hidden = int(text.vocab_size), int(getattr(text, "hidden_size", 0) or 1)
        self.fits = False
        before = text._attn_implementation
        self._places = Places(model)
        with _probing(model):
            self._keeps = self._keeps_logits(model)
            self.head_alone = self._ends_with_a_head(model)
            if getattr(model, "_supports_attention_backend", False) and _kinds(text) <= KINDS:
                try:
                    set_text_attention(model, NAME)
                    self.fits = self._reproduces(model)
                except MISFITS:
                    self.fits = False
                if not self.fits:
                    set_text_attention(model, before)
            if not self.fits:
                self._refuse_looking_ahead(model)

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
            ReachlabError: an empty prompt or answer, a number below 1, or sequences too long for a token to have one
                probability (`models/positions.py`).
        """
        both = zip(prompts, answers, strict=True)
        refuse_unsteady(self._text, max((len(p) + max(map(len, row)) for p, row in both if row), default=0))
        if tokens < 1 or pieces < 1:
            raise ReachlabError(f"packing: tokens={tokens} and pieces={pieces} must be 1 or more")
        if any(not a for row in answers for a in row) or any(
            not p for p, row in zip(prompts, answers, strict=True) if row
        ):
            raise ReachlabError("packing: an empty prompt or answer; leave out what has no token to predict, or from")
        return (
            self._packed(prompts, answers, tokens, pieces)
            if self.fits
            else _padded(prompts, answers, tokens, pieces, self._places)
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

    @torch.no_grad()
    def sums(self, model: Any, pack: Pack) -> Tensor:
        """Σ_t log π of each answer at temperature 1, without gradient: (B,), float64.

        Logits are made a few rows at a time where the model's head can be asked alone, so that a large vocabulary
        takes no memory. `model` is the one this packer was made for, or a copy; it is not wrapped.
        """
        if not self.head_alone:
            return self.logprobs(model, pack)[0].double().sum(1)
        self._prepare(model, pack)
        hidden_RLH = model.base_model(**_inputs(pack)).last_hidden_state
        if pack.layout is None:
            hidden_RLH = hidden_RLH[:, pack.first : -1]
        hidden_KH = hidden_RLH.flatten(0, 1).index_select(0, pack.from_K)
        targets_K = pack.targets_BT.flatten()[pack.slots_K]
        head = model.get_output_embeddings()
        logits = HEAD_LOGITS if hidden_KH.device.type == "cpu" else ACCELERATOR_HEAD_LOGITS
        rows = max(HEAD_ROWS, logits // self._vocabulary)
        pieces = zip(torch.split(hidden_KH, rows), torch.split(targets_K, rows), strict=True)
        logprobs_K = torch.cat([token_logprobs(head(h_KH)[None], at_K[None])[0][0] for h_KH, at_K in pieces])
        return pack.rows(logprobs_K.double()).sum(1)

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
            if pack.layout is not None and inner.config.get_text_config()._attn_implementation != NAME:
                set_text_attention(inner, NAME)

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

        return [_pack(prompts, rows[a:b], self._places) for a, b in _cut(len(rows), size, cost, tokens, pieces)]

    def _keeps_logits(self, model: Any) -> bool:
        """Whether the model makes logits only where it is asked to."""
        ids = torch.zeros(1, 3, dtype=torch.long, device=model.device)
        try:
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=torch.tensor([1], device=ids.device)).logits
        except MISFITS:
            return False
        return bool(logits.shape[1] == 1)

    def _ends_with_a_head(self, model: Any) -> bool:
        """Whether its logits are what its head makes of its body's last hidden states, bit for bit, and no more."""
        ids = torch.arange(4, device=model.device)[None] % self._vocabulary
        try:
            logits = model(input_ids=ids, use_cache=False).logits
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            return torch.equal(model.get_output_embeddings()(hidden), logits)
        except (*MISFITS, AssertionError):
            return False

    def _refuse_looking_ahead(self, model: Any) -> None:
        """See that padded rows are what each row is alone, and that a row's beginning is what it is without its end.
        (transformers' Doge and A.X K2 choose the keys that are attended to among those that follow, too.)"""
        if INDEXED in (getattr(self._text, "layer_types", None) or ()):
            # Keys are chosen by a score, which a short probe does not see; several such families come out wrong.
            raise ReachlabError(
                f"{type(model).__name__}: a token's log-probability may depend on what comes after it or on padding "
                f"({INDEXED}), so its answers can be neither scored nor trained on"
            )
        generator = torch.Generator().manual_seed(0)
        ids = [torch.randint(self._vocabulary, (n,), generator=generator).tolist() for n in (16, 9, 16)]
        pairs = [([row[0]], row[1:]) for row in ids]

        def logprobs(*asked: tuple[list[int], list[int]]) -> Tensor:
            packs = _padded([p for p, _ in asked], [[a] for _, a in asked], 1 << 30, 1, self._places)
            pack = packs[0].to(model.device)
            return self.logprobs(model, pack)[0][pack.index_B.argsort()]

        try:
            together = logprobs(*pairs)
            begun, short = logprobs((pairs[0][0], pairs[0][1][:7]))[0], logprobs(pairs[1])[0]
        except MISFITS:
            return  # told where it is used
        error = torch.cat([together[0, :7] - begun, together[1, :8] - short]).abs().mean()
        effect = (together[0] - together[2]).abs().mean()
        if bool(effect.isfinite()) and error > TOLERANCE.get(model.dtype, HALF_TOLERANCE) * effect + 1e-5:
            raise ReachlabError(
                f"{type(model).__name__}: as transformers computes this family, a token's log-probability depends on "
                f"what comes after it or on padding (by {float(error):.2g}), so its answers can be neither scored nor "
                "trained on"
            )

    def _reproduces(self, model: Any) -> bool:
        """Whether packed log-probabilities are those of padded rows, beside what another prompt makes of them."""
        generator = torch.Generator().manual_seed(0)

        def draw(*lengths: int) -> list[list[int]]:
            return [torch.randint(self._vocabulary, (n,), generator=generator).tolist() for n in lengths]

        prompts, others, answers = draw(5, 2, 4), draw(5, 2, 4), [draw(6, 1, 4, 5), draw(3, 7), draw(5, 5)]
        packs = [
            *self._packed(prompts, answers, 1 << 30, 1),
            *_padded(prompts, answers, 1 << 30, 1, self._places),
            *_padded(others, answers, 1 << 30, 1, self._places),
        ]
        packs = [pack.to(model.device) for pack in packs]
        packed, padded, other = (self.logprobs(model, pack)[0][pack.index_B.argsort()] for pack in packs)
        error, effect = (packed - padded).abs().mean(), (other - padded).abs().mean()
        # The probe is shorter than most windows: a layer that has one must have told us.
        text, layout = model.config.get_text_config(), packs[0].layout
        told = "sliding_attention" not in _kinds(text) or (layout is not None and text.sliding_window in layout.windows)
        return told and bool(error < TOLERANCE.get(model.dtype, HALF_TOLERANCE) * effect)


def _pack(prompts: Sequence[Sequence[int]], rows: Sequence[tuple[int, int, Sequence[int]]], places: Places) -> Pack:
    """One pack of rows (prompt, index, answer)."""
    rows = sorted(rows, key=lambda row: (len(row[2]), row[1]))
    shown = list(dict.fromkeys(sorted(p for p, _, _ in rows)))
    place = {p: i for i, p in enumerate(shown)}
    owner_B = torch.tensor([place[p] for p, _, _ in rows])
    (asked_K, prompt_P), (said_K, answer_B) = _flat([prompts[p] for p in shown]), _flat([a for *_, a in rows])
    fed_B = answer_B - 1
    # The pack: all prompts, then all answers, the shortest first, each without its last token.
    starts_P, starts_B = prompt_P.cumsum(0) - prompt_P, int(prompt_P.sum()) + fed_B.cumsum(0) - fed_B
    fed_K = torch.ones_like(said_K, dtype=torch.bool)
    fed_K[answer_B.cumsum(0) - 1] = False
    seen = pixels([prompts[p] for p in shown])
    ids = torch.cat([asked_K, places.fed(said_K[fed_K]) if seen else said_K[fed_K]])
    prompt_block = _block(starts_P, prompt_P, torch.zeros_like(prompt_P))
    blocks = [prompt_block]
    for part in _buckets(fed_B.tolist()):
        block = _block(starts_B[part], fed_B[part], prompt_P[owner_B[part]])
        blocks.append(_prefixed(block, prompt_block, owner_B[part]))
    position_RL = torch.cat([block.at_BT.flatten()[block.query_slots_N] for block in blocks])[None]
    if seen and places:
        position_RL = places.pack(position_RL, [prompts[p] for p in shown], owner_B.repeat_interleave(fed_B))

    targets_BT, mask_BT = _right_padded(said_K, answer_B)
    # The first token is predicted by the prompt's last, every other by the one before it.
    from_BT = starts_B[:, None] + torch.arange(mask_BT.shape[1]) - 1
    from_BT[:, 0] = (starts_P + prompt_P - 1)[owner_B]
    return Pack(
        index_B=torch.tensor([index for _, index, _ in rows]),
        targets_BT=targets_BT,
        mask_BT=mask_BT,
        ids_RL=ids[None],
        positions_RL=position_RL,
        pixels=seen,
        slots_K=mask_BT.flatten().nonzero()[:, 0],
        from_K=from_BT[mask_BT],
        first=0,
        layout=Layout(blocks, int((prompt_P[owner_B] + fed_B).max())),
    )


def _block(starts_B: Tensor, lengths_B: Tensor, first_B: Tensor) -> Block:
    """Rows of contiguous tokens, whose first has position `first_B`, without a prefix."""
    steps_T = torch.arange(int(lengths_B.max()))
    real_BT = steps_T < lengths_B[:, None]
    # Padding does as the row's last token does, so that it sees something.
    within_BT = torch.minimum(steps_T, lengths_B[:, None] - 1)
    query_BT, at_BT = starts_B[:, None] + within_BT, first_B[:, None] + within_BT
    slots_N = real_BT.flatten().nonzero()[:, 0]
    owner_PB = torch.empty(0, len(starts_B))
    return Block(query_BT, query_BT, slots_N, slots_N, at_BT, at_BT.masked_fill(~real_BT, NOWHERE), owner_PB)


def _prefixed(block: Block, prompts: Block, owner_B: Tensor) -> Block:
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
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
    tokens: int,
    pieces: int,
    places: Places,
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
        ids_RL, _ = _right_padded(*_flat([[*p, *a] for p, a in rows]))
        targets_BT, mask_BT = _right_padded(*_flat([a for _, a in rows]))
        asked = [p for p, _ in rows]
        seen = pixels(asked)
        if seen:  # what is fed is not what is to be predicted
            seen["input_ids"] = places.fed_after(asked, ids_RL)
        before_B = torch.tensor([len(p) - 1 for p, _ in rows])
        first = int(before_B.min())
        starts_B = torch.arange(len(rows)) * (ids_RL.shape[1] - 1 - first) + before_B - first
        packs.append(
            Pack(
                index_B=torch.tensor(order[start:stop]),
                targets_BT=targets_BT,
                mask_BT=mask_BT,
                ids_RL=ids_RL,
                positions_RL=places.rows(asked, ids_RL.shape[1]) if seen and places else None,
                pixels=seen,
                slots_K=mask_BT.flatten().nonzero()[:, 0],
                from_K=(starts_B[:, None] + torch.arange(mask_BT.shape[1]))[mask_BT],
                first=first,
                layout=None,
            )
        )
    return packs


def _flat(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens of all rows, end to end, and how many each has."""
    return torch.tensor([*chain.from_iterable(rows)]), torch.tensor([*map(len, rows)])


def _right_padded(tokens_K: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that lie end to end, as (B, T): 0 after a row's end; and true where there are tokens."""
    real_BT = torch.arange(int(lengths_B.max())) < lengths_B[:, None]
    tokens_BT = torch.zeros(real_BT.shape, dtype=torch.long)
    tokens_BT[real_BT] = tokens_K
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
        placed = {} if pack.positions_RL is None else {"position_ids": pack.positions_RL}
        return {"input_ids": pack.ids_RL, "use_cache": False, **placed, **pack.pixels}
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
        **pack.pixels,
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
