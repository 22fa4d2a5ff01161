"""Rows of a JSON-lines file, each with the place that an error message names: ``FILE:LINE``."""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

import fsspec

from reachlab.errors import ReachlabError

Row = tuple[str, dict[str, Any]]
"""Where a row stands (``FILE:LINE``) and its fields."""


def read_jsonl(path: str) -> Iterator[Row]:
    """The objects of a JSON-lines file (any fsspec URL; ``.gz`` too) in order, blank lines left out.

    Raises:
        ReachlabError: no such file, not text, a line that is not a JSON object, or no line at all.
    """
    empty = True
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", compression="infer") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    empty = False
                    yield f"{path}:{number}", _json_object(line, f"{path}:{number}")
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise ReachlabError(f"{path}: not UTF-8 text ({error.reason}); JSON lines are wanted") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise ReachlabError(f"{path}: damaged or truncated archive ({error}); fetch it again") from error
    except OSError as error:
        raise ReachlabError(f"{path}: not readable: {error.strerror or error}") from error
    if empty:
        raise ReachlabError(f"{path}: empty file; one JSON object a line is wanted")


def _json_object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ReachlabError(f"{place}: not JSON ({reason}); is the line truncated?") from error
    if not isinstance(found, dict):
        raise ReachlabError(f"{place}: {type(found).__name__} found, one JSON object a line is wanted")
    return found


def shape(row: Mapping[str, Any]) -> str:
    """The names of a row's fields, for a message that tells the user what is there."""
    return ", ".join(row) or "none"


class Once:
    """Lets each name pass once; the second time is an error that says where the first was."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def check(self, name: str, place: str) -> None:
        """Note that `name` stands at `place`.

        Raises:
            ReachlabError: it stood somewhere already.
        """
        first = self._first.setdefault(name, place)
        if first != place:
            raise ReachlabError(f"{place}: {name} again (first at {first}); each may come once")
