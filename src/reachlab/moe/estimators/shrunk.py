"""The paper's default vectors at the length that fits the tokens they stand for.

    a_i Ê_i        a_i = Σ_probes Π ⟨E_i(x), Ê_i⟩ / Σ_probes Π |Ê_i|²

Ê_i is `routed.py`'s mean over an expert's own tokens, about twice too long for the others. Its direction is averaged
over all of an expert's tokens; one number an expert is left to find, and for that few probes (`probes.py`) do. Ours.

Axes. T: tokens, E: experts, D: width of an expert's answer, M: probes, R: features of the regression.
"""

import torch
from torch import Tensor

from reachlab.moe.estimators.estimator import Memory, Options
from reachlab.moe.estimators.probes import probe
from reachlab.moe.estimators.routed import Routed
from reachlab.moe.regression import Regression
from reachlab.moe.signals import Layer, Routing, Shape


class Shrunk(Routed):
    """One vector and one factor an expert."""

    def __init__(self, shape: Shape, device: torch.device, options: Options):
        super().__init__(shape, device, options)
        self.share = options.share
        self.scale = Regression(1, shape.E, 1, SCALE_BETA, device)
        self.draws = torch.zeros((), dtype=torch.int64, device=device)

    def probe(self, layer: Layer, hidden_TD: Tensor, routing: Routing) -> None:
        """See how far along its vector an expert answers tokens that were not its own."""
        if layer.shape.K == layer.shape.E:
            return
        probes = probe(layer, hidden_TD, routing, self.share, self.draws)
        self.draws += 1
        vectors_MD = self.routed.vectors_ED[probes.experts_M]
        squares_M = vectors_MD.square().sum(1)
        along_M = (probes.outputs_MD.float() * vectors_MD).sum(1) / squares_M.clamp(min=torch.finfo(torch.float32).tiny)
        weights_M = probes.weights_M * squares_M
        self.scale.add(along_M[:, None], probes.experts_M, weights_M, torch.ones_like(along_M)[:, None])

    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        """D = Σ_{i∉A} π_i a_i Ê_i."""
        return routing.inactive(), self.vectors()

    def vectors(self) -> Tensor:
        """a Ê."""
        return self.routed.vectors_ED * self.scale.vectors_RED[0]

    def memories(self) -> dict[str, Memory]:
        """Ê and a."""
        return {"routed": self.routed, "scale": self.scale}

    def extras(self) -> dict[str, Tensor]:
        """How many draws there were."""
        return {"draws": self.draws}


SCALE_BETA = 0.95
"""The factor moves more slowly than the vector: few probes find it."""
