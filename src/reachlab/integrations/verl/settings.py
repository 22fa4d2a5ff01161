"""What a verl user sets: ``+trainer.v1.down_sampling.keep=4 +trainer.v1.down_sampling.rule=max_variance``.

verl looks for the options of a trainer mode under ``trainer.v1.<mode>``; the mode is called ``down_sampling``.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.integrations.down_sampling import DownSampling

MODE = "down_sampling"
"""``trainer.v1.trainer_mode``."""


def read_settings(options: Mapping[str, Any], n: int) -> DownSampling:
    """What stands under ``trainer.v1.down_sampling``.

    Args:
        options: as they stand there. n: ``actor_rollout_ref.rollout.n``.

    Raises:
        ReachlabError: an unknown option or rule, no `keep`, or one that is not a number from 1 to n.
    """
    where = f"trainer.v1.{MODE}"
    known = [field.name for field in fields(DownSampling)]
    if unknown := [name for name in options if name not in known]:
        raise ReachlabError(f"{where}.{unknown[0]}: no such option; there are {', '.join(known)}")
    if "keep" not in options:
        raise ReachlabError(f"{where}.keep: how many of {n} rollouts to learn from? Add +{where}.keep=M")
    for name in ("keep", "seed"):
        if name in options and (isinstance(options[name], bool) or not isinstance(options[name], int)):
            raise ReachlabError(f"{where}.{name}={options[name]}: a whole number wanted")
    found = DownSampling(**options)
    found.check(n, f"{where}.", "actor_rollout_ref.rollout.n")
    return found
