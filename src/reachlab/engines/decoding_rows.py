"""What the batch of the embedded engine keeps on the host: prompts with waiting samples, and the state of every row.

Axes. B: rows, T: tokens of an answer, V: entries of the vocabulary.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from reachlab.engines.decoder import Completion


@dataclass
class PromptJob:
    """A prompt and those of its samples that no row has taken yet."""

    prompt: Sequence[int]
    results: list[Completion | None]
    waiting: deque[tuple[int, int]]
    number: int
    first_logits_V: torch.Tensor | None = None


@dataclass
class DecodingRows:
    """State of every row, on the host. Axis B: G · R rows."""

    tokens_BT: np.ndarray
    count_B: np.ndarray
    seed_B: np.ndarray
    logprob_B: np.ndarray
    sample_B: np.ndarray
    offset_B: np.ndarray = field(init=False)
    # The row that computes for this one: see `_fused_cpu_step` in `transformers.py`.
    leader_B: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.offset_B = np.zeros_like(self.count_B)
        self.leader_B = np.arange(len(self.count_B))

    def move(self, source: slice, target: slice) -> None:
        """Copy rows into other places; who followed one of them follows it there.

        Args:
            source: rows that are copied.
            target: as many rows, which are overwritten.
        """
        for array in (
            self.tokens_BT,
            self.count_B,
            self.seed_B,
            self.logprob_B,
            self.sample_B,
            self.offset_B,
            self.leader_B,
        ):
            array[target] = array[source]
        moved = (self.leader_B >= source.start) & (self.leader_B < source.stop)
        self.leader_B[moved] += target.start - source.start


def first_alike(*keys: np.ndarray) -> np.ndarray:
    """For each place, the first that has the same keys."""
    _, first, of = np.unique(np.stack(keys, 1), axis=0, return_index=True, return_inverse=True)
    return first[of.reshape(-1)]


def shares_of(counts: Sequence[int], workers: int) -> list[list[tuple[int, slice]]]:
    """Cut the samples, prompt after prompt, into at most `workers` equal runs of (prompt, its samples)."""
    total = sum(counts)
    cuts = [total * w // workers for w in range(workers + 1)]
    starts = np.concatenate([[0], np.cumsum(counts)])
    shares = []
    for low, high in pairwise(cuts):
        share = [
            (p, slice(max(low - start, 0), min(high - start, count)))
            for p, (start, count) in enumerate(zip(starts.tolist(), counts, strict=False))
            if start < high and start + count > low
        ]
        if share:
            shares.append(share)
    return shares
