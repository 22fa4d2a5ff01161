"""Rollout down-sampling as other people's trainers are told of it: how many rollouts of a prompt to keep, and which.

    n rollouts a prompt → the m that `rule` keeps → log-probabilities, advantages and updates of those m alone

Source: *Not All Rollouts are Useful: Down-Sampling Rollouts in LLM Reinforcement Learning* (PODS, arXiv 2504.13818).
The rules are those of `reachlab.rl.rules`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reachlab.engines.rng import sample_seed
from reachlab.errors import ReachlabError
from reachlab.rl.rules import RULES


@dataclass(frozen=True, kw_only=True)
class DownSampling:
    """Which of a prompt's n rollouts are learned from."""

    keep: int
    """m, from 1 to n, which keeps all."""
    rule: str = "max_variance"
    """One of Reachlab's rules (`reachlab.rl.rules`), or of yours."""
    seed: int = 0
    """Which of equal rewards are kept, and what the rule *random* keeps; with the step, it decides."""

    def check(self, n: int, where: str, of: str) -> None:
        """See that it can be done.

        Args:
            n: rollouts of a prompt. where: what `keep` and `rule` are called there, up to their names. of: what n is.

        Raises:
            ReachlabError: no such rule; `keep` is not from 1 to n; a rule that keeps all with m < n.
        """
        if isinstance(self.keep, bool) or not isinstance(self.keep, int) or not 1 <= self.keep <= n:
            raise ReachlabError(f"{where}keep={self.keep}: choose 1 to {of}={n}")
        if RULES[self.rule].keeps_all and self.keep != n:
            raise ReachlabError(f"{where}rule={self.rule} keeps all {n} rollouts, not {self.keep}")

    def choose(self, rewards_PN: Tensor, step: int) -> Tensor:
        """Indices of the kept rollouts, (P, M), as the rule gives them: the same on every process for the same rewards.

        Args:
            rewards_PN: on a CPU; NaN is unscored, and kept only where fewer than M are scored.
            step: of the training; with the seed it decides among equals.

        Raises:
            ReachlabError: an infinite reward.
        """
        generator = torch.Generator().manual_seed(sample_seed(self.seed, "select", step))
        return RULES[self.rule].keep(rewards_PN, self.keep, generator)
