"""The paper's default vectors: the mean answer to the tokens that were routed to an expert.

    Ê_i = EMA of Σ_{x: i ∈ A(x)} π_i(x) E_i(x) / Σ_{x: i ∈ A(x)} π_i(x)

arXiv 2504.12463v3. The weights π make β unimportant there; `average="plain"` has 1 in their place. It is a biased
stand-in: an expert answers the tokens routed to it more strongly than those that were not.
"""

import torch

from reachlab.moe.average import Average
from reachlab.moe.estimators.estimator import Estimator, EstimatorOptions
from reachlab.moe.layer import Layer, Slots
from reachlab.moe.method import Shape


class Routed(Estimator):
    """One vector an expert, from the slots that there are anyway."""

    def __init__(self, shape: Shape, device: torch.device, options: EstimatorOptions):
        self.average = Average(shape.E, shape.D, options.beta, device)
        self.weighted = options.average == "weighted"

    def hear(self, layer: Layer, slots: Slots) -> None:
        """Add a pass's slots."""
        weights_S = slots.weights_S if self.weighted else (slots.weights_S > 0).float()
        self.average.add(slots.outputs_SD, slots.experts_S, weights_S, layer.offset or 0, layer.experts_here)
