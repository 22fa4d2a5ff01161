"""Accuracy histogram: how many problems a model solves never, rarely, often and always.

The share c/n falls into ten equal bins, closed on the right; exactly 0 and exactly 1 are bins of their own,
because "never" and "rarely" are different claims about reach.

Source: the accuracy distributions of arXiv 2504.13837, which set 0 apart.
"""

from dataclasses import dataclass

import numpy as np

from reachlab.boundary.outcomes import Ints

BINS = 10
LABELS = (
    "0",
    *(f"({i / BINS:g}, {(i + 1) / BINS:g}{')' if i + 1 == BINS else ']'}" for i in range(BINS)),
    "1",
)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Problems in each bin, from never solved to always solved."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]


def accuracy_histogram(n_P: Ints, c_P: Ints) -> Histogram:
    """Count problems by accuracy c/n (n > 0)."""
    return Histogram(LABELS, tuple(np.bincount(bins(n_P, c_P), minlength=len(LABELS)).tolist()))


def bins(n_P: Ints, c_P: Ints) -> Ints:
    """Each problem's bin, its place among `LABELS`; in whole numbers, so that no edge depends on rounding."""
    return np.where(c_P == n_P, BINS + 1, -(-BINS * c_P // n_P))
