"""The reference model: the policy as it was when the run began.

A frozen copy of the weights; under adapters the model itself without them, for the base does not move, and with the
routers' state of the start, which does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field

from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.moe import Densified, densified
from reachlab.training.lora import without_adapters
from reachlab.training.processes import Processes


@dataclass(frozen=True)
class ReferenceModel:
    """Made by `copied` or `under_adapters` before the first update."""

    model: PreTrainedModel
    adapted: bool = False
    routers: Densified | None = None
    start: Mapping[str, Tensor] = field(default_factory=dict)
    """What the routers' method had moved when the run began."""

    @classmethod
    def copied(cls, policy: PreTrainedModel, processes: Processes) -> "ReferenceModel":
        """A copy of its own, sharded as the policy is."""
        return cls(processes.prepare(deepcopy(policy).requires_grad_(False)))

    @classmethod
    def under_adapters(cls, policy: PreTrainedModel) -> "ReferenceModel":
        """The policy with its adapters off; no copy."""
        routers = densified(policy)
        start = {} if routers is None else {name: t.clone() for name, t in routers.moved().items()}
        return cls(policy, adapted=True, routers=routers, start=start)

    @contextmanager
    def held(self) -> Iterator[nn.Module]:
        """The model to pass; the policy is as it was again afterwards."""
        if not self.adapted:
            yield self.model
            return
        with without_adapters(self.model), self.routers.holding(self.start) if self.routers else nullcontext():
            yield self.model
