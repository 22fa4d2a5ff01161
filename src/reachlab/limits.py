"""Numbers that no option takes, whatever it is for; a configuration asks for them in its `__post_init__`.

NaN compares with nothing, so a check of a range lets it through. A whole number beyond 32 bits fits no column, no axis
and no loop that comes to an end; a seed is 64 bits, for that is what generators take.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from reachlab.errors import ReachlabError

MOST = 2**31 - 1
MOST_SEED = 2**64 - 1
MOST_PROBLEMS = 10_000_000
"""Problems that one command lists; they lie in memory."""
MOST_SAMPLES = 100_000_000
"""Samples of one run; so do their keys."""
MOST_RESAMPLES = 1_000_000
RESAMPLING: Mapping[str, int] = {"resamples": MOST_RESAMPLES}
LISTING: Mapping[str, int] = {"problems": MOST_PROBLEMS, "eval_problems": MOST_PROBLEMS}


def check_numbers(
    config: Any,
    *,
    seeds: Iterable[str] = ("seed", "problem_seed"),
    positive: Iterable[str] = (),
    counts: Iterable[str] = (),
    most: Mapping[str, int] | None = None,
) -> None:
    """Refuse what no field of a configuration can be.

    Args:
        config: a dataclass; what lies in dataclasses inside it is theirs to check.
        seeds: its fields that are seeds.
        positive: fields that are above 0, and finite.
        counts: fields that are 1 or more, where they are not None.
        most: what fields may be at most, where that is less than 32 bits; of problems there is a limit always.

    Raises:
        ReachlabError: such a number; the message names the field.
    """
    limits = {**LISTING, **(most or {})}
    for field in fields(config):
        given = getattr(config, field.name)
        for value in given if isinstance(given, tuple) else (given,):
            if isinstance(value, float) and value != value:
                raise ReachlabError(f"{field.name}={value} is no number")
            if isinstance(value, int) and not isinstance(value, bool):
                _check_whole(field.name, value, seeds, limits)
            setting = f"{field.name}={value}"
            if field.name in positive and not 0 < value < float("inf"):
                raise ReachlabError(f"{setting} must be above 0")
            if field.name in counts and value is not None and value < 1:
                raise ReachlabError(f"{setting} must be 1 or more")


def _check_whole(name: str, value: int, seeds: Iterable[str], limits: Mapping[str, int]) -> None:
    if name in seeds:
        if not 0 <= value <= MOST_SEED:
            raise ReachlabError(f"{name}={_short(value)} must be 0 to 2^64 - 1")
    elif not -MOST <= value <= limits.get(name, MOST):
        raise ReachlabError(f"{name}={_short(value)} must be at most {limits.get(name, MOST):,}")


def _short(value: int) -> str:
    """A number of any length in a line."""
    return str(value) if abs(value) < 10**30 else f"{'-' * (value < 0)}(more than 30 digits)"
