"""What every estimator offers: it hears answers, keeps averages, and says what stands in for the inactive experts."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from reachlab.choices import a_class
from reachlab.moe.signals import Layer, Routing, Shape, Slots


class Options(Protocol):
    """What an estimator asks of the method's options."""

    @property
    def average(self) -> str:
        """weighted or plain."""

    @property
    def share(self) -> float:
        """The share of the tokens that are probes."""

    @property
    def beta(self) -> float:
        """How much stays at an update."""


class Memory(Protocol):
    """An average over steps: `Average`, `Regression`."""

    age_E: Tensor
    poisoned: Tensor

    def pending(self) -> list[Tensor]:
        """What is to be added up over processes before a commit."""

    def commit(self) -> None:
        """Move by the sums since the last commit."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs."""


class Estimator(ABC):
    """The base. Vectors are (M, D), M = E where an expert has one. `checks.check_estimator` holds one to what is
    promised here."""

    beta: ClassVar[float]
    """How much stays at an update, unless the user says otherwise."""
    hears: ClassVar[bool] = False
    """Whether it wants to `hear` what the experts answer to their own tokens."""

    @abstractmethod
    def __init__(self, shape: Shape, device: torch.device, options: Options):
        """Begin with vectors of zeros, for a layer's E experts of width D."""

    def hear(self, layer: Layer, slots: Slots) -> None:  # noqa: B027, not all hear
        """A training pass's slots: what the experts answered to the tokens routed to them."""

    def probe(self, layer: Layer, hidden_TD: Tensor, routing: Routing) -> None:  # noqa: B027, not all probe
        """The same pass's tokens, of which some may be sent to experts that they were not routed to."""

    @abstractmethod
    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        """Weights (T, M) and vectors (M, D) whose product stands for Σ_{i∉A} π_i E_i."""

    @abstractmethod
    def vectors(self) -> Tensor:
        """What stands for each expert on average, (E, D): for those who look."""

    @abstractmethod
    def memories(self) -> dict[str, Memory]:
        """All that it keeps, by name."""

    def extras(self) -> dict[str, Tensor]:
        """State beside the memories."""
        return {}

    def commit(self) -> None:
        """Move every memory by the sums since the last commit."""
        for memory in self.memories().values():
            memory.commit()

    def problem(self) -> Tensor:
        """Whether an answer was not finite."""
        return torch.stack([memory.poisoned for memory in self.memories().values()]).any()

    def forgive(self) -> None:
        """Forget the problem."""
        for memory in self.memories().values():
            memory.poisoned.zero_()


def adopted(name: str, found: Any) -> type[Estimator]:
    """An estimator as others give it.

    Raises:
        ReachlabError: it is none.
    """
    return a_class(name, found, Estimator, of="estimator")  # type: ignore[type-abstract]
