"""What a method may do at a layer: one object a layer, with the state that it keeps there.

The plain top-k router is a method that does nothing; it is here to be measured like the others.

Axes. T: tokens, E: experts, K: experts that a token visits, D: width of an expert's answer.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reachlab.choices import a_class
from reachlab.moe.signals import Layer, Routing, Shape, Slots
from reachlab.moe.sites import LayerSite


class Method:
    """The base of all methods: the router's own top-k, with its own gradient.

    A subclass is a dataclass whose fields are its options; `prepare` makes its state.
    """

    hears_outputs: bool = False
    """Whether `hear` is to be called with every expert's answers; costs a sort of the slots."""
    acts_when_frozen: bool = False
    """Whether it also acts outside training."""
    answers_when_frozen: bool = False
    """Whether it does so at the experts' output, and not only at the router's."""

    def check(self, site: LayerSite) -> None:
        """Raise a ReachlabError where the method makes no sense for a layer."""

    def prepare(self, shape: Shape, device: torch.device) -> None:
        """Make the state for a layer.

        Args:
            shape: the layer's E, K and D.
            device: where the state is to be.
        """
        self.shape = shape

    def route(self, layer: Layer, routing: Routing) -> tuple[Tensor, Tensor] | None:
        """Weights and indices, (T, K) both, to use instead of the router's; None leaves them.

        Args:
            layer: where this happens.
            routing: what the router chose; it may be changed in place.
        """
        return None

    def hear(self, layer: Layer, slots: Slots) -> None:
        """The experts' answers in a training pass, before they are weighted and summed; without gradient.

        Args:
            layer: where this happens.
            slots: the answers, whose they are, and their routing weights.
        """

    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        """The layer's output, given what the experts made of it.

        Args:
            layer: where this happens.
            hidden_TD: (T, hidden width), what went into the layer.
            y_TD: (T, D), what the active experts made of it.
            routing: what the router chose.
        """
        return y_TD

    def pending(self) -> list[Tensor]:
        """Sums since the last commit that are to be added up over processes, in place."""
        return []

    def commit(self) -> None:
        """One optimizer step is over; `pending` has been added up."""

    def problem(self) -> Tensor | None:
        """A boolean scalar: whether something not finite was met, and left out, since the last commit."""
        return None

    def forgive(self) -> None:
        """Forget the problem: it has been told."""

    def state(self) -> dict[str, Tensor]:
        """What is saved beside a checkpoint; `load` gets the same."""
        return {}

    def acts_with(self, state: dict[str, Tensor]) -> bool:
        """Whether a model whose layers saved this state is another function with the method than without."""
        return self.acts_when_frozen

    def borrowed(self, block: nn.Module) -> dict[str, Tensor]:
        """Tensors of the model's own that `commit` moves: in the checkpoint already, but no optimizer knows of them."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a saved state, in place; its shapes have been checked."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def to(self, device: torch.device) -> None:
        """Move the state."""
        _move(self, device)

    def metrics(self) -> dict[str, Tensor]:
        """Scalars to watch."""
        return {}


def _move(held: Any, device: torch.device) -> Any:
    """Tensors to a device, wherever an object of ours holds them."""
    if isinstance(held, Tensor):
        return held.to(device)
    if isinstance(held, list):
        return [_move(item, device) for item in held]
    if type(held).__module__.startswith("reachlab.moe."):
        for name, value in vars(held).items() if hasattr(held, "__dict__") else ():
            if (moved := _move(value, device)) is not value:  # what holds no tensor may be immutable
                setattr(held, name, moved)
    return held


@dataclass(kw_only=True)
class TopK(Method):
    """The model's own router."""


def adopted(name: str, found: Any) -> type[Method]:
    """A method as others give it.

    Raises:
        ReachlabError: it is none.
    """
    return a_class(name, found, Method, of="method")
