"""DenseMixer: the router's gradient is that of the dense mixture, because every expert answers every token.

    forward    y = Σ_{i∈A} π_i E_i(x)                                 the model's own output, bit for bit
    backward   of y + D − stop_gradient(D),  D = Σ_{i∉A} π_i E_i(x):        ∂L/∂π_i = ⟨∂L/∂y, E_i(x)⟩ for all i

Source: Yao et al. 2025, "DenseMixer: Improving MoE Post-Training with Precise Router Gradient", and its code. As there,
the answers E_i(x) of inactive experts are constants: an expert's parameters, and x through the experts, get the top-k's
gradient only. Instruments take this for the true dense gradient.

Inactive experts are visited in the backward pass (so a pass that is not differentiated costs nothing), in rounds of K
a token: a round needs no more memory than the sparse pass.

One departure, in families that renormalise the top-k: there the published code lets gradient through the normaliser for
active experts and holds it for inactive ones, which makes the sum over all experts no distribution's. We hold it for
both (`scores.mixture`), as in the method "default".

Axes. T: tokens, E: experts, K: experts that a token visits, S: token-expert pairs, D: width of an expert's answer, C:
inactive experts at a time, N = E − K: inactive experts.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reachlab.moe.method import Method
from reachlab.moe.signals import Layer, Routing


class _WithEveryExpert(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y_TD: Tensor, inactive_TE: Tensor, hidden_TD: Tensor, indices_TK: Tensor, layer: Layer
    ) -> Tensor:
        ctx.save_for_backward(hidden_TD, indices_TK)
        ctx.layer, ctx.like = layer, inactive_TE.new_empty(0)
        ctx.shape = inactive_TE.shape
        # The backward pass runs outside the caller's autocast.
        device = y_TD.device.type
        ctx.autocast = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
        return y_TD.view_as(y_TD)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g_TD,), (hidden_TD, indices_TK) = gradients, ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return g_TD, None, None, None, None
        (T, E), K = ctx.shape, indices_TK.shape[1]
        active_TE = torch.zeros(T, E, dtype=torch.int8, device=g_TD.device).scatter_(1, indices_TK, 1)
        inactive_TN = active_TE.argsort(1)[:, : E - K]
        gradient_TE = ctx.like.new_zeros(T, E)
        device, dtype, enabled = ctx.autocast
        with torch.autocast(device, dtype, enabled):
            for experts_TC in torch.split(inactive_TN, K, 1):
                C = experts_TC.shape[1]
                outputs_SD = ctx.layer.visit(hidden_TD.repeat_interleave(C, 0), experts_TC.reshape(-1))
                products_TCD = outputs_SD.view(T, C, -1) * g_TD[:, None]
                gradient_TE.scatter_(1, experts_TC, products_TCD.sum(-1, dtype=gradient_TE.dtype))
        return g_TD, gradient_TE, None, None, None


@dataclass(kw_only=True, eq=False)
class DenseMixer(Method):
    """All experts, straight through."""

    def route(self, layer: Layer, routing: Routing) -> tuple[Tensor, Tensor] | None:
        """Where weights are renormalised, the same values with the mixture's gradient."""
        return (routing.mixture_weights(), routing.indices_TK) if layer.site.renormalised else None

    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        """The sparse output with D's gradient."""
        y_dense_TD: Tensor = _WithEveryExpert.apply(  # type: ignore[no-untyped-call]
            y_TD, routing.inactive(), hidden_TD, routing.indices_TK, layer
        )
        return y_dense_TD
