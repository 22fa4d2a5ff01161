"""Batches of a packed corpus: every window once an epoch, in an order of the epoch's own.

    n = ⌊(N − 1) / (L − 1)⌋ windows of L tokens, the i-th from token i·(L − 1) on
    place s of the run is window π_e(s mod n),  e = ⌊s / n⌋,  π_e a permutation that is a function of (seed, e)

Neighbouring windows share a token, the last of one and the first of the next, so each token but the first is predicted
exactly once an epoch (up to L − 2 at the end of the corpus are not). A window may hold the end of a document and the
beginning of the next, and attention runs across.

Axes. N: tokens of the corpus, B: windows of a batch, T: tokens of a window.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from reachlab.training.corpus.packed import Ids
from reachlab.training.text import Tokens, order, pad


def window_batches(tokens_N: Ids, batch: int, length: int, seed: int) -> Callable[[int], Tokens]:
    """Batch t holds places t·batch to (t+1)·batch; `tokens_N` are at least `length`."""
    stride = length - 1
    windows = (len(tokens_N) - 1) // stride

    def at(step: int) -> Tokens:
        places = (divmod(place, windows) for place in range(step * batch, (step + 1) * batch))
        starts = [int(order(windows, seed, epoch)[position]) * stride for epoch, position in places]
        ids_BT = torch.from_numpy(np.stack([tokens_N[s : s + length] for s in starts]).astype(np.int64))
        everywhere = torch.ones_like(ids_BT, dtype=torch.bool)
        return Tokens(ids_BT, everywhere, everywhere)

    return at


def windows_in_order(tokens_N: Ids, batch: int, length: int, most: int) -> Iterator[Tokens]:
    """Batches that predict each of the first `most` tokens (0: all) after the first one exactly once."""
    predicted = min(most or len(tokens_N), len(tokens_N) - 1)
    stride = length - 1
    starts = range(0, predicted, stride)
    for first in range(0, len(starts), batch):
        rows = [tokens_N[s : min(s + length, predicted + 1)].tolist() for s in starts[first : first + batch]]
        yield pad([[]] * len(rows), rows, pad_id=0)
