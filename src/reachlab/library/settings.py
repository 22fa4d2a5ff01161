"""The options of `boundary.compare.compare`, checked where they are no fields of a command's configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

from reachlab.boundary.compare import Pairs
from reachlab.boundary.noise import Over
from reachlab.errors import UnknownKeywordError
from reachlab.library.keywords import converted, nearest

KINDS: Mapping[str, Any] = {
    "base": int,
    "ks": tuple[int, ...],
    "gap_k": int,
    "resamples": int,
    "level": float,
    "over": Over,
    "clusters": None,
    "pairs": Pairs,
    "same_within": float,
    "seed": int,
}
"""What each is; of clusters `compare` itself sees what they are."""


def checked(options: Mapping[str, Any], function: str, names: Iterable[str] = KINDS) -> dict[str, Any]:
    """Options that `compare` can take; None is what is usual.

    Args:
        options: as they were given.
        function: whose they are, for messages.
        names: those that the function has.

    Raises:
        UnknownKeywordError: an option that there is not.
        InvalidArgumentError: a value that it cannot have.
    """
    known = tuple(names)
    if bad := next((name for name in options if name not in known), None):
        raise UnknownKeywordError(f"{function}: there is no keyword {bad!r}{nearest(bad, known)}")
    return {
        name: value if KINDS[name] is None else converted(value, KINDS[name], f"{function}: {name}")
        for name, value in options.items()
        if value is not None
    }
