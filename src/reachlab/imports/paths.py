"""Dotted paths into a row: ``response.text``, ``choices.0.text``. A name that itself holds dots comes first."""

from collections.abc import Mapping, Sequence
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.rows import shape


def lookup(row: Any, path: str) -> Any:
    """The value at a path, None where there is none. A number counts into a list."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    head, dot, tail = path.partition(".")
    if isinstance(row, Mapping):
        value = row.get(head)
    elif isinstance(row, Sequence) and not isinstance(row, (str, bytes)) and head.isdecimal() and int(head) < len(row):
        value = row[int(head)]
    else:
        return None
    return lookup(value, tail) if dot else value


def has(row: Any, path: str) -> bool:
    """Whether a row has a field at a path, be it null."""
    if isinstance(row, Mapping) and path in row:
        return True
    head, _, last = path.rpartition(".")
    holder = lookup(row, head) if head else row
    return (isinstance(holder, Mapping) and last in holder) or lookup(row, path) is not None


def required(row: Any, path: str, place: str) -> Any:
    """The value at a path.

    Raises:
        ReachlabError: there is none.
    """
    value = lookup(row, path)
    if value is None:
        fields = shape(row) if isinstance(row, Mapping) else "a list"
        raise ReachlabError(f"{place}: no field {path!r}; its fields: {fields}")
    return value
