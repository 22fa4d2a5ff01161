"""*all*: n rollouts for every prompt, at once."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from reachlab.rl.budgets.budget import Budget


@dataclass(frozen=True, kw_only=True)
class AllAtOnce(Budget):
    """No saving."""

    name: ClassVar[str] = "all"
    draws_all: ClassVar[bool] = True

    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        """What is left of n."""
        return n - drawn_P
