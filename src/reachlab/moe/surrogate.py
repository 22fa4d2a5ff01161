"""An output whose value is one thing and whose gradient is another's.

    forward    y
    backward   of y + D, with D = Σ_m π_m v_m:      ∂/∂π_m = ⟨∂L/∂y, v_m⟩

That is y + (D − stop_gradient(D)) without computing D: the forward pass costs nothing and changes no bit of y, the
backward pass one product, (T, D) by (D, M). No gradient flows into v.

Axes. T: tokens, D: width of an expert's answer, M: vectors that stand for inactive experts.
"""

from typing import Any

import torch
from torch import Tensor


class _WithGradientOf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y_TD: Tensor, pi_TM: Tensor, vectors_MD: Tensor) -> Tensor:
        # A copy: averages move between two forward passes, and each backward pass wants those of its own.
        ctx.save_for_backward(vectors_MD.to(y_TD.dtype, copy=True))
        ctx.dtype = pi_TM.dtype
        return y_TD.view_as(y_TD)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g_TD,), (vectors_MD,) = gradients, ctx.saved_tensors
        return g_TD, (g_TD @ vectors_MD.T).to(ctx.dtype) if ctx.needs_input_grad[1] else None, None


def with_gradient_of(y_TD: Tensor, pi_TM: Tensor, vectors_MD: Tensor) -> Tensor:
    """y, differentiated as y + π v.

    Args:
        y_TD: the value, any dtype.
        pi_TM: weights; their gradient is ⟨g, v⟩.
        vectors_MD: what they weigh; a constant.
    """
    same_TD: Tensor = _WithGradientOf.apply(y_TD, pi_TM, vectors_MD)  # type: ignore[no-untyped-call]
    return same_TD
