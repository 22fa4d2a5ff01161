"""What lies in a file, told from its first bytes: rows of JSON lines, CSV, TSV or Parquet, or one JSON document.

Rows come one after another and are never all in memory; a JSON document is read as a whole. What UTF-8 refuses (half a
surrogate pair, which JSON can spell) is escaped (`storable.py`).
"""

import csv
import glob
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Literal, cast

import fsspec

from reachlab.errors import ReachlabError
from reachlab.storable import storable
from reachlab.tasks.rows import ESCAPED_SURROGATE

Kind = Literal["lines", "table", "parquet", "document", "archive"]

GZIP, PARQUET, ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
BOM = b"\xef\xbb\xbf"
HEAD = 1 << 16
BATCH = 512
"""Rows of a Parquet file that lie in memory at once."""


@dataclass(frozen=True)
class LogFile:
    """One file and what it is. `delimiter` is a table's."""

    path: str
    kind: Kind
    delimiter: str = ","

    def values(self) -> Iterator[tuple[str, Any]]:
        """Each row with its place (FILE:LINE); of a document itself.

        Raises:
            ReachlabError: damaged, not text, or nothing in it.
        """
        empty = True
        read = {"lines": _lines, "table": _table, "parquet": _parquet, "document": _document}[self.kind]
        with _readable(self.path):
            for value in read(self):
                empty = False
                yield value
        if empty:
            raise ReachlabError(f"{self.path}: no rows in it")


def find_files(patterns: tuple[str, ...]) -> list[str]:
    """The files that are named, patterns with * spelled out, in order.

    Raises:
        ReachlabError: a pattern that nothing matches, or a file twice.
    """
    paths: list[str] = []
    for pattern in patterns:
        if any(c in pattern for c in "*?[") and not _exists(pattern):
            matched = _glob(pattern)
            if not matched:
                raise ReachlabError(f"{pattern}: no file matches")
            paths += matched
        else:
            paths.append(pattern)
    for path in paths:
        if paths.count(path) > 1:
            raise ReachlabError(f"{path}: named twice; its samples would count twice")
    return paths


def open_file(path: str) -> LogFile:
    """What a file is, by its first bytes.

    Raises:
        ReachlabError: no such file, or nothing of what can be read.
    """
    with _readable(path):
        with _bytes(path) as file:
            head = file.read(HEAD)
        if head.startswith(PARQUET):
            return LogFile(path, "parquet")
        if head.startswith(ZIP):
            return LogFile(path, "archive")
        text = head.removeprefix(BOM).decode("utf-8", errors="ignore").lstrip()
        if not text:
            raise ReachlabError(f"{path}: empty file")
        if text[0] not in "[{":
            return LogFile(path, "table", _delimiter(path, text))
        return LogFile(path, "lines" if _is_lines(path) else "document")


def hash_file(path: str) -> tuple[str, int]:
    """A hash of all of a file, and how many lines it has."""
    digest, lines = hashlib.blake2b(digest_size=16), 0
    with _readable(path), fsspec.open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            lines += block.count(b"\n")
    return digest.hexdigest(), lines


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Makes what goes wrong with a file one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ReachlabError(f"{path}: a folder; name its files, as in '{path.rstrip('/')}/*.jsonl'") from error
    except UnicodeDecodeError as error:
        raise ReachlabError(f"{path}: not UTF-8 text ({error.reason})") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise ReachlabError(f"{path}: damaged or truncated archive ({error}); fetch it again") from error
    except (OSError, ValueError, ImportError) as error:  # a scheme that fsspec does not know, or lacks a package for
        reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
        raise ReachlabError(f"{path}: not readable: {reason}") from error


@contextmanager
def _bytes(path: str) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked where it is gzip, whatever its name."""
    with fsspec.open(path, "rb") as raw:
        if raw.read(2) != GZIP:
            raw.seek(0)
            yield raw
            return
        raw.seek(0)
        with gzip.open(raw) as file:
            yield cast(IO[bytes], file)


@contextmanager
def _text(path: str, newline: str | None = None) -> Iterator[IO[str]]:
    with _bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline) as text:
        yield text


def _is_lines(path: str) -> bool:
    """Whether there are several lines, and the first or, should that be damaged, the second is a JSON object.

    A single line may be a document that holds rows.
    """
    with _text(path) as file:
        first, second = ([*islice((line for line in file if line.strip()), 2)] + ["", ""])[:2]
    return bool(second) and any(isinstance(_parsed(line), dict) for line in (first, second))


@dataclass(frozen=True)
class Broken:
    """A row that cannot be read: an error where it stands, not of the whole file."""

    reason: str


def _lines(file: LogFile) -> Iterator[tuple[str, Any]]:
    with _text(file.path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{file.path}:{number}", _parsed(line)


def _parsed(line: str) -> dict[str, Any] | Broken:
    try:
        value = json.loads(line)
        if isinstance(value, dict):
            return storable(value) if ESCAPED_SURROGATE.search(line) else value
    except json.JSONDecodeError as error:
        return Broken(f"not JSON ({error.msg} at column {error.colno}); is the line truncated?")
    except (ValueError, RecursionError) as error:
        return Broken(f"not JSON ({error})")
    return Broken(f"{type(value).__name__} found, one JSON object a line is wanted")


def _document(file: LogFile) -> Iterator[tuple[str, Any]]:
    with _text(file.path) as text:
        written = text.read()
    try:
        value = json.loads(written)
    except json.JSONDecodeError as error:
        raise ReachlabError(f"{file.path}:{error.lineno}: not JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise ReachlabError(f"{file.path}: not readable as JSON ({error})") from error
    yield file.path, storable(value) if ESCAPED_SURROGATE.search(written) else value


def _table(file: LogFile) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # one answer can be longer than csv's own limit
    with _text(file.path, newline="") as text:
        reader = csv.DictReader(text, strict=True, delimiter=file.delimiter)
        try:
            for row in reader:
                place = f"{file.path}:{reader.line_num}"
                if None in row or None in row.values():
                    names = reader.fieldnames or []
                    yield place, Broken(f"not {len(names)} fields as in the header: {', '.join(names)}")
                else:
                    yield place, row
        except csv.Error as error:
            raise ReachlabError(f"{file.path}:{reader.line_num + 1}: not CSV ({error})") from error


def _parquet(file: LogFile) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with fsspec.open(file.path, "rb") as raw:
            # Not read ahead: one of Arrow's own threads could hold the file as the interpreter ends: it aborts.
            parquet = pq.ParquetFile(raw, pre_buffer=False)
            for batch in parquet.iter_batches(BATCH, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file.path}: row {number}", row
    except pa.ArrowException as error:
        raise ReachlabError(f"{file.path}: not readable as Parquet ({str(error).splitlines()[0]})") from error


def _delimiter(path: str, text: str) -> str:
    """What stands between a header's names."""
    header = text.splitlines()[0]
    delimiter = max("\t,;", key=header.count)
    if not header.count(delimiter) or (not header.isprintable() and delimiter != "\t"):
        raise ReachlabError(f"{path}: neither JSON, CSV with a header, nor Parquet; it begins {header[:40]!r}")
    return delimiter


def _exists(path: str) -> bool:
    fs, inner = fsspec.core.url_to_fs(path)
    return bool(fs.exists(inner))


def _glob(pattern: str) -> list[str]:
    if "://" not in pattern:
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (a Path loses the way it was written)
    try:
        return sorted(str(f.path) if f.fs.protocol == "file" else f.full_name for f in fsspec.open_files(pattern))
    except (OSError, ValueError) as error:
        raise ReachlabError(f"{pattern}: {error}") from error
