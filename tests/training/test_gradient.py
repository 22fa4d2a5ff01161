from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reachlab.training.gradient import backward


def piece(model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    out = model(rows)
    return out.square().sum(), {"rows": torch.tensor(float(len(rows)))}


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_the_gradient_of_a_sum_in_pieces(threads: int, pieces: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    unused = nn.Linear(2, 2)
    model.register_module("unused", unused)
    parts = nn.Sequential(*list(model)[:3])
    rows = torch.randn(11, 3)
    loss = parts(rows).square().sum()
    wanted = torch.autograd.grad(loss, list(parts.parameters()))
    before = torch.get_num_threads()
    sums = backward(model, [partial(piece, parts, chunk) for chunk in rows.tensor_split(pieces)], threads)
    assert torch.get_num_threads() == before
    assert sums["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert sums["rows"] == 11
    for p, g in zip(parts.parameters(), wanted, strict=True):
        assert p.grad is not None
        assert torch.allclose(p.grad, g, atol=1e-5)
    assert unused.weight.grad is None


def test_it_adds_to_the_gradient_that_is_there() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.ones(1, 2)
    backward(layer, [lambda: (layer(torch.tensor([2.0, 3.0])).sum(), {})], 1)
    assert layer.weight.grad.tolist() == [[3.0, 4.0]]


def test_a_piece_that_fails_is_heard() -> None:
    def fail() -> tuple[Tensor, dict[str, Tensor]]:
        raise RuntimeError("out of memory")

    for threads in (1, 2):
        with pytest.raises(RuntimeError, match="out of memory"):
            backward(nn.Linear(1, 1), [fail, fail], threads)
