"""The paper's default vectors: the mean answer to the tokens that were routed to an expert.

    Ê_i = EMA of Σ_{x: i ∈ A(x)} π_i(x) E_i(x) / Σ_{x: i ∈ A(x)} π_i(x)

arXiv 2504.12463v3. The weights π make β unimportant there; `average="plain"` has 1 in their place. It is a biased
stand-in: an expert answers the tokens routed to it more strongly than those that were not.

Axes. E: experts, S: token-expert pairs, D: width of an expert's answer.
"""

import torch
from torch import Tensor

from reachlab.moe.average import Average
from reachlab.moe.estimators.estimator import Estimator, Memory, Options
from reachlab.moe.signals import Layer, Routing, Shape, Slots


class Routed(Estimator):
    """One vector an expert, from the slots that there are anyway."""

    beta = 0.9
    hears = True

    def __init__(self, shape: Shape, device: torch.device, options: Options):
        self.routed = Average(shape.E, shape.D, options.beta, device)
        self.weighted = options.average == "weighted"

    def hear(self, layer: Layer, slots: Slots) -> None:
        """Add a pass's slots."""
        weights_S = slots.weights_S if self.weighted else (slots.weights_S > 0).float()
        self.routed.add(slots.outputs_SD, slots.experts_S, weights_S, layer.offset or 0, layer.experts_here)

    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        """D = Σ_{i∉A} π_i Ê_i."""
        return routing.inactive(), self.vectors()

    def vectors(self) -> Tensor:
        """Ê."""
        return self.routed.vectors_ED

    def memories(self) -> dict[str, Memory]:
        """The mean answer to the tokens of an expert's own."""
        return {"routed": self.routed}
