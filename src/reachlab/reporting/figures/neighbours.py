"""More problems than a screen has columns: neighbours share one, which has their mean.

Drawn all, most of them would be hidden behind others, and the few that are seen chosen by no one.
"""

from collections.abc import Sequence

import numpy as np

COLUMNS = 2_000
"""Most columns of a strip."""


def merged(values_P: Sequence[np.ndarray], most: int = COLUMNS) -> tuple[list[np.ndarray], int]:
    """Means over neighbours, and how many share a column (the last one may have fewer); at most `most` columns."""
    count = len(values_P[0])
    width = max(1, -(-count // most))
    if width == 1:
        return list(values_P), 1
    starts = np.arange(0, count, width)
    sizes = np.diff(starts, append=count)
    return [np.add.reduceat(values, starts) / sizes for values in values_P], width


def said(width: int) -> str:
    """What a caption says of it; nothing where every problem has a column."""
    if width == 1:
        return ""
    return f" There are more problems than columns: each is the mean of {width} neighbours. The CSV has every problem."
