"""Default vectors from the tokens that they stand for: the mean answer of an expert to tokens not routed to it.

    Ê_i = Σ_probes β^age Π E_i(x) / Σ_probes β^age Π        an unbiased estimate of Σ_{i∉A} π_i E_i / Σ_{i∉A} π_i

A share of each pass's tokens are probes (`probes.py`): that share of the experts' forward cost is the price. Ours; it
answers the bias of the paper's estimator (`routed.py`).

Axes. T: tokens, E: experts, D: width of an expert's answer, M: probes, R: features of the regression.
"""

import torch
from torch import Tensor

from reachlab.moe.estimators.estimator import Estimator, Memory, Options
from reachlab.moe.estimators.probes import Probes, probe
from reachlab.moe.regression import Regression
from reachlab.moe.signals import Layer, Routing, Shape


class Probed(Estimator):
    """One vector an expert, from probes."""

    beta = 0.95
    features = 1

    def __init__(self, shape: Shape, device: torch.device, options: Options):
        self.share = options.share
        self.probes = Regression(self.features, shape.E, shape.D, options.beta, device)
        self.draws = torch.zeros((), dtype=torch.int64, device=device)

    def probe(self, layer: Layer, hidden_TD: Tensor, routing: Routing) -> None:
        """Send some tokens to experts that they were not routed to."""
        if layer.shape.K == layer.shape.E:
            return
        probes = probe(layer, hidden_TD, routing, self.share, self.draws)
        self.draws += 1
        self.learn(probes, routing)

    def learn(self, probes: Probes, routing: Routing) -> None:
        """Take the probes' answers in."""
        ones_M1 = torch.ones_like(probes.weights_M)[:, None]
        self.probes.add(probes.outputs_MD, probes.experts_M, probes.weights_M, ones_M1)

    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        """D = Σ_{i∉A} π_i Ê_i."""
        return routing.inactive(), self.vectors()

    def vectors(self) -> Tensor:
        """Ê; for a linear estimator, at features of 0."""
        return self.probes.vectors_RED[0]

    def memories(self) -> dict[str, Memory]:
        """What the probes said."""
        return {"probes": self.probes}

    def extras(self) -> dict[str, Tensor]:
        """How many draws there were: a resumed run draws on."""
        return {"draws": self.draws}
