"""Sums over processes."""

from pathlib import Path
from typing import Any

import torch
from tests.moe.apart import apart

from reachlab.moe.reduce import add_up, anywhere


def test_alone_nothing_happens() -> None:
    tensors = [torch.ones(2), torch.zeros(1, 3)]
    add_up(tensors)
    assert [t.tolist() for t in tensors] == [[1.0, 1.0], [[0.0, 0.0, 0.0]]]
    assert anywhere(torch.device("cpu"), True, False) == [True, False]


def test_tensors_of_any_shape_are_added_up_in_place(tmp_path: Path) -> None:
    def work(rank: int) -> Any:
        tensors = [torch.full((2, 2), rank + 1.0), torch.full((), 10.0 * rank), torch.zeros(0, 3)]
        held = list(tensors)
        add_up([])
        add_up(tensors)
        assert all(a is b for a, b in zip(held, tensors, strict=True))
        return [t.tolist() for t in tensors], anywhere(torch.device("cpu"), rank == 1, False)

    for found in apart(tmp_path, 3, work):
        assert found == ([[[6.0, 6.0], [6.0, 6.0]], 30.0, []], [True, False])
