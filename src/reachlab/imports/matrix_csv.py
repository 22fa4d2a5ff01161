"""A table of right and wrong in a CSV file: a row a problem, a cell a sample.

Commas, semicolons or tabs, whichever the first line with any has most of. What need not be there is recognised:

- *Header*: the first row, where its cells behind the first are words, or count from 0 or from 1 as pandas counts
  columns. A row with any other number is a problem's, so that a score of 0.5 is never taken for a heading.
- *Ids*: the first column, where the header calls it so, or where its cells differ and are words or whole numbers, not
  all of them cells of a sample.

Rows may be shorter than others: fewer samples. An empty cell is a sample that is not scored.

Axes. P: problems.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

import fsspec
import numpy as np

from reachlab.boundary.outcomes import Ints
from reachlab.boundary.verdict_table import WANTED, VerdictTable
from reachlab.errors import ReachlabError

ID_NAMES = frozenset({"id", "problem", "problem_id", "task_id", "question_id", "index"})
"""What a header calls a column of ids."""
DELIMITERS = ",;\t"
UNSCORED = frozenset({"", "nan", "na"})


@dataclass(frozen=True, slots=True)
class MatrixRows:
    """The rows so far, a list a column; of the cells behind the first, how many are right, wrong and unscored."""

    path: str
    lines: list[int] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    unscored: list[int] = field(default_factory=list)

    def add(self, line: int, cells: Sequence[str], at: int | None = None) -> None:
        """Count a row's cells behind the first."""
        rest = cells[1:]
        right, wrong = rest.count("1"), rest.count("0")
        if right + wrong < len(rest):  # other spellings, or cells that are none
            values = [_value(cell) for cell in rest]
            if None in values:
                raise self.strange(line, values.index(None) + 2, rest[values.index(None)])
            right, wrong = values.count(1), values.count(0)
        at = len(self.lines) if at is None else at
        self.lines.insert(at, line)
        self.first.insert(at, cells[0])
        self.right.insert(at, right)
        self.wrong.insert(at, wrong)
        self.unscored.insert(at, len(rest) - right - wrong)

    def counts(self, first: bool) -> tuple[Ints, Ints, Ints]:
        """Right, wrong and unscored of each row; its first cell is among them, or an id."""
        right_P, wrong_P, unscored_P = (np.array(x, np.int64) for x in (self.right, self.wrong, self.unscored))
        if not first:
            return right_P, wrong_P, unscored_P
        values = [_value(cell) for cell in self.first]
        if None in values:
            at = values.index(None)
            raise self.strange(self.lines[at], 1, self.first[at])
        value_P = np.array(values)
        return right_P + (value_P == 1), wrong_P + (value_P == 0), unscored_P + (value_P == -1)

    def strange(self, line: int, column: int, cell: str) -> ReachlabError:
        """What is said of a cell that is none."""
        return ReachlabError(f"{self.path}:{line}, column {column}: {cell[:40]!r}: {WANTED}")


def read_csv(path: str, name: str) -> VerdictTable:
    """Count the cells of a CSV file; any fsspec URL, ``.gz`` too.

    Raises:
        ReachlabError: no such file or no such table; the message names the line, and of a cell the column.
    """
    lines = _lines(path)
    line, top = next(lines, (0, []))
    if not top:
        raise ReachlabError(f"{path}: empty; a row a problem is wanted, and a cell a sample")
    rows = MatrixRows(path)
    for at, cells in lines:
        rows.add(at, cells)
    headed = _is_header(top, any(_value(cell) is None for cell in rows.first))
    if not headed:
        rows.add(line, top, at=0)
    if not rows.lines:
        raise ReachlabError(f"{path}: a header and no row")
    ids = _ids(rows, headed and top[0].strip().lower() in {*ID_NAMES, ""})
    right_P, wrong_P, unscored_P = rows.counts(first=ids is None)
    if not (right_P + wrong_P + unscored_P).any():
        raise ReachlabError(f"{path}: ids and no sample: a cell a sample is wanted behind each")
    return VerdictTable(
        name=name, place=path, problem_ids=ids, n_P=right_P + wrong_P, c_P=right_P, unscored_P=unscored_P
    )


