import pytest
import torch
from torch import Tensor

from reachlab.checks.contract import ContractError
from reachlab.checks.estimator import check_estimator
from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.estimators.estimator import Estimator, Memory
from reachlab.moe.estimators.probed import Probed
from reachlab.moe.estimators.routed import Routed
from reachlab.moe.signals import Layer, Routing, Slots


@pytest.mark.parametrize("name", ESTIMATORS)
def test_our_own_are_whole(name: str) -> None:
    check_estimator(ESTIMATORS[name])


class NoBeta(Routed):
    beta = 1.5


class Deaf(Routed):
    hears = False


class Narrow(Routed):
    def vectors(self) -> Tensor:
        return super().vectors()[:, :-1]


class Biased(Routed):
    def vectors(self) -> Tensor:
        return super().vectors() + 1.0


class Stuck(Routed):
    def commit(self) -> None:
        """Nothing moves."""


class NeverFrozen(Routed):
    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        self.routed.vectors_ED.mul_(1.01)
        return super().stand_ins(routing)


class Constant(Routed):
    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        return routing.inactive().detach(), self.vectors()


class Everybody(Routed):
    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        return routing.pi_TE, self.vectors()


class Transposed(Routed):
    def stand_ins(self, routing: Routing) -> tuple[Tensor, Tensor]:
        return routing.inactive().T, self.vectors()


class Untold(Routed):
    def problem(self) -> Tensor:
        return torch.zeros((), dtype=torch.bool)


class Forgets(Probed):
    def extras(self) -> dict[str, Tensor]:
        return {}


class Unsaved(Routed):
    def memories(self) -> dict[str, Memory]:
        return {}

    def commit(self) -> None:
        self.routed.commit()

    def problem(self) -> Tensor:
        return self.routed.poisoned

    def forgive(self) -> None:
        self.routed.poisoned.zero_()


BROKEN = {
    "has no beta": NoBeta,
    "does not say hears = True": Deaf,
    r"has vectors of shape \(8, 15\)": Narrow,
    "begins with vectors that are not 0": Biased,
    "has vectors of zeros": Stuck,
    "moves its vectors outside training": NeverFrozen,
    "has weights without gradient": Constant,
    "stands in for experts that answer themselves": Everybody,
    "takes answers that are not finite": Untold,
    "goes on otherwise after it was loaded": Forgets,
    "is another one when it is loaded|goes on otherwise": Unsaved,
}


@pytest.mark.parametrize(("says", "estimator"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, estimator: type[Estimator]) -> None:
    with pytest.raises(ContractError, match=f"^the estimator {estimator.__name__} .*({says})"):
        check_estimator(estimator)


def test_an_estimator_that_forgot_a_method_cannot_be_made() -> None:
    class Half(Estimator):
        def hear(self, layer: Layer, slots: Slots) -> None:
            """Nothing."""

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract, call-arg]
