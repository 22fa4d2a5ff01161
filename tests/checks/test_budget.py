from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from reachlab.checks.budget import check_budget
from reachlab.checks.contract import ContractError
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.budgets.all_at_once import AllAtOnce
from reachlab.rl.budgets.budget import Budget
from reachlab.rl.budgets.pilot_commit import PilotCommit
from reachlab.rl.rules import RULES


@pytest.mark.parametrize("name", BUDGETS)
def test_our_own_are_whole(name: str) -> None:
    check_budget(BUDGETS[name])


@pytest.mark.parametrize("name", ["max_reward", "percentile"])
def test_waves_go_with_other_rules(name: str) -> None:
    check_budget(BUDGETS["waves"], RULES[name])


class Broken(Budget):
    name: ClassVar[str] = "x"


class Floats(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return (n - drawn_P).float()


class TooMany(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return torch.full_like(drawn_P, m)


class Negative(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return m + 1 - drawn_P - (drawn_P > m).long()


class Stalls(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        more_P = n - drawn_P
        more_P[0] = 0
        return more_P


class Chance(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return torch.minimum(torch.randint(1, n, drawn_P.shape), n - drawn_P)


class TooFew(Broken):
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return torch.where(drawn_P < 2, 1, 0)


class ThreeAlways(Broken):
    draws_all: ClassVar[bool] = True

    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        return (n - 1 - drawn_P).clamp(min=0)


class AtTheFirstRight(Broken):
    bounded: ClassVar[bool] = True

    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        searching_P = (drawn_P < n) & ~(rewards_PN == 1).any(dim=1)
        return torch.where(drawn_P < m, m - drawn_P, searching_P.long())


@dataclass(frozen=True, kw_only=True)
class PartialPilot(PilotCommit):
    name: ClassVar[str] = "x"
    partial_groups: ClassVar[bool] = True


BROKEN = {
    r"returns \(\d,\) torch.float32": Floats,
    "no prompt gets fewer than none, or more than n": TooMany,
    "gives .*-1.* more": Negative,
    r"begins with \[0, 16": Stalls,
    "gives something else when it is asked again": Chance,
    "fewer than M = 4": TooFew,
    "says draws_all, and some prompts get fewer": ThreeAlways,
    "would keep other rewards of all 16": AtTheFirstRight,
    "fewer than M = 5; M rollouts": PartialPilot,
}


@pytest.mark.parametrize(("says", "kind"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, kind: type[Budget]) -> None:
    with pytest.raises(ContractError, match=f"^the budget 'x' .*{says}"):
        check_budget(kind)


def test_a_budget_that_forgot_its_method_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="more"):
        Broken()  # type: ignore[abstract]
    assert AllAtOnce().more(torch.zeros(1, 2), torch.tensor([0]), 1, 2).tolist() == [2]
