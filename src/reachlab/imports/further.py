"""Columns that somebody had added to an exported run, such as `logprob:NAME`: put beside the samples again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from reachlab.errors import ReachlabError
from reachlab.imports.record import LoggedAnswer
from reachlab.store.samples import SampleStore


def add_further(store: SampleStore, part: str, answers: Sequence[LoggedAnswer], columns: Mapping[str, Any]) -> None:
    """Store the columns of one part that it lacks; `columns` has their types and what is written into their fields.

    Raises:
        ReachlabError: a type that is unknown, or values that are not of it.
    """
    there = store.schema(part).names
    for name, column in columns.items():
        if name in there:
            continue
        try:
            kind = pa.type_for_alias(column["type"])
            values = pa.array([answer.further.get(name) for answer in answers], kind)
            metadata = {str(key): str(value) for key, value in column["metadata"].items()}
        except (pa.ArrowException, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ReachlabError(f"column {name!r} of the exported run cannot be stored again: {error}") from error
        store.add_columns(part, {name: values}, metadata or None)
