"""The stages of an RL step, each made of those before it and never changed: Rollouts → Kept → KeptTokens → Advantages →
Loss (`rollouts.py` has the first; `rl_step.py` the step).

Axes: P problems of this process's part of the step, M kept rollouts of each, T tokens of the longest kept answer.

Axes. P: prompts of a step, M: kept rollouts of a prompt, T: tokens of an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reachlab.models.pack import Pack

Row = tuple[int, int]
"""(p, m): a kept rollout, by problem and place among the kept."""
Watched = list[tuple[Pack, Tensor]]
"""Packs of one rollout a problem, and the policy's log-probabilities of their tokens."""


@dataclass(frozen=True)
class Kept:
    """The M rollouts of each problem to learn from; fewer where fewer were drawn."""

    indices_PM: Tensor
    """Which of a problem's rollouts, int64."""
    drawn_PM: Tensor
    """False where the rule had nothing to choose: what was not drawn, or could not be scored."""
    weights_PM: Tensor | None = None
    """What undoes the selection's bias, where asked for."""


@dataclass(frozen=True, kw_only=True)
class KeptTokens:
    """The kept rollouts as tokens, and what advantages need of the models' passes over them."""

    places: list[int]
    """The problems' places in the whole step, over all processes."""
    prompts: list[list[int]]
    answers: list[list[list[int]]]
    """Tokens of the kept answers, by problem; empty where fewer than M were drawn."""
    mask_PMT: Tensor
    values_PMT: Tensor | None = None
    """The critic's, in units of reward."""
    penalty_PMT: Tensor | None = None
    """β times the KL estimate of each token, where the KL is in the reward."""

    def rows(self, problems: Sequence[int], wanted_PM: Tensor | None = None) -> list[Row]:
        """The drawn rollouts of some problems; of these only the `wanted` ones."""
        return [
            (p, m)
            for p in problems
            for m, answer in enumerate(self.answers[p])
            if answer and (wanted_PM is None or wanted_PM[p, m])
        ]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a critic is to learn: (P, M, T) both."""

    returns_PMT: Tensor
    known_PMT: Tensor
    """The tokens it learns from."""


@dataclass(frozen=True, kw_only=True)
class Advantages:
    """What the kept rollouts are worth to the update."""

    values: Tensor
    """(P, M), or (P, M, T) where the tokens of an answer differ."""
    weights_PM: Tensor | None = None
    mean_tokens_P: Tensor | None = None
    """Beside weights: the mean number of tokens of all scored rollouts of a problem, kept or not."""
    targets: Targets | None = None
    """Where there is a critic."""

    @property
    def moving_PM(self) -> Tensor:  # noqa: N802, the axes of its value
        """The rollouts that have an advantage at all."""
        return self.values.any(2) if self.values.ndim == 3 else self.values != 0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What one update lowers, as packs to pass; `passes.py` has the sum that is differentiated."""

    advantages: Advantages
    values_PMT: Tensor | None
    """What the critic said before the step."""
    packs: list[Pack]
    rows: list[list[Row]]
    """Which rollout each row of each pack is."""
    old: list[Tensor | None]
    """The drawing policy's log-probabilities of each pack's tokens; None: the policy's own of the moment."""
    reference: list[Tensor | None]
    """The reference's, where a KL is in the loss."""
    answers: float
    """Scored answers of the whole update, over all processes, those that teach nothing too."""
    tokens: float
    """Their tokens."""
    per_computed: float
    """What statistics are to be multiplied by, to be means over the answers that were computed."""
