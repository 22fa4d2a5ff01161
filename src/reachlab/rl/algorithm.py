"""What a policy-gradient algorithm is: a row of choices.

    advantage estimator × loss aggregation × clipping × KL (none, in the loss, in the reward)

The rows are in `algorithms/`, one short file each with its equation and source. Estimators they share are in
`advantages.py`, the loss in `losses.py`, the KL in `kl.py`. Nothing here knows of models or files.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from reachlab.errors import ReachlabError

Aggregate = Literal["sequence", "token", "constant", "sum"]
"""How the losses of tokens become one number: mean over each answer's tokens, then over answers; mean over all
tokens; sum over tokens / (answers × max_tokens); sum over an answer's tokens, mean over answers."""

KLPlace = Literal["none", "loss", "reward"]
KLEstimator = Literal["k1", "k2", "k3"]
Normalise = Literal["kept", "all"]


def _alone(statistics: Tensor) -> Tensor:
    return statistics


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a step knows when advantages are due. T is the longest of the kept answers, padded on the right.

    Raises:
        ReachlabError: an unknown `normalise`; a KL in the reward with statistics over rollouts not kept.
    """

    rewards_PN: Tensor
    """Rewards of all rollouts; NaN is unscored or not drawn: it enters no statistic and its advantage is 0."""

    kept_PM: Tensor
    """Indices of the rollouts to learn from, int64."""

    mask_PMT: Tensor
    """True on the tokens of the kept answers."""

    normalise: Normalise = "kept"
    """Whose rewards a group's baseline and deviation come from: the ``kept`` rollouts' or ``all`` N."""

    penalty_PMT: Tensor | None = None
    """β times the KL estimate of each token, 0 off the mask; only where the KL is in the reward."""

    values_PMT: Tensor | None = None
    """The critic's value of the state that each token was drawn in; off the mask anything."""

    greedy_P: Tensor | None = None
    """Reward of each prompt's temperature-0 answer; NaN is unscored."""

    full_credit: float = 0.0
    """What a right answer earns beyond a wrong one. Where the advantage divides by a group's deviation, smaller
    differences are not blown up to that size (`advantages.least_deviation`); 0 divides by any."""

    gamma: float = 1.0
    """Discount a token, for the algorithms that see an answer as a chain of actions (PPO, REINFORCE++)."""

    lam: float = 1.0
    """λ of GAE. 1 is return − value: unbiased whatever the critic says. A smaller λ trades bias for variance, but
    with one reward at the end it hides it from early tokens: 0.95¹⁰⁰ is 0.006 (arXiv 2503.01491)."""

    total: Callable[[Tensor], Tensor] = _alone
    """Sums a small tensor of statistics over processes, so that batch-wide statistics are those of the whole batch
    however its prompts are split. Called equally often on every process, with or without data."""

    def __post_init__(self) -> None:
        if self.normalise not in ("kept", "all"):
            raise ReachlabError(f"advantages: normalise = {self.normalise!r}; choose 'kept' or 'all'")
        if self.penalty_PMT is not None and self.over_all:
            raise ReachlabError(
                "advantages: the KL of rollouts that are not kept is unknown, so normalise='all' cannot go with a KL "
                "in the reward; choose normalise='kept' or put the KL in the loss"
            )

    @property
    def over_all(self) -> bool:
        """Whether statistics include rollouts that are not kept."""
        return self.normalise == "all" and self.kept_PM.shape[1] < self.rewards_PN.shape[1]

    @property
    def rewards_PM(self) -> Tensor:  # noqa: N802, the axes of its value
        """Rewards of the kept rollouts: (P, M), float64: they are squared, and may differ little and be large."""
        return self.rewards_PN.double().gather(1, self.kept_PM)


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """A row of choices. `checks.check_algorithm` holds one to what is promised here."""

    name: str
    advantage: Callable[[Scored], Tensor]
    """(P, M), or (P, M, T) where tokens of an answer differ; float64. 0 for unscored rollouts."""
    aggregate: Aggregate
    clip_low: float | None
    """ε_low; None does not clip ratios from below."""
    clip_high: float | None
    """ε_high; None does not clip ratios from above. With both None the loss is REINFORCE's, weighted by the ratio."""
    kl_place: KLPlace
    """Where a KL to the start goes if one is asked for. Its coefficient is 0 unless the user gives one."""
    compares_rollouts: bool
    """Whether an advantage compares rollouts of one prompt: of one alone it is 0, and nothing would be learned."""
    kl_estimator: KLEstimator = "k3"
    per_token: bool = False
    """Whether statistics are over tokens: those of rollouts that are not kept are not at hand, so ``normalise="all"``
    is refused."""
    critic_targets: Callable[[Scored], tuple[Tensor, Tensor]] | None = None
    """The returns that a critic learns, and on which tokens, (P, M, T) both; None where there is no critic. With one,
    `Scored.values_PMT` is there."""
    greedy_baseline: bool = False
    """Draws one temperature-0 answer a prompt (`Scored.greedy_P`)."""
    dynamic_sampling: bool = False
    """Draws other prompts in the place of those whose rollouts agree."""
    overlong: float = 0.0
    """Share of max_tokens, counted from its end, over which an answer's length is punished, up to −1."""

    @property
    def critic(self) -> bool:
        """Whether a value of each token is learned."""
        return self.critic_targets is not None


def adopted(name: str, found: Any) -> Algorithm:
    """An algorithm as others give it, under the name that they give it.

    Raises:
        ReachlabError: it is none.
    """
    if not isinstance(found, Algorithm):
        what = type(found).__name__
        raise ReachlabError(f"algorithm {name!r} is a {what}; a reachlab.rl.algorithm.Algorithm is wanted")
    return replace(found, name=name)
