"""Parquet: the columns of the JSON lines, each with one type.

An `answer` that is no text is JSON, and `answer_kind` says so (``text``, ``json``, null where there is none);
`metadata` and `chat_options` are JSON. Rows are written a row group at a time.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from reachlab.exports.config import ExportConfig
from reachlab.exports.sample_rows import Row, SampleRows
from reachlab.exports.written_files import check_free, whole_file

GROUP = 4096
"""Rows of a row group, all that lie in memory."""
KEY = b"reachlab_run_id"
TEXT, LIST = pa.string(), pa.list_(pa.string())
TYPES = {
    "sample": pa.int32(),
    "images": LIST,
    "image_hashes": LIST,
    "score": pa.float32(),
    "steps": pa.int32(),
    "valid_steps": pa.int32(),
    "tokens": pa.int32(),
    "logprob": pa.float32(),
    "seed": pa.int64(),
    "problem_index": pa.int64(),
    "temperature": pa.float64(),
    "top_p": pa.float64(),
    "top_k": pa.int64(),
    "max_tokens": pa.int64(),
}
"""Of what is no text."""


def write(rows: SampleRows, config: ExportConfig, advance: Callable[[int], None]) -> list[str]:
    """Write the file; `advance` is told of samples.

    Raises:
        ReachlabError: another file lies there, or it cannot be written.
    """
    check_free(config.out, rows.origin.id, id_of)
    schema = schema_of(rows)
    with whole_file(config.out) as path, pq.ParquetWriter(path, schema, compression="zstd") as file:
        for group in _groups(iter(rows)):
            file.write_table(pa.Table.from_pylist([_typed(row) for row in group], schema=schema))
            advance(sum(row["sample"] is not None for row in group))
    return [config.out]


def id_of(path: str) -> str | None:
    """The id of the run that a file was exported from; None: it is no export."""
    try:
        with fsspec.open(path, "rb") as file:
            run_id = (pq.read_schema(file).metadata or {}).get(KEY)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return None if run_id is None else str(run_id.decode())


def schema_of(rows: SampleRows) -> pa.Schema:
    """The columns of a run's rows."""
    fields: list[pa.Field] = []
    for name in rows.columns():
        if name in rows.others:
            fields.append(rows.others[name])
        elif name == "messages":
            message = pa.struct([(part, TEXT) for part in rows.problems.message_names])
            fields.append(pa.field(name, pa.list_(message)))
        else:
            fields.append(pa.field(name, TYPES.get(name, TEXT)))
        if name == "answer":
            fields.append(pa.field("answer_kind", TEXT))
    return pa.schema(fields, metadata={KEY: rows.origin.id.encode()})


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while group := list(islice(rows, GROUP)):
        yield group


def _typed(row: Row) -> Row:
    answer = row["answer"]
    fields = {"answer": answer if answer is None or isinstance(answer, str) else _json(answer)}
    fields["answer_kind"] = None if answer is None else "text" if isinstance(answer, str) else "json"
    fields["metadata"] = _json(row["metadata"])
    if row.get("chat_options") is not None:
        fields["chat_options"] = _json(row["chat_options"])
    return row | fields


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
