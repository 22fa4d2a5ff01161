"""The columns of a run's samples: what each part holds, and how rows become tables and are read again.

A column of a later day may be missing in some parts; it is null there. Text of few different values is read as Arrow
dictionaries: a whole number a row, and what the numbers stand for.

Axes. N: samples, in the order of a table's rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reachlab.storable import storable
from reachlab.types import Judged, Sample, StepCheck, Verdict

SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("tokens", pa.int32()),
        ("finish", pa.string()),
        ("logprob", pa.float32()),
        ("seed", pa.int64()),
        ("engine", pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float32()),
        ("reason", pa.string()),
    ]
)
"""The columns of every part."""

LATER = pa.schema([("valid_steps", pa.int32()), ("steps", pa.int32()), ("final_answer", pa.string())])
"""Columns that a part of an earlier day lacks; null where the task does not say."""

TOKENS_HASH = "tokens_hash"
"""A column of parts whose engine says which tokens it drew."""

REPEATING = ("problem_id", "finish", "engine", "verdict", "final_answer")
"""Text of few different values. As dictionaries these are read several times faster than as text."""


def sample_table(samples: Sequence[Sample]) -> pa.Table:
    """Samples as a part's table, a row each, in their order.

    Raises:
        pa.ArrowException, OverflowError: a value that its column cannot hold.
    """
    rows = [
        {
            "problem_id": storable(s.problem_id),
            "sample": s.index,
            "text": storable(s.text),
            "tokens": s.tokens,
            "finish": s.finish,
            "logprob": s.logprob,
            "seed": s.seed,
            "engine": storable(s.engine),
        }
        for s in samples
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(SCHEMA)[:8]))
    for column, values in judged_columns([Judged(s.verdict, s.steps, s.final_answer) for s in samples]).items():
        table = table.append_column(column, values)
    if any(s.tokens_hash is not None for s in samples):
        table = table.append_column(TOKENS_HASH, pa.array([s.tokens_hash for s in samples], pa.int64()))
    return table


def with_column(table: pa.Table, field: pa.Field, values: pa.Array) -> pa.Table:
    """The table with this column, beside the others or in place of one of its name."""
    at = table.schema.get_field_index(field.name)
    return table.append_column(field, values) if at < 0 else table.set_column(at, field, values)


def judged_columns(judged: Sequence[Judged]) -> dict[str, pa.Array]:
    """What a task said of answers, as columns."""
    values = {
        "verdict": [j.verdict.status for j in judged],
        "score": [j.verdict.score for j in judged],
        "reason": [storable(j.verdict.reason) for j in judged],
        "valid_steps": [None if j.steps is None else j.steps.valid for j in judged],
        "steps": [None if j.steps is None else j.steps.steps for j in judged],
        "final_answer": [storable(j.final_answer) for j in judged],
    }
    types = {field.name: field.type for field in (*SCHEMA, *LATER)}
    return {name: pa.array(column, types[name]) for name, column in values.items()}


def keyed(columns: Sequence[str]) -> list[str]:
    """These columns, behind those that say whose sample a row is."""
    return list(dict.fromkeys(["problem_id", "sample", *columns]))


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, dictionary or not."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def codes_of(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.Array]:
    """A dictionary column as whole numbers, and what they stand for. A null is -1."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.indices.fill_null(-1).to_numpy().astype(np.int64), whole.dictionary


def verdicts(table: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which samples are correct, wrong, unscored."""
    status_N, statuses = codes_of(table["verdict"])
    chosen = {status: status_N == i for i, status in enumerate(statuses.to_pylist())}
    nothing_N = np.zeros(len(table), bool)
    correct_N, wrong_N, unscored_N = (chosen.get(s, nothing_N) for s in ("correct", "wrong", "unscored"))
    return correct_N, wrong_N, unscored_N


def joined(parts: Sequence[pa.Table], columns: Sequence[str] | None) -> pa.Table:
    """The tables of all parts as one, without later copies of a (problem, index) that overlapping writers stored."""
    if not parts:
        known = pa.schema([*SCHEMA, *LATER])
        encoded = [
            pa.field(f.name, pa.dictionary(pa.int32(), f.type)) if f.name in REPEATING else f
            for f in known
            if columns is None or f.name in keyed(columns)
        ]
        return pa.schema(encoded).empty_table()
    table = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    if not len(table):
        return table
    sample_N = table["sample"].to_numpy().astype(np.int64)
    lowest = sample_N.min()
    width = int(sample_N.max() - lowest) + 1
    place_N, known = codes_of(table["problem_id"])
    key_N = place_N * width + (sample_N - lowest)
    if len(known) * width <= 16 * len(table):
        # Where the indices are dense, which they are unless somebody chose them otherwise, nothing has to be sorted.
        seen = np.zeros(len(known) * width, bool)
        seen[key_N] = True
        if np.count_nonzero(seen) == len(table):
            return table
    first = np.unique(key_N, return_index=True)[1]
    return table if len(first) == len(table) else table.take(np.sort(first))


def read_sample(row: dict[str, Any]) -> Sample:
    """A row of a part as an object."""
    steps = row.get("steps")
    return Sample(
        problem_id=row["problem_id"],
        index=row["sample"],
        text=row["text"],
        tokens=row["tokens"],
        finish=row["finish"],
        logprob=row["logprob"],
        seed=row["seed"],
        engine=row["engine"],
        verdict=Verdict(row["verdict"], row["score"], row["reason"]),
        steps=None if steps is None else StepCheck(row["valid_steps"], steps),
        final_answer=row.get("final_answer"),
        tokens_hash=row.get(TOKENS_HASH),
    )
