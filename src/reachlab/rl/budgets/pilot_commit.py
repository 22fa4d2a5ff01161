"""*pilot_commit*: a pilot estimates each prompt's success rate; those inside a band get the rest of n, the others
nothing. A prompt outside ends with fewer than n drawn, and perhaps than M: it is left out of the step.

Source: Pilot-Commit (arXiv 2605.26606). Departures: what becomes of prompts outside the band (the paper defers hard
ones, drops solved ones, and draws several times the prompts it needs) is the caller's. The defaults are those of the
authors' runs: a quarter of n, and rates from 1/8 to 3/4.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.budgets.budget import Budget, Said
from reachlab.rl.rules.rule import Rule


@dataclass(frozen=True, kw_only=True)
class PilotCommit(Budget):
    """A pilot for every prompt, then the rest of n where the mean reward is inside the band.

    Raises:
        ReachlabError: a band whose ends are the wrong way round; later, a pilot outside 1..n.
    """

    name: ClassVar[str] = "pilot_commit"
    partial_groups: ClassVar[bool] = False

    pilot: int | None = None
    """Rollouts in the pilot; a quarter of n, rounded up, unless given."""
    band: tuple[float, float] = (0.125, 0.75)
    """Least and largest mean reward of the scored pilot rollouts to go on with, both included. A prompt without a
    scored one does not go on."""

    def __post_init__(self) -> None:
        if not self.band[0] <= self.band[1]:
            raise ReachlabError(f"budget: the band {self.band} is empty; the first number must be the lower")

    @classmethod
    def of(cls, said: Said, rule: Rule, keep: int) -> "PilotCommit":
        """With the user's pilot and band."""
        return cls(pilot=said.wave or None, band=said.band)

    @classmethod
    def check(cls, said: Said, rule: Rule) -> None:
        """A pilot has to be more than one rollout, and less than all."""
        pilot = said.wave or -(-said.rollouts // 4)
        if said.rollouts and not 2 <= pilot < said.rollouts:
            raise ReachlabError(
                f"a pilot of {pilot} of rollouts={said.rollouts} tells no success rate apart; give --wave 2 to "
                f"{said.rollouts - 1}, and more rollouts"
            )

    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        """The pilot, then all or nothing. Rewards are in [0, 1]."""
        pilot = -(-n // 4) if self.pilot is None else self.pilot
        if not 1 <= pilot <= n:
            raise ReachlabError(f"budget: a pilot of {pilot} of {n} rollouts; choose 1 to {n}")
        mean_P = rewards_PN.nanmean(dim=1)
        inside_P = (mean_P >= self.band[0]) & (mean_P <= self.band[1])
        rest_P = torch.where(inside_P & (drawn_P < n), n - drawn_P, 0)
        return torch.where(drawn_P < pilot, pilot - drawn_P, rest_P)
