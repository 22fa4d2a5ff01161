"""How answers and their prompts become packs: end to end, or as padded rows; and how they are shared out over packs.

    pack of 2 prompts and 3 answers:  p p p | q q | a a | b b b | c c c        a, c answer p, b answers q

Attention gathers them into padded rows again (`packed_attention.py`); answers of nearly one length make one block of
rows, so that little of that is padding. Packs are cut so that the largest costs as little as it can: they are computed
side by side, and the last one is waited for.

Axes. P: prompts, B: answers of a pack, T: tokens of an answer, W: of a prompt, S = W + T: keys, K, N: tokens of all
rows end to end, R, L: rows and tokens of what the model is fed.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise

import torch
from torch import Tensor

from reachlab.models.pack import Pack
from reachlab.models.packed_attention import NOWHERE, AttentionBlock, Layout
from reachlab.models.vision import Places, pixels

SPREAD = 1.5
"""Rows attend together whose lengths are within this factor: more calls against more padding."""


@dataclass(frozen=True)
class PackBudget:
    """How answers are shared out over packs."""

    tokens: int = 1 << 30
    """Most tokens of a pack; a prompt and an answer that are longer make a pack of their own."""
    pieces: int = 1
    """Packs are a multiple of it, where the answers are enough: so many workers compute them."""


def packed(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
    budget: PackBudget,
    places: Places,
    hidden: int,
) -> list[Pack]:
    """Answers end to end behind their prompts, each prompt once a pack.

    Args:
        prompts: P prompts.
        answers: the answers to each.
        share: how they are shared out over packs.
        places: the model's positions of pictures.
        hidden: H, the width of the model, for the cost of attention beside that of its matrix products.
    """
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
        return length * (1 + (width + length / 2) / (6 * hidden))

    sums = [0, *accumulate(n + w for n, w in zip(lengths, new, strict=True))]
    works = [0.0, *accumulate(work(w, n) + work(0, v) for w, n, v in zip(widths, lengths, new, strict=True))]

    def size(start: int, stop: int) -> int:
        return sums[stop] - sums[start] + widths[start] - new[start]

    def cost(start: int, stop: int) -> float:
        return works[stop] - works[start] + work(0, widths[start] - new[start])

    return [_pack(prompts, rows[a:b], places) for a, b in cut(len(rows), size, cost, budget)]


def _pack(prompts: Sequence[Sequence[int]], rows: Sequence[tuple[int, int, Sequence[int]]], places: Places) -> Pack:
    """One pack of rows (prompt, index, answer)."""
    rows = sorted(rows, key=lambda row: (len(row[2]), row[1]))
    distinct = list(dict.fromkeys(sorted(p for p, _, _ in rows)))
    place = {p: i for i, p in enumerate(distinct)}
    owner_B = torch.tensor([place[p] for p, _, _ in rows])
    (prompt_ids_K, prompt_P), (answer_ids_K, answer_B) = (
        _flat([prompts[p] for p in distinct]),
        _flat([a for *_, a in rows]),
    )
    fed_B = answer_B - 1
    # The pack: all prompts, then all answers, the shortest first, each without its last token, from which nothing is
    # predicted. A start is a running sum of the lengths before it.
    starts_P, starts_B = prompt_P.cumsum(0) - prompt_P, int(prompt_P.sum()) + fed_B.cumsum(0) - fed_B
    fed_K = torch.ones_like(answer_ids_K, dtype=torch.bool)
    fed_K[answer_B.cumsum(0) - 1] = False
    pictures = pixels([prompts[p] for p in distinct])
    ids = torch.cat([prompt_ids_K, places.fed(answer_ids_K[fed_K]) if pictures else answer_ids_K[fed_K]])
    prompt_block = _block(starts_P, prompt_P, torch.zeros_like(prompt_P))
    # Prompts attend to themselves alone; answers to their prompt and themselves, in blocks of nearly one length.
    blocks = [prompt_block]
    for part in _buckets(fed_B.tolist()):
        block = _block(starts_B[part], fed_B[part], prompt_P[owner_B[part]])
        blocks.append(_prefixed(block, prompt_block, owner_B[part]))
    # The blocks' own tokens, in order, are the pack's: each position is read off where its token attends.
    position_RL = torch.cat([block.at_BT.flatten()[block.query_slots_N] for block in blocks])[None]
    if pictures and places:
        position_RL = places.pack(position_RL, [prompts[p] for p in distinct], owner_B.repeat_interleave(fed_B))

    targets_BT, mask_BT = _right_padded(answer_ids_K, answer_B)
    # The first token is predicted by the prompt's last, every other by the one before it.
    from_BT = starts_B[:, None] + torch.arange(mask_BT.shape[1]) - 1
    from_BT[:, 0] = (starts_P + prompt_P - 1)[owner_B]
    return Pack(
        index_B=torch.tensor([index for _, index, _ in rows]),
        targets_BT=targets_BT,
        mask_BT=mask_BT,
        ids_RL=ids[None],
        positions_RL=position_RL,
        pixels=pictures,
        slots_K=mask_BT.flatten().nonzero()[:, 0],
        from_K=from_BT[mask_BT],
        first=0,
        layout=Layout(blocks, int((prompt_P[owner_B] + fed_B).max())),
    )


def _block(starts_B: Tensor, lengths_B: Tensor, first_B: Tensor) -> AttentionBlock:
    """Rows of contiguous tokens, whose first has position `first_B`, without a prefix."""
    steps_T = torch.arange(int(lengths_B.max()))
    real_BT = steps_T < lengths_B[:, None]
    # Padding does as the row's last token does, so that it sees something.
    within_BT = torch.minimum(steps_T, lengths_B[:, None] - 1)
    query_BT, at_BT = starts_B[:, None] + within_BT, first_B[:, None] + within_BT
    slots_N = real_BT.flatten().nonzero()[:, 0]
    owner_PB = torch.empty(0, len(starts_B))
    return AttentionBlock(query_BT, query_BT, slots_N, slots_N, at_BT, at_BT.masked_fill(~real_BT, NOWHERE), owner_PB)


def _prefixed(block: AttentionBlock, prompts: AttentionBlock, owner_B: Tensor) -> AttentionBlock:
    """The block with its rows' prompts before its own keys."""
    T = block.query_BT.shape[1]
    P, W = prompts.query_BT.shape
    # A row's keys are W of its prompt and T of its own, so its own t-th key stands at W + t of W + T.
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


