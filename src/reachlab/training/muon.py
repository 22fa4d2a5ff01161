"""Muon: momentum, orthogonalised.

    M ← μ M + G;   O = NewtonSchulz5(G + μ M) ≈ U Vᵀ of its singular value decomposition;   W ← W − η √max(1,
    rows/cols) O

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. torch.optim.Muon walks matrix
by matrix in bfloat16, which on a CPU without bfloat16 instructions takes longer than the forward and backward pass of
a small model; here all matrices of one shape go through one batched iteration in their own precision. Stacked expert
weights (E, rows, cols) are E matrices.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

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


class Muon(torch.optim.Optimizer):
    """Muon on matrices (2-D) and stacks of matrices (3-D), with Nesterov momentum and decoupled weight decay."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault((p.shape[-2], p.shape[-1]), []).append((p, p.grad))
            for (rows, cols), pairs in shapes.items():
                directions = []
                for p, gradient in pairs:
                    state = self.state[p]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(gradient)
                    state["momentum"].mul_(group["momentum"]).add_(gradient)
                    directions.append(gradient.add(state["momentum"], alpha=group["momentum"]).view(-1, rows, cols))
                update = orthogonalise(torch.cat(directions))
                scale = -group["lr"] * max(1.0, rows / cols) ** 0.5
                parts = torch.split(update, [len(d) for d in directions])
                for (p, _), part in zip(pairs, parts, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(part.view_as(p), alpha=scale)
