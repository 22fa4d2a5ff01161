"""Default MoE: every expert has a part in every token, an inactive one by a vector that stands for its answer.

    y = Σ_{i∈A} π_i E_i(x) + D,    D = Σ_{i∉A} π_i Ê_i                     forward="default"
    y = Σ_{i∈A} π_i E_i(x) + D − stop_gradient(D)                          forward="sparse"

arXiv 2504.12463v3 is forward="default": the router's gradient is dense, and the defaults are part of the answer, in
evaluation too. forward="sparse" is ours: the model's function and checkpoint stay what they are, and only the gradient
sees the defaults. Ê comes from an estimator (`estimators/`), without gradient.

update="before_use" is the paper's order: a step's answers move Ê before it is used in the same pass. A token's output
(or gradient) then depends on later tokens of the batch. update="per_step" moves Ê once an optimizer step, from all
passes since the last one, and has no such leak.

Families that renormalise. π continues the router's weights to all experts (`scores.mixture`): on the active ones it has
the router's values, with the normaliser held constant in the backward pass. In forward="default" the weights of all
experts are scaled to sum to what the active ones' summed to.

Axes. T: tokens, E: experts, K: experts that a token visits, D: width of an expert's answer, M: vectors that stand for
inactive experts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.moe.estimators import ESTIMATORS, EstimatorName
from reachlab.moe.estimators.estimator import Estimator, Options
from reachlab.moe.method import Method
from reachlab.moe.reduce import add_up
from reachlab.moe.signals import Layer, Routing, Shape, Slots
from reachlab.moe.surrogate import with_gradient_of


@dataclass(kw_only=True, eq=False)
class Default(Method):
    """Default vectors for inactive experts."""

    forward: Literal["sparse", "default"] = "sparse"
    """Whether the defaults are seen by the gradient alone, or are part of the answer."""
    estimator: EstimatorName = "routed"
    """Where Ê comes from: the paper's mean over an expert's own tokens, that mean at a fitted length, the mean over
    probes, or a line through them."""
    update: Literal["before_use", "per_step"] = "before_use"
    """When Ê moves."""
    beta: float | None = None
    """How much of Ê stays at each update; None: the estimator's own (0.9 for routed, 0.95 for probes)."""
    share: float = 0.01
    """Of the tokens, that are probes, where the estimator has them."""
    average: Literal["weighted", "plain"] = "weighted"
    """Whether an answer counts by its routing weight."""

    def __post_init__(self) -> None:
        choices: dict[str, Collection[str]] = {
            "forward": ("sparse", "default"),
            "estimator": ESTIMATORS,
            "update": ("before_use", "per_step"),
            "average": ("weighted", "plain"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ReachlabError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(allowed)}")
        kind = ESTIMATORS[self.estimator]
        if self.beta is None:
            self.beta = kind.beta
        if not 0 <= self.beta < 1:
            raise ReachlabError(f"beta={self.beta} must be at least 0 and below 1")
        if not 0 < self.share <= 1:
            raise ReachlabError(f"share={self.share} must be above 0 and at most 1")
        self.hears_outputs = kind.hears
        self.acts_when_frozen = self.answers_when_frozen = self.forward == "default"

    def prepare(self, shape: Shape, device: torch.device) -> None:
        """Begin with vectors of zeros."""
        super().prepare(shape, device)
        self.stand: Estimator = ESTIMATORS[self.estimator](shape, device, cast(Options, self))

    def route(self, layer: Layer, routing: Routing) -> tuple[Tensor, Tensor] | None:
        """Where weights are renormalised, the same values with the mixture's gradient, or a share of all experts'."""
        if not layer.site.renormalised:
            return None
        weights_TK = routing.weights_TK
        if self.forward == "default":
            share_T1 = weights_TK.detach().float().sum(1, keepdim=True) / routing.pi_TE.detach().sum(1, keepdim=True)
            routing.pi_TE = routing.pi_TE * share_T1
            return routing.pi_TE.gather(1, routing.indices_TK).to(weights_TK.dtype), routing.indices_TK
        return routing.mixture_weights(), routing.indices_TK

    def hear(self, layer: Layer, slots: Slots) -> None:
        """The estimator averages what the experts answered."""
        self.stand.hear(layer, slots)

    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        """The sparse output with D, or with D's gradient."""
        if layer.updating:
            with torch.no_grad():
                self.stand.probe(layer, hidden_TD, routing)
                if self.update == "before_use":
                    add_up(self._sums())
                    self.stand.commit()
        weights_TM, vectors_MD = self.stand.stand_ins(routing)
        if self.forward == "sparse":
            return with_gradient_of(y_TD, weights_TM, vectors_MD)
        # A copy: averages may move before this pass is differentiated.
        return y_TD + weights_TM.to(y_TD.dtype) @ vectors_MD.to(y_TD.dtype, copy=True)

    def pending(self) -> list[Tensor]:
        """The sums of a step, where Ê moves once a step."""
        return self._sums() if self.update == "per_step" else []

    def commit(self) -> None:
        """Move Ê, where it moves once a step."""
        if self.update == "per_step":
            self.stand.commit()

    def _sums(self) -> list[Tensor]:
        return [tensor for memory in self.stand.memories().values() for tensor in memory.pending()]

    def problem(self) -> Tensor | None:
        """Whether an answer was not finite."""
        return self.stand.problem()

    def forgive(self) -> None:
        """Forget the problem."""
        self.stand.forgive()

    def state(self) -> dict[str, Tensor]:
        """What the estimator keeps."""
        memories = self.stand.memories().items()
        kept = {f"{name}.{key}": tensor for name, memory in memories for key, tensor in memory.state().items()}
        return kept | self.stand.extras()
