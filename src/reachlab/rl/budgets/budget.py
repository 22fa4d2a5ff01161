"""What a rollout budget is: given the rewards so far, how many more rollouts each prompt gets.

A budget is asked again and again until it gives no prompt any more. `rewards_PN` has room for n rollouts a prompt, NaN
where one is not drawn or unscored; the `drawn_P` first are drawn. A wave is waited for whole: what finishes first is
short.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from reachlab.choices import a_class
from reachlab.rl.rules.rule import Rule


class Said(Protocol):
    """What a user says of budgets; `BudgetConfig` is one."""

    @property
    def rollouts(self) -> int:
        """n; 0 where it is not known yet."""
        ...

    @property
    def wave(self) -> int:
        """Rollouts a prompt in the first wave; 0 leaves it to the budget."""
        ...

    @property
    def band(self) -> tuple[float, float]:
        """Mean rewards from the first to the second."""
        ...

    @property
    def reward_range(self) -> tuple[float, float]:
        """The lowest and the highest reward that there can be."""
        ...


@dataclass(frozen=True, kw_only=True)
class Budget(ABC):
    """The base: a dataclass whose fields are its settings. `checks.check_budget` holds one to what is promised here."""

    name: ClassVar[str]
    draws_all: ClassVar[bool] = False
    """Whether every prompt gets n: statistics over all n can be had."""
    partial_groups: ClassVar[bool] = True
    """Whether a prompt with fewer than n rollouts is learned from; if not, it is left out of the step."""
    bounded: ClassVar[bool] = False
    """Whether it counts on rewards in `Said.reward_range`, the task's own, with nothing taken off for length."""

    @classmethod
    def of(cls, said: Said, rule: Rule, keep: int) -> "Budget":
        """This budget with the user's settings; `keep` is M, and n is known."""
        return cls()

    @classmethod  # noqa: B027, a budget may have nothing to refuse
    def check(cls, said: Said, rule: Rule) -> None:
        """Refuse settings that cannot be; n may still be unknown.

        Raises:
            ReachlabError: it says what to do.
        """

    @abstractmethod
    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        """How many more each prompt gets: more_P, int64; all zeros ends.

        Args:
            rewards_PN: rewards so far. drawn_P: how many are drawn, int64. m: how many will be kept. n: how many may be
                drawn.
        """


def adopted(name: str, found: Any) -> type[Budget]:
    """A budget as others give it.

    Raises:
        ReachlabError: it is none.
    """
    return a_class(name, found, Budget, of="budget", named=True)  # type: ignore[type-abstract]
