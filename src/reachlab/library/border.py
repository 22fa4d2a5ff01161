"""The library's border: an error of the rooms becomes what a library's user catches, a remark becomes a warning.

An argument that cannot be right is a `ValueError` too, a file or a run that is missing or unreadable an `OSError`, a
missing package an `ImportError`. Everything stays a `ReachlabError`, and its text is the one that the command prints,
but for options, which are keywords here: ``max_tokens`` for ``--max-tokens``.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reachlab.errors import FileError, InvalidArgumentError, NotFoundError, ReachlabError, ReachlabWarning

OPTION = r"(?<![\w`-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
OPTIONS = re.compile(rf"{OPTION}(?:\s+{OPTION})*")
QUOTED = re.compile(r"(`[^`]*`|\bcommand: .*|\breachlab [a-z]+ .*)")
"""Commands to type in a terminal, as they stand in a sentence; to its end where nothing marks their own."""
PLUGIN = re.compile(r"give it with --plugin \S+")
OURS = str(Path(__file__).parents[1])
CAUGHT = (ValueError, OSError, ImportError)
"""What a caller catches; an error that is one of them already stays as it is."""


@contextmanager
def border() -> Iterator[None]:
    """Errors that leave are a `ValueError` or an `OSError` besides."""
    try:
        yield
    except ReachlabError as error:
        if isinstance(error, CAUGHT):
            raise
        raise _kind_of(error)(in_python(str(error))).with_traceback(error.__traceback__) from error.__cause__


def in_python(said: str) -> str:
    """A sentence with keywords in the place of options.

    Commands to type keep their dashes.

    Example:
        >>> in_python("--random-keep needs --advantage-normalisation all")
        'random_keep needs advantage_normalisation all'
        >>> in_python("yours with --lr --optimizer; see `reachlab rl --help`")
        'yours with lr, optimizer; see `reachlab rl --help`'
    """
    pieces = QUOTED.split(PLUGIN.sub("import it first", said))
    pieces[::2] = [OPTIONS.sub(_keywords, piece) for piece in pieces[::2]]
    return "".join(pieces)


def _keywords(found: re.Match[str]) -> str:
    return ", ".join(option.removeprefix("--").replace("-", "_") for option in found[0].split())


def _kind_of(error: ReachlabError) -> type[ReachlabError]:
    cause = error.__cause__
    while isinstance(cause, ReachlabError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, FileNotFoundError):
        return NotFoundError
    if isinstance(cause, OSError):
        return FileError
    return InvalidArgumentError


def remark(said: str) -> None:
    """Tell the caller something beside the result: a warning, at the line that called us."""
    warnings.warn(in_python(said), ReachlabWarning, stacklevel=level_outside())


def level_outside() -> int:
    """The `stacklevel` at which the caller of this function's caller names the line outside of the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        level, frame = level + 1, frame.f_back
    return level
