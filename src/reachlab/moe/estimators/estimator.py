"""What every estimator offers: it hears answers, keeps averages, and says what stands in for the inactive experts."""

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from reachlab.moe.average import Average

if TYPE_CHECKING:
    from reachlab.moe.layer import Layer, Routing, Slots


class EstimatorOptions(Protocol):
    """What an estimator may ask of the method's options."""

    beta: float
    average: str


class Estimator:
    """The base: one average of one vector an expert, E by D."""

    average: Average

    def hear(self, layer: "Layer", slots: "Slots") -> None:
        """A training pass's slots: what the experts answered to the tokens routed to them."""

    def probe(self, layer: "Layer", hidden_TD: Tensor, routing: "Routing") -> None:
        """The same pass's tokens, of which some may be sent to experts that they were not routed to."""

    def stand_ins(self, routing: "Routing") -> tuple[Tensor, Tensor]:
        """Weights (T, M) and vectors (M, D) whose product stands for Σ_{i∉A} π_i E_i: here π_i and Ê_i, M = E."""
        return routing.inactive(), self.average.vectors_ED

    def averages(self) -> dict[str, Average]:
        """All that it keeps, by name."""
        return {"average": self.average}

    def commit(self) -> None:
        """Move every average by the sums since the last commit."""
        for average in self.averages().values():
            average.commit()
