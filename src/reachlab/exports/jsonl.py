"""JSON lines: an object a sample. Packed with gzip where the name ends in .gz; the same run gives the same bytes."""

import gzip
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, cast

import fsspec

from reachlab.exports.config import ExportConfig
from reachlab.exports.sample_rows import Row, SampleRows
from reachlab.exports.written_files import check_free, whole_file

LINE_ENDS = re.compile("[\x85\u2028\u2029]")
MAGIC = b"\x1f\x8b"


def write(rows: SampleRows, config: ExportConfig, advance: Callable[[int], None]) -> list[str]:
    """Write the file; `advance` is told of samples.

    Raises:
        ReachlabError: another file lies there, or it cannot be written.
    """
    check_free(config.out, rows.origin.id, id_of)
    with whole_file(config.out) as path, ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("wb"))
        if config.out.endswith(".gz"):
            # Neither a name nor a time in it, so that it depends on the run alone.
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6)
            file = cast("IO[bytes]", stack.enter_context(packed))
        for row in rows:
            file.write(as_line(row))
            advance(row["sample"] is not None)
    return [config.out]


def as_line(row: Row) -> bytes:
    """An object as a line that every reader takes for one.

    What some take for the end of a line is written as JSON's escape, and so is half a surrogate pair, which UTF-8
    cannot spell.
    """
    text = json.dumps(row, ensure_ascii=False)
    if not text.isascii():  # most texts are, and looking takes as long as writing
        text = LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", text)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def id_of(path: str) -> str | None:
    """The id of the run that a file was exported from; None: it is no export."""
    try:
        with ExitStack() as stack:
            raw = stack.enter_context(fsspec.open(path, "rb"))
            is_packed = raw.read(2) == MAGIC
            raw.seek(0)
            file = stack.enter_context(gzip.open(raw)) if is_packed else raw
            line = file.readline()
        row = json.loads(line)
    except (OSError, EOFError, ValueError, RecursionError):
        return None
    run_id = row.get("run_id") if isinstance(row, dict) else None
    return run_id if isinstance(run_id, str) else None
