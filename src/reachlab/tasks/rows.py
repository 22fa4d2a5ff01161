"""Rows of a benchmark's file or data set, each with the place that an error message names: ``FILE:LINE``.

Half a surrogate pair, which JSON can spell and UTF-8 cannot, is escaped in `read_rows` (`storable.py`): what it gives
can be kept.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.extras import need
from reachlab.hub import fetch_file
from reachlab.storable import storable

Row = tuple[str, dict[str, Any]]
"""Where a row stands (``FILE:LINE``) and its fields."""


DATASETS = "datasets:"
"""What a data set of the hub (or a local copy of one) begins with: ``datasets:ID@SUBSET#SPLIT``."""


HUB = "hub:"
"""What files of a data set of the hub begin with: ``hub:ORG/NAME[@REVISION]/FILE[,FILE]``. The library `datasets` runs
no scripts any more; files are files."""
HUB_FILES = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w.-]+))?/(?P<files>.+)")

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_rows(path: str) -> Iterator[Row]:
    """The rows of a JSON-lines file, one JSON document (a list of rows, or rows by name), a Parquet file, a data set,
    or files of one.

    Raises:
        ReachlabError: it cannot be had or read, or has no rows.
    """
    if path.startswith(DATASETS):
        return _dataset(path.removeprefix(DATASETS))
    if path.startswith(HUB):
        return _hub(path.removeprefix(HUB))
    if path.endswith(".json"):
        return _document(path)
    return _parquet(path) if path.endswith(".parquet") else read_jsonl(path, storable=True)


def _dataset(name: str) -> Iterator[Row]:
    need("datasets", what=f"{DATASETS}{name} (a file of its rows would do, too)")
    import datasets

    rest, _, split = name.partition("#")
    identity, _, subset = rest.partition("@")
    try:
        found = datasets.load_dataset(identity, subset or None, split=split or "test")
    except Exception as error:  # the library's own, the hub's, the network's
        reason = " ".join(str(error).split())[:200]
        raise ReachlabError(
            f"{name}: not to be had through datasets ({reason}); offline, name a file (as in math500:FILE), or put it "
            "into the folder that REACHLAB_DATA names"
        ) from error
    if not len(found):
        raise ReachlabError(f"{name}: no rows")
    # Through Arrow: pictures come as the bytes of their files, and are not decoded.
    for number, row in enumerate(found.with_format("arrow")[:].to_pylist(), 1):
        yield f"{identity}: row {number}", row


def _hub(name: str) -> Iterator[Row]:
    """The rows of one file after another, fetched when their turn comes."""
    found = HUB_FILES.fullmatch(name)
    if not found:
        raise ReachlabError(f"{HUB}{name}: as in hub:ORG/NAME/FILE or hub:ORG/NAME@REVISION/FILE,FILE")
    for file in found["files"].split(","):
        here = str(fetch_file(found["repo"], found["revision"] or "", file))
        for place, row in read_rows(here):
            yield place.replace(here, f"{found['repo']}/{file}"), row


def _document(path: str) -> Iterator[Row]:
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig") as file:
            found = _json(file.read())
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except (ValueError, RecursionError, OSError, ImportError) as error:
        raise ReachlabError(f"{path}: not readable as JSON ({error})") from error
    rows = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ReachlabError(f"{path}: a list of JSON objects is wanted, or objects by name")
    for number, row in enumerate(rows, 1):
        yield f"{path}: row {number}", row


def _parquet(path: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with fsspec.open(path, "rb") as file:
            # Not read ahead: one of Arrow's own threads could hold the file as the interpreter ends: it aborts.
            table = pq.read_table(file, pre_buffer=False, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError, ValueError, ImportError) as error:
        raise ReachlabError(f"{path}: not readable as Parquet ({next(iter(str(error).splitlines()), '')})") from error
    if not len(table):
        raise ReachlabError(f"{path}: no rows")
    for number, row in enumerate(table.to_pylist(), 1):
        yield f"{path}: row {number}", row


def read_jsonl(path: str, *, storable: bool = False) -> Iterator[Row]:
    """The objects of a JSON-lines file (any fsspec URL; ``.gz`` too) in order, blank lines left out.

    They are what the file says, or `storable`: without halves of surrogate pairs.

    Raises:
        ReachlabError: no such file, not text, a line that is not a JSON object, or no line at all.
    """
    empty = True
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", compression="infer") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    empty = False
                    yield f"{path}:{number}", _json_object(line, f"{path}:{number}", storable)
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise ReachlabError(f"{path}: not UTF-8 text ({error.reason}); JSON lines are wanted") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise ReachlabError(f"{path}: damaged or truncated archive ({error}); fetch it again") from error
    except (OSError, zlib.error) as error:
        raise ReachlabError(f"{path}: not readable: {getattr(error, 'strerror', None) or error}") from error
    except (ValueError, ImportError) as error:
        raise ReachlabError(f"{path}: no file that can be opened ({error})") from error
    if empty:
        raise ReachlabError(f"{path}: empty file; one JSON object a line is wanted")


def _json_object(line: str, place: str, storable: bool) -> dict[str, Any]:
    try:
        found = _json(line) if storable else json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ReachlabError(f"{place}: not JSON ({reason}); is the line truncated?") from error
    if not isinstance(found, dict):
        raise ReachlabError(f"{place}: {type(found).__name__} found, one JSON object a line is wanted")
    return found


def _json(text: str) -> Any:
    found = json.loads(text)
    return storable(found) if ESCAPED_SURROGATE.search(text) else found


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
