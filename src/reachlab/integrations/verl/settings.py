"""What a verl user sets: ``+trainer.v1.down_sampling.keep=4 +trainer.v1.down_sampling.rule=max_variance``.

verl looks for the options of a trainer mode under ``trainer.v1.<mode>``; the mode is called ``down_sampling``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.rl.rules import RULES

MODE = "down_sampling"
"""``trainer.v1.trainer_mode``."""


@dataclass(frozen=True, kw_only=True)
class DownSampling:
    """Which of a prompt's `rollout.n` rollouts are learned from."""

    keep: int
    """m, from 1 to ``actor_rollout_ref.rollout.n``, which keeps all."""
    rule: str = "max_variance"
    """One of Reachlab's rules (`reachlab.rl.rules`), or of yours."""
    seed: int = 0
    """Which of equal rewards are kept, and what the rule *random* keeps; with the step, it decides."""

    @classmethod
    def of(cls, options: Mapping[str, Any], n: int) -> "DownSampling":
        """What stands under ``trainer.v1.down_sampling``.

        Args:
            options: as they stand there. n: ``actor_rollout_ref.rollout.n``.

        Raises:
            ReachlabError: an unknown option or rule, no `keep`, or one that is not a number from 1 to n.
        """
        where = f"trainer.v1.{MODE}"
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            raise ReachlabError(f"{where}.{unknown[0]}: no such option; there are {', '.join(known)}")
        if "keep" not in options:
            raise ReachlabError(f"{where}.keep: how many of {n} rollouts to learn from? Add +{where}.keep=M")
        for name in ("keep", "seed"):
            if name in options and (isinstance(options[name], bool) or not isinstance(options[name], int)):
                raise ReachlabError(f"{where}.{name}={options[name]}: a whole number wanted")
        found = cls(**options)
        if not 1 <= found.keep <= n:
            raise ReachlabError(f"{where}.keep={found.keep}: choose 1 to actor_rollout_ref.rollout.n={n}")
        rule = RULES[found.rule]
        if rule.keeps_all and found.keep != n:
            raise ReachlabError(f"{where}.rule={found.rule} keeps all {n} rollouts, not {found.keep}")
        return found
