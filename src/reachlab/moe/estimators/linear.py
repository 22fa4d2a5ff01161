"""Default vectors that depend on the token by one number: how the router sees it beside the others.

    Ê_i(x) = μ_i + z_i(x) ν_i        z_i(x) = l_i(x) − mean_j l_j(x),   the expert's own logit, centred

An expert answers a token the more strongly the more the router leans towards it. A constant stands for all tokens with
the same vector, and is too weak for the near misses, which have most of the router's gradient. μ and ν are fitted on
probes (`probes.py`) by least squares. It costs two products of (T, D) by (D, E) where a constant costs one. z is a
constant to the router's gradient: E_i(x) does not depend on the router. Ours.

Axes. T: tokens, E: experts, D: width of an expert's answer, M: probes, R: features of the regression.
"""

import torch
from torch import Tensor

from reachlab.moe.estimators.probed import Probed
from reachlab.moe.estimators.probes import Probes
from reachlab.moe.signals import Routing


class Linear(Probed):
    """Two vectors an expert, from probes."""

    features = 2

    def learn(self, probes: Probes, routing: Routing) -> None:
        """Take the probes' answers and their tokens' logits in."""
        z_M = _centred(routing)[probes.tokens_M, probes.experts_M]
        self.probes.add(
            probes.outputs_MD, probes.experts_M, probes.weights_M, torch.stack([torch.ones_like(z_M), z_M], 1)
        )

    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        """D = Σ_{i∉A} π_i (μ_i + z_i ν_i): weights (T, 2E), vectors (2E, D)."""
        pi_TE = routing.inactive()
        return torch.cat([pi_TE, pi_TE * _centred(routing)], 1), self.probes.vectors_RED.flatten(0, 1)


def _centred(routing: Routing) -> Tensor:
    logits_TE = routing.logits_TE.detach().float()
    return logits_TE - logits_TE.mean(1, keepdim=True)
