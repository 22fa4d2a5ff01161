"""Buffers that a step writes into, allocated once: fresh memory costs more than the arithmetic on it."""

import torch
from torch import Tensor


class Buffers:
    """Reused float32 matrices by name and width, each of `rows` rows or more."""

    def __init__(self, rows: int):
        self.rows = rows
        self._kept: dict[tuple[str, int], Tensor] = {}

    def get(self, name: str, rows: int, width: int) -> Tensor:
        """The first `rows` rows of the buffer `name`, (rows, width); what was there before is overwritten.

        Args:
            name: what it is for.
            rows: rows that are wanted.
            width: columns; a name may have buffers of several widths.
        """
        key = (name, width)
        if key not in self._kept or len(self._kept[key]) < rows:
            self._kept[key] = torch.empty(max(rows, self.rows), width)
        return self._kept[key][:rows]
