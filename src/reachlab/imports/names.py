"""What an imported run's folder is called where the user does not say."""

import re
from collections.abc import Sequence
from itertools import takewhile

from reachlab.errors import ReachlabError

UNFIT = re.compile(r"[^\w.-]+")
"""What a folder's name is not made of."""


def folder_name(name: str) -> str:
    """A run's name in the log as one of a folder."""
    return UNFIT.sub("_", name)


def run_name(paths: Sequence[str]) -> str:
    """The file's name without its kind; of several what their names begin with.

    Raises:
        ReachlabError: they begin with nothing in common.
    """
    names = [_stem(path) for path in paths]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    name = (names[0] if len(names) == 1 else "".join(letters[0] for letters in same)).rstrip("-_. ")
    if not name:
        raise ReachlabError(
            f"{paths[0]} and {len(paths) - 1} more: their names begin differently; say where to with --out"
        )
    return name


def _stem(path: str) -> str:
    name = path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gz")
    return name.rpartition(".")[0] or name
