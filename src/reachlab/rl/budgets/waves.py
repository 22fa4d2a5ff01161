"""*waves* (ours): a wave of W rollouts a prompt; a prompt stops once no further rollout could change which rewards are
kept (`Rule.saturated`) or its n are spent; the slots it frees go evenly to the prompts still searching, so that a wave
keeps P·W rollouts, and the engine's batch stays full, while anybody can use them.

Why the kept subset has the distribution that all n would give it. Rollouts of a prompt are exchangeable, and whether to
stop depends on rewards alone. A prompt that stops keeps the rewards that it would keep of all n, by the definition of
saturated; one that never does has drawn n. And given those rewards, which of the rollouts of one reward are kept says
nothing of their text: the first ones with that reward, or any of all n with it, are independent draws of
π(answer | reward). (For binary rewards: M/2 right and M/2 wrong answers, ties at random.) Under *random* and *none* any
M scored rollouts are as good as others. What would break it is a stop that looks at anything else, such as which
rollouts finish first, which favours short answers: a wave is waited for whole. Statistics over all N
(``normalise="all"``) are those of the rollouts drawn, and do depend on the stop: a prompt stops just after it drew
another of the reward that was rare.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.budgets.budget import Budget, Said
from reachlab.rl.rules.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Waves(Budget):
    """Stop where the kept subset is the best possible.

    Raises:
        ReachlabError: a wave below 1; low ≥ high; later, a reward outside [low, high].
    """

    name: ClassVar[str] = "waves"
    bounded: ClassVar[bool] = True

    rule: Rule
    """Which will keep M."""
    low: float = 0.0
    """The least reward that there can be."""
    high: float = 1.0
    """The largest."""
    wave: int | None = None
    """W, rollouts a prompt in each wave; M unless given."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ReachlabError(f"budget: rewards cannot lie in [{self.low}, {self.high}]; the first must be the lower")
        if self.wave is not None and self.wave < 1:
            raise ReachlabError(f"budget: a wave of {self.wave} rollouts a prompt; choose 1 or more")

    @classmethod
    def of(cls, said: Said, rule: Rule, keep: int) -> "Waves":
        """By default W = 2M: at a success rate of 1/2, m rollouts seldom hold m/2 of each kind and 2m nearly always
        do."""
        low, high = said.reward_range
        return cls(rule=rule, low=low, high=high, wave=said.wave or min(2 * keep, said.rollouts))

    @classmethod
    def check(cls, said: Said, rule: Rule) -> None:
        """Something has to be kept that can be the best."""
        if rule.keeps_all:
            raise ReachlabError(
                "--budget waves stops when the kept subset is the best possible: give a --rule and --keep"
            )

    def more(self, rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
        """A wave for every prompt, then for those still searching."""
        if ((rewards_PN < self.low) | (rewards_PN > self.high)).any():
            raise ReachlabError(
                f"budget: a reward lies outside [{self.low}, {self.high}]; say what range rewards have (--reward-range)"
            )
        done_P = self.rule.saturated(rewards_PN, m, self.low, self.high)
        return _share_out((self.wave or m) * len(drawn_P), (n - drawn_P).masked_fill(done_P, 0))


def _share_out(slots: int, room_P: Tensor) -> Tensor:
    """Give out slots one round at a time, a prompt one each while it has room: (P,), int64.

    Sums to the smaller of `slots` and the rooms' sum, and differs by at most 1 between prompts that have room left. In
    the last round the first prompts come first.
    """
    # With everyone at min(room, level), levels are searched for the highest that the slots pay for.
    low, high = 0, int(room_P.amax()) if len(room_P) else 0
    while low < high:
        level = (low + high + 1) // 2
        if int(room_P.clamp(max=level).sum()) <= slots:
            low = level
        else:
            high = level - 1
    more_P = room_P.clamp(max=low)
    open_P = room_P > low
    return more_P + (open_P & (open_P.cumsum(dim=0) <= slots - more_P.sum()))