def _lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """The file's rows with their line numbers. An empty line before another is refused: it might be a sample."""
    empty = 0
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", newline="", compression="infer") as file:
            top, delimiter = _until_delimited(file)
            reader = csv.reader(chain(top, file), delimiter=delimiter, strict=True)
            for cells in reader:
                if cells and empty:
                    raise ReachlabError(f"{path}:{empty}: an empty line between rows; an unscored sample is nan")
                if cells:
                    yield reader.line_num, cells
                else:
                    empty = reader.line_num
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise ReachlabError(f"{path}: not UTF-8 text ({error.reason}); a CSV file is wanted") from error
    except csv.Error as error:
        raise ReachlabError(f"{path}:{reader.line_num}: not readable as CSV ({error})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ReachlabError(f"{path}: damaged or truncated archive ({error}); fetch it again") from error
    except OSError as error:
        raise ReachlabError(f"{path}: not readable: {error.strerror or error}") from error
    except (ValueError, ImportError) as error:
        raise ReachlabError(f"{path}: no file that can be opened ({error})") from error


def _until_delimited(file: Iterable[str]) -> tuple[list[str], str]:
    """The lines up to the first that has a delimiter, and which it has most of; a comma where none has any."""
    top = list[str]()
    for line in file:
        top.append(line)
        if any(sign in line for sign in DELIMITERS):
            return top, max(DELIMITERS, key=line.count)
    return top, DELIMITERS[0]


def _is_header(top: Sequence[str], ids_below: bool) -> bool:
    """Whether the first row heads the others; `ids_below`: their first cells are not all cells of a sample."""
    first, *others = (cell.strip() for cell in top)
    if _is_number(first) and [first, *others] not in _counted(len(top)):
        return False
    words = [cell for cell in others or [first] if cell]
    if words and not any(_is_number(cell) or _value(cell) is not None for cell in words):
        return True
    if not others or (others not in _counted(len(others))):
        return False
    # Counted columns. Under a name of ours unknown, or without ids, only a 2 tells them from samples.
    return first.lower() in ID_NAMES or (not first and ids_below) or "2" in others


def _counted(length: int) -> tuple[list[str], list[str]]:
    """0, 1, 2 ... and 1, 2, 3 ..."""
    numbers = [str(i) for i in range(length + 1)]
    return numbers[:-1], numbers[1:]


def _ids(rows: MatrixRows, called_so: bool) -> tuple[str, ...] | None:
    """The first column as ids; None where it is a sample of each problem."""
    names = [cell.strip() for cell in rows.first]
    if not called_so:
        strange = [name for name in names if _value(name) is None]
        if not strange or any(_is_number(name) and not name.isdecimal() for name in strange):
            return None
    seen = dict[str, int]()
    for line, name in zip(rows.lines, names, strict=True):
        if name in seen:
            if not called_so and _value(name) is not None:
                return None  # 0 and 1 among others: samples, and whoever counts them will find what is none
            raise ReachlabError(f"{rows.path}:{line}: problem {name!r} again (first at line {seen[name]})")
        if not name:
            raise ReachlabError(f"{rows.path}:{line}: no problem id")
        seen[name] = line
    return tuple(seen)


@lru_cache(maxsize=1024)
def _value(cell: str) -> int | None:
    """1 for right, 0 for wrong, -1 for unscored, None for none of these."""
    word = cell.strip().lower()
    if word in UNSCORED:
        return -1
    if word in ("true", "false"):
        return int(word == "true")
    number = float(word) if _is_number(word) else 2.0
    return int(number) if number in (1, 0, -1) else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
