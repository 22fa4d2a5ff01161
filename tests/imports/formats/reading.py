"""Reads rows that a test writes as an import does: recognised, looked through, and record by record."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reachlab.imports.config import ImportConfig
from reachlab.imports.formats import read_rows, recognise
from reachlab.imports.log_files import open_file
from reachlab.imports.overrides import Overrides
from reachlab.imports.record import Record


def read(*paths: Path, **named: Any) -> tuple[str, str, list[Record]]:
    """What files are recognised as, what is said to be taken, and their records."""
    config = ImportConfig(file=tuple(map(str, paths)), **named)
    files = [open_file(str(path)) for path in paths]
    (name,) = {recognise(config, file).name for file in files}
    format = recognise(config, files[0])
    format = format.look_through(placed for file in files for placed in read_rows(file, format))
    reading = Overrides(format, config)
    found = [
        record
        for file in files
        for place, row in read_rows(file, format)
        for record in ([] if not format.recognises(row) else reading.records(row, place))
    ]
    return name, format.taken(), found


def lines(path: Path, *rows: Any) -> Path:
    """JSON lines; a second, blank, line makes a single row one of several."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def document(path: Path, value: Any) -> Path:
    """One JSON document."""
    path.write_text(json.dumps(value))
    return path


def parquet(path: Path, *rows: Any) -> Path:
    """A Parquet file."""
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def texts(records: list[Record]) -> list[list[str | None]]:
    """The texts of each record."""
    return [[answer.text for answer in record.answers] for record in records]


def labels(records: list[Record]) -> list[list[Any]]:
    """The labels of each record."""
    return [[answer.label for answer in record.answers] for record in records]
