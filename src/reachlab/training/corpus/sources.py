"""Where text comes from: a file, a folder, JSON lines, a `datasets` path, Python's own library. A document at a time.

A reader may be asked again and gives the same documents in the same order. It never holds more than one of them, and a
file is read in blocks, so the text may be larger than memory.
"""

import codecs
import re
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from reachlab.errors import NotFoundError, ReachlabError
from reachlab.extras import need
from reachlab.tasks.rows import read_jsonl, shape

Skip = Callable[[str], None]
"""skip(reason) is told of every file or row that is left out."""
Reader = Callable[[Skip], Iterator[str]]
"""The documents, in an order that does not change."""

FOLDER_BLOCK = 1 << 22
"""Characters after which a file of a folder becomes a further document: hardly a file is as long."""
FILE_BLOCK = 1 << 14
"""The same for a file that is all there is: it has to be cut for a part to be held out."""
ROWS = 1000
"""Rows of a `datasets` table in memory at once."""
FILES = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json"}
"""What `datasets` calls the files that it reads."""


def is_text(spec: str) -> bool:
    """Whether `spec` names text, and not a task."""
    return spec == "stdlib" or spec.startswith(("text:", "datasets:"))


def open_text(spec: str, pattern: str = "*") -> Reader:
    """The documents that `spec` names.

    Args:
        spec: `text:FILE`, `text:FOLDER`, `datasets:ID_OR_PATH[:SPLIT[:COLUMN]]` or `stdlib`.
        pattern: which files below a folder, e.g. "*.md"; hidden ones and what lies in hidden folders never.

    Raises:
        ReachlabError: nothing there, or `datasets` is needed and not installed.
    """
    if spec == "stdlib":
        return _folder(Path(sysconfig.get_path("stdlib")), "*.py", leave_out=("site-packages", "dist-packages"))
    kind, _, argument = spec.partition(":")
    if kind == "datasets":
        return _dataset(argument)
    path = Path(argument)
    if not argument or not path.exists():
        raise NotFoundError(f"{argument or spec}: No such file or folder")
    if path.is_dir():
        return _folder(path, pattern)
    return partial(_file, path, FILE_BLOCK)


def _folder(root: Path, pattern: str, leave_out: tuple[str, ...] = ()) -> Reader:
    try:
        matches = [(path.relative_to(root), path) for path in root.rglob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError) as error:
        raise ReachlabError(f"--glob {pattern!r}: {error}") from error
    files = sorted(
        (name.as_posix(), path)
        for name, path in matches
        if not any(part.startswith(".") or part in leave_out for part in name.parts)
    )
    if not files:
        raise ReachlabError(f"{root}: no file {pattern!r} below this folder")

    def read(skip: Skip) -> Iterator[str]:
        for _, path in files:
            yield from _file(path, FOLDER_BLOCK, skip)

    return read


def _file(path: Path, block: int, skip: Skip) -> Iterator[str]:
    """A file's rows, or its text in blocks of whole lines."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        for place, row in read_jsonl(str(path)):
            yield from _usable(row, "text", place, skip)
        return
    if reason := _unreadable(path):
        skip(f"{path}: {reason}")
        return
    with path.open(encoding="utf-8-sig") as file:
        while text := file.read(block):
            text += file.readline() if len(text) == block else ""
            if not text.isspace():
                yield text


def _unreadable(path: Path) -> str | None:
    """Why a file is no text, or None."""
    blank, done, decoder = True, 0, codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            more = True
            while more:
                read = file.read(1 << 20)
                before, more = done - len(decoder.getstate()[0]), bool(read)
                text = decoder.decode(read, final=not more)
                if "\0" in text:
                    return "not a text file"
                blank = blank and not text.strip()
                done += len(read)
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {before + error.start}"
    except OSError as error:
        return str(error.strerror or error)
    return "an empty file" if blank else None


def _usable(row: dict[str, Any], column: str, place: str, skip: Skip) -> Iterator[str]:
    """The text of a row, where there is any."""
    text = row.get(column)
    if text is None or (isinstance(text, str) and not text.strip()):
        if column not in row:
            raise ReachlabError(f"{place}: no field {column!r}; its fields: {shape(row)}")
        skip(f"{place}: no text")
    elif not isinstance(text, str):
        raise ReachlabError(f"{place}: field {column!r}: text wanted, found {text!r:.60}")
    else:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            skip(f"{place}: half a surrogate pair at character {error.start}")
        else:
            yield text


def _dataset(argument: str) -> Reader:
    """One column of one split, through the `datasets` library."""
    # A colon inside brackets is a slice's: train[:10%].
    name, split, column, *rest = [*re.split(r":(?![^\[]*\])", argument), "", ""]
    column = column or "text"
    if not name or any(rest):
        raise ReachlabError(f"datasets:{argument}: write it as datasets:ID_OR_PATH[:SPLIT[:COLUMN]]")
    need("datasets", what=f"datasets:{argument}")
    library = import_module("datasets")
    try:
        table = _load(library, name, split)
    except ReachlabError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ReachlabError(f"datasets:{argument}: not loadable: {reason}") from error
    if column not in table.column_names:
        columns = ", ".join(table.column_names)
        raise ReachlabError(f"datasets:{argument}: no column {column!r}; its columns: {columns}")

    def read(skip: Skip) -> Iterator[str]:
        number = 0
        for rows in table.select_columns([column]).iter(ROWS):
            for text in rows[column]:
                yield from _usable({column: text}, column, f"datasets:{argument}: row {number}", skip)
                number += 1

    return read


def _load(library: Any, name: str, split: str) -> Any:
    """A table of the library's: saved to disk, a file, a folder of files, or from the hub."""
    path = Path(name)
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        saved = library.load_from_disk(name)
        if not isinstance(saved, dict):
            if split:
                raise ReachlabError(f"{name}: one table without splits; write datasets:{name}::COLUMN for its columns")
            return saved
        if (split or "train") not in saved:
            raise ReachlabError(f"{name}: no split {split or 'train'!r}; its splits: {', '.join(saved)}")
        return saved[split or "train"]
    if path.is_file():
        if path.suffix not in FILES:
            raise ReachlabError(f"{name}: `datasets` reads {', '.join(FILES)}; plain text is --data text:{name}")
        return library.load_dataset(FILES[path.suffix], data_files=name, split=split or "train")
    return library.load_dataset(name, split=split or "train")
