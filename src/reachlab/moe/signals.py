"""What passes between a layer and its method: the router's choice, the experts' answers, and the layer as a method
sees it.

Axes. T: tokens, E: experts, K: experts that a token visits, S = T·K: token-expert pairs, D: width of an answer.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from reachlab.moe.sites import LayerSite


@dataclass(frozen=True)
class Shape:
    """A layer's E experts, of which K are active, and D, the width of an expert's answer."""

    E: int
    K: int
    D: int


@dataclass
class Routing:
    """One call of a layer: T tokens, E experts, K of them active for each token."""

    logits_TE: Tensor
    pi_TE: Tensor
    """Every expert's weight in the mixture (float32): the router's own for active ones, its continuation for the rest
    (`scores.mixture`)."""
    weights_TK: Tensor
    """What the router gives the active experts."""
    indices_TK: Tensor
    tokens_T: Tensor | None
    """Which tokens are not padding; None: all."""
    bias_E: Tensor | None = None
    """What the router selects by beside its scores, where its block hands it that."""

    def mixture_weights(self) -> Tensor:
        """The active experts' weights, (T, K): the router's own values with the mixture's gradient."""
        pi_TK = self.pi_TE.gather(1, self.indices_TK)
        return self.weights_TK.detach() + (pi_TK - pi_TK.detach()).to(self.weights_TK.dtype)

    def inactive(self) -> Tensor:
        """The weights of the experts that a token does not visit, (T, E); 0 for those that it does."""
        return self.pi_TE.scatter(1, self.indices_TK, 0.0)


@dataclass
class Slots:
    """What the experts answered: S token-expert pairs, in any order."""

    outputs_SD: Tensor
    experts_S: Tensor
    weights_S: Tensor
    """The routing weight of each; 0 for padding, and for experts that live on another process."""


class Layer(Protocol):
    """A layer, as a method sees it; `layer.HookedLayer` is one."""

    @property
    def name(self) -> str:
        """Its block's qualified name in the model."""

    @property
    def site(self) -> LayerSite:
        """Its router, its experts and their family."""

    @property
    def shape(self) -> Shape:
        """E, K and D."""

    @property
    def offset(self) -> int | None:
        """The global number of this process's first expert, under expert parallelism; None without."""

    @property
    def experts_here(self) -> int:
        """How many experts this process holds."""

    @property
    def drawing(self) -> bool:
        """Whether a method that routes by chance does so in this pass."""

    @property
    def updating(self) -> bool:
        """Whether this pass counts: a training pass, and not the recomputation of one."""

    def visit(self, hidden_SD: Tensor, experts_S: Tensor) -> Tensor:
        """E_i(x) of any tokens and experts, (S, D), without gradient."""
