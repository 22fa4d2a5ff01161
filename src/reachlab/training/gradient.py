"""One gradient from several pieces of a batch, side by side.

    ∇ Σ_i L_i = Σ_i ∇ L_i

On a CPU each piece is differentiated in a thread of its own with one thread of torch: a small model's operations are
too short to be split, and waiting for a busy core once a step costs less than in every operation. The sum is taken in
the pieces' order, so it does not depend on which thread was first.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from reachlab.moe import densified
from reachlab.threads import side_by_side

Piece = Callable[[], tuple[Tensor, dict[str, Tensor]]]
"""Computes its part of the loss, and its parts of other sums to report."""


def backward(model: nn.Module, pieces: Sequence[Piece], threads: int) -> dict[str, float]:
    """Add the gradient of the pieces' sum to the parameters' `grad`; returns the sums of "loss" and all else.

    Args:
        model: whose parameters get it.
        pieces: each returns its part of the loss, a scalar, and other scalars to sum.
        threads: pieces that are computed side by side.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if densified(model) is not None:
        threads = 1  # its layers add up what they hear, pass after pass
    workers = min(threads, len(pieces))
    shares = [pieces[w * len(pieces) // workers : (w + 1) * len(pieces) // workers] for w in range(workers)]
    with learning(model):
        results = side_by_side(lambda share: _differentiate(share, parameters), shares, workers)
    sums: dict[str, float] = defaultdict(float)
    for sums_of_piece, gradients in results:
        for name, value in sums_of_piece.items():
            sums[name] += value
        for p, g in zip(parameters, gradients, strict=True):
            if g is not None:
                p.grad = g if p.grad is None else p.grad.add_(g)
    return sums


@contextmanager
def learning(model: nn.Module) -> Iterator[None]:
    """Passes with gradients are training passes to the model's routers, if they have a method (`moe/`).

    This alone says so in a run: the modules' modes belong to whoever passes the model (packers, samplers, evaluations).
    """
    routers = densified(model)
    with nullcontext() if routers is None else routers.learning():
        yield


def _differentiate(
    pieces: Sequence[Piece], parameters: Sequence[Tensor]
) -> tuple[dict[str, float], list[Tensor | None]]:
    """The sums and the gradient of some pieces, one after the other."""
    sums: dict[str, float] = defaultdict(float)
    total: list[Tensor | None] = [None] * len(parameters)
    for piece in pieces:
        loss, others = piece()
        for name, value in {"loss": loss, **others}.items():
            sums[name] += value.item()
        for at, g in enumerate(torch.autograd.grad(loss, parameters, allow_unused=True)):
            if g is not None:
                held = total[at]
                total[at] = g if held is None else held.add_(g)
    return sums, total
