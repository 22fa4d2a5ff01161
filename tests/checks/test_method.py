from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from reachlab.checks.contract import ContractError
from reachlab.checks.method import check_method
from reachlab.moe.method import Method, TopK
from reachlab.moe.methods import METHODS
from reachlab.moe.signals import Layer, Routing

OPTIONS: dict[str, dict[str, Any]] = {"sparsemixer": {"jitter": 0.5}}  # where routers are decided, less teaches nothing


@pytest.mark.parametrize(
    ("name", "options"), [*((name, OPTIONS.get(name, {})) for name in METHODS), ("default", {"forward": "default"})]
)
def test_our_own_are_whole(name: str, options: dict[str, Any]) -> None:
    check_method(METHODS[name], **options)


class Undeclared(Method):
    def __init__(self, rate: float = 0.1):
        self.rate = rate


@dataclass(kw_only=True, eq=False)
class Cut(Method):
    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        return y_TD.detach()


@dataclass(kw_only=True, eq=False)
class Counting(Method):
    """Answers by how many steps there were, which it does not save."""

    steps: int = 0

    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        return y_TD * (1 + self.steps)

    def commit(self) -> None:
        self.steps += 1


@dataclass(kw_only=True, eq=False)
class Saved(Counting):
    """As before, in a tensor that it names and gives a copy of."""

    def state(self) -> dict[str, Tensor]:
        return {"steps": torch.tensor(float(self.steps))}


@dataclass(kw_only=True, eq=False)
class Moves(Method):
    def answer(self, layer: Layer, hidden_TD: Tensor, y_TD: Tensor, routing: Routing) -> Tensor:
        self.router = layer.site.router
        return y_TD

    def commit(self) -> None:
        with torch.no_grad():
            for parameter in self.router.parameters():
                parameter.add_(0.01)


BROKEN: dict[str, type[Method]] = {
    "is no dataclass": Undeclared,
    "leaves the router of .* without a finite gradient": Cut,
    "goes on otherwise after it was loaded": Counting,
    "is another one when it is loaded": Saved,
    "moves the model's": Moves,
}


@pytest.mark.parametrize(("says", "method"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, method: type[Method]) -> None:
    with pytest.raises(ContractError, match=f"^the method {method.__name__} .*{says}"):
        check_method(method)


def test_the_name_is_gone_afterwards() -> None:
    check_method(TopK)
    assert [*METHODS] == ["topk", "default", "sparsemixer", "densemixer", "lossfree"]
    assert not any("tried" in name for name in METHODS)
