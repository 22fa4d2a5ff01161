"""Tables of right and wrong from files, one a model: ``.npz`` (a key a model), ``.npy`` and ``.csv`` (a file a model).

An ``.npz`` may hold `problem_ids`, one a row. What numpy had to pickle is refused: reading it would run it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import fsspec
import numpy as np

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.verdict_table import VerdictTable, count_table, paired
from reachlab.errors import ReachlabError
from reachlab.imports.matrix_csv import read_csv

IDS = "problem_ids"
CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def read_matrices(paths: Sequence[str]) -> list[Outcomes]:
    """The outcomes of every table, in the order of the files and of their keys.

    Raises:
        ReachlabError: a file that is not there or not such a table, or tables that cannot be paired.
    """
    tables = [table for path in paths for table in read_tables(str(path))]
    names = [table.name for table in tables]
    # Tables of one name in different places: the places tell them apart.
    return paired([replace(t, name=t.place) if names.count(t.name) > 1 else t for t in tables])


def read_tables(path: str) -> Iterator[VerdictTable]:
    """The tables of a file, counted.

    Raises:
        ReachlabError: it is not there, or none.
    """
    if path.lower().endswith(CSV):
        yield read_csv(path, _stem(path))
    elif path.lower().endswith(".npy"):
        yield count_table(_stem(path), _load(path), place=path)
    elif path.lower().endswith(".npz"):
        loaded = _load(path)
        ids = loaded.pop(IDS, None)
        if ids is not None and (ids.ndim != 1 or ids.dtype.kind not in "Uiu"):
            raise ReachlabError(f"{path}: {IDS} must be one row of texts or whole numbers")
        if not loaded:
            raise ReachlabError(f"{path}: holds no table; a key a model is wanted")
        for name, table in loaded.items():
            yield count_table(name, table, ids, place=f"{path}: {name}")
    else:
        raise ReachlabError(f"{path}: a table is an .npz, .npy or .csv file (a run's folder goes without --matrix)")


def _stem(path: str) -> str:
    """The file's name without what it ends with."""
    name = PurePosixPath(path).name
    return name[: name.lower().rindex(next(end for end in (*CSV[2:], *CSV[:2], ".npy") if name.lower().endswith(end)))]


def _load(path: str) -> Any:
    """The array of an ``.npy``, or the arrays of an ``.npz`` by name."""
    zipped = path.lower().endswith(".npz")
    try:
        with fsspec.open(path, "rb") as file:
            if file.read(4) != (b"PK\x03\x04" if zipped else b"\x93NUM"):
                raise ReachlabError(f"{path}: not what numpy.save{'z' * zipped} writes")
            file.seek(0)
            array = np.load(file, allow_pickle=False)
            if not zipped:
                return array
            return {name: _array(path, name, array[name]) for name in array.files}
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except (ReachlabError, MemoryError):
        raise
    except Exception as error:  # of a damaged file numpy, zipfile, zlib and even tokenize raise what they like
        if "allow_pickle" in str(error):
            raise ReachlabError(
                f"{path}: holds pickled objects, which are not read; save numbers (and texts as numpy.array(..., str))"
            ) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReachlabError(f"{path}: not readable by numpy ({reason})") from error


def _array(path: str, name: str, loaded: Any) -> Any:
    if not isinstance(loaded, np.ndarray):
        raise ReachlabError(f"{path}: {name} is no array")
    return loaded