def padded(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
    budget: PackBudget,
    places: Places,
) -> list[Pack]:
    """Rows of prompt and answer, padded on the right: causal, so that nothing real sees the padding.

    Args: as of `packed`.
    """
    pairs = [(p, a) for p, row in zip(prompts, answers, strict=True) for a in row]
    order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]) + len(pairs[i][1]), i))
    lengths = [len(pairs[i][0]) + len(pairs[i][1]) for i in order]

    def size(start: int, stop: int) -> int:
        return (stop - start) * lengths[stop - 1]

    packs = []
    for start, stop in cut(len(order), size, size, budget):
        rows = [pairs[i] for i in order[start:stop]]
        ids_RL, _ = _right_padded(*_flat([[*p, *a] for p, a in rows]))
        targets_BT, mask_BT = _right_padded(*_flat([a for _, a in rows]))
        prompts_B = [p for p, _ in rows]
        pictures = pixels(prompts_B)
        if pictures:  # what is fed is not what is to be predicted
            pictures["input_ids"] = places.fed_after(prompts_B, ids_RL)
        before_B = torch.tensor([len(p) - 1 for p, _ in rows])
        first = int(before_B.min())
        starts_B = torch.arange(len(rows)) * (ids_RL.shape[1] - 1 - first) + before_B - first
        packs.append(
            Pack(
                index_B=torch.tensor(order[start:stop]),
                targets_BT=targets_BT,
                mask_BT=mask_BT,
                ids_RL=ids_RL,
                positions_RL=places.rows(prompts_B, ids_RL.shape[1]) if pictures and places else None,
                pixels=pictures,
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


def cut(
    count: int, size: Callable[[int, int], int], cost: Callable[[int, int], float], budget: PackBudget
) -> list[tuple[int, int]]:
    """Cut `count` things, in their order, into parts within `budget.tokens` whose largest cost is as small as can be.

    As many parts as the tokens ask for, rounded up to a multiple of `budget.pieces`. `size` and `cost` of things
    start .. stop - 1 grow with stop.

    Args:
        count: how many things there are.
        size: tokens of things start .. stop - 1, as `size(start, stop)`.
        cost: what they cost to compute, likewise, in any unit.
        budget: the most tokens of a part, and what the number of parts is a multiple of.

    Returns:
        (start, stop) of each part, in order.
    """

    def fill(cap: float) -> list[int]:
        """Cuts of parts that are each as long as tokens and `cap` allow; a thing that is too large is one by itself."""
        cuts = [0]
        while (start := cuts[-1]) < count:
            over = range(start + 2, count + 1)
            fits = bisect_right(over, False, key=lambda b: size(start, b) > budget.tokens or cost(start, b) > cap)
            cuts.append(start + 1 + fits)
        return cuts

    if not count:
        return []
    wanted = -(-max(len(fill(float("inf"))) - 1, budget.pieces) // budget.pieces) * budget.pieces
    # The least cap under which as many parts are enough, by bisection to half a percent.
    high = cost(0, count)
    low = high / wanted / 2
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if len(fill(middle)) - 1 <= wanted else (middle, high)
    cuts = fill(high)
    # Fewer parts than workers: the costliest is halved.
    while len(cuts) - 1 < min(wanted, count):
        start, stop = max(pairwise(cuts), key=lambda part: (part[1] - part[0] > 1, cost(*part)))
        cuts = sorted([*cuts, (start + stop) // 2])
    return list(pairwise(cuts))
