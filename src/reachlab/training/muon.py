"""Muon: momentum, orthogonalised.

    M ← μ M + G;   O = NewtonSchulz5(G + μ M) ≈ U Vᵀ of its singular value decomposition;
    W ← W − η √max(1, out/in) O

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. torch.optim.Muon walks matrix
by matrix in bfloat16, which on a CPU without bfloat16 instructions takes longer than the forward and backward pass of
a small model; here all matrices of one shape go through one batched iteration in their own precision. Stacked expert
weights (E, out, in) are E matrices; a map that is stored turned (in, out) has its out and in the other way round; the
filters of a convolution (out, in, height, width) are one matrix (out, in · height · width), as the source has it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from reachlab.training.layouts import Layout

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """Drive the singular values of each (…, rows, cols) matrix to about 1 (0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    X: Tensor = matrices.mT if tall else matrices
    X = X / X.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(STEPS):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X.mT if tall else X


def as_matrices(tensor: Tensor, layout: Layout) -> Tensor:
    """A weight, or what belongs to it, as matrices (n, out, in); four axes and more are always filters."""
    if layout == "filters" or tensor.ndim > 3:
        return tensor.flatten(1).unsqueeze(0)
    matrices = tensor.reshape(-1, *tensor.shape[-2:])
    return matrices.mT if layout == "columns" else matrices


def as_stored(matrices: Tensor, layout: Layout, shape: torch.Size) -> Tensor:
    """What `as_matrices` made into matrices, as it was."""
    return (matrices.mT if layout == "columns" and len(shape) < 4 else matrices).reshape(shape)


class Muon(torch.optim.Optimizer):
    """Muon on linear maps, with Nesterov momentum and decoupled weight decay; a group's `layout` says how its weights
    are stored (`layouts.py`)."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "layout": "rows"})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("layout", "rows")  # states of versions that knew no other

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            layout: Layout = group["layout"]
            shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    direction = as_matrices(self._direction(p, p.grad, group["momentum"]), layout)
                    shapes.setdefault(direction.shape[1:], []).append((p, direction))
            for (rows, cols), pairs in shapes.items():
                update = orthogonalise(torch.cat([direction for _, direction in pairs]))
                scale = -group["lr"] * max(1.0, rows / cols) ** 0.5
                parts = torch.split(update, [len(direction) for _, direction in pairs])
                for (p, _), part in zip(pairs, parts, strict=True):
                    moved = as_stored(part, layout, p.shape)
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(moved, alpha=scale)

    def _direction(self, p: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].mul_(momentum).add_(gradient)
        return gradient.add(state["momentum"], alpha=momentum)
