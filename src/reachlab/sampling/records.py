"""Samples drawn elsewhere: which fields of a file mean what.

A row holds one answer, or a list of answers, to one problem. Fields are named by dotted paths
(``response.text``); one ``*`` in a path stands for any name, and each name it matches becomes a run of its
own: ``*.solution`` over ``{"question": ..., "small": {"solution": ...}, "large": {"solution": ...}}`` gives
the runs ``small``, ``large``.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import fsspec
from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.tasks.rows import Row, read_rows, shape

QUESTION_NAMES = ("question", "problem", "prompt")
GOLD_NAMES = ("ground_truth", "answer", "gold", "target", "final_answer", "solution")
TEXT_NAMES = ("text", "response", "completion", "output", "generation", "sample")
ID_NAMES = ("problem_id", "unique_id", "task_id", "id", "idx")
INDEX_NAMES = ("sample_index", "sample_id", "sample")
LABEL_NAMES = ("is_correct",)


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Samples drawn elsewhere. A field that is not named is looked for by common names."""

    file: Positional[str]
    """JSON lines or CSV (.gz too) or Parquet: one row a sample, or one row a problem with a list."""
    out: str | None = None
    """Folder of the run, or of the runs where --text has a `*`; default runs/ and the file's name."""
    task: str | None = None
    """Take problems and verifier from this task; default the file's own questions, judged as math."""
    text: str | None = None
    """Field of the answers to score: a text or a list of texts. `*.solution` makes a run of each match."""
    question: str | None = None
    """Field of the question."""
    answer: str | None = None
    """Field of the right answer, where no --task knows it."""
    id: str | None = None
    """Field of the problem's id; default a common name, else the question's number in the file, from 0."""
    index: str | None = None
    """Field of a sample's number within its problem; default a common name, else the order in the file."""
    label: str | None = None
    """Field that says whether the answer is right, to compare our verdicts with."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems of --task the samples answer; auto is test for a generated task and all for a file."""
    problems: int | None = None
    """How many problems of --task were asked; default all of a file, 200 of a generated task."""
    problem_seed: int = 0
    """The seed that listed the problems of a generated --task."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    workers: int | None = None
    """Processes that judge; default one a core."""


@dataclass(frozen=True)
class Fields:
    """Paths of the fields that were named or found; None is "not there"."""

    text: str
    question: str | None
    answer: str | None
    id: str | None
    index: str | None
    label: str | None

    def of(self, name: str) -> "Fields":
        """The same, with ``*`` replaced by `name`."""

        def fill(path: str | None) -> str | None:
            return None if path is None else path.replace("*", name)

        return Fields(
            self.text.replace("*", name),
            *map(fill, (self.question, self.answer, self.id, self.index, self.label)),
        )


def read_table(path: str) -> Iterator[Row]:
    """The rows of a JSON-lines, CSV or Parquet file.

    Raises:
        ReachlabError: a file that cannot be read, is damaged or has no rows.
    """
    return _csv(path) if path.removesuffix(".gz").endswith(".csv") else read_rows(path)


def _csv(path: str) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # one answer can be longer than csv's own limit
    empty = True
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", newline="", compression="infer") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                empty = False
                place = f"{path}:{reader.line_num}"
                if None in row or None in row.values():
                    names = reader.fieldnames or []
                    raise ReachlabError(f"{place}: not {len(names)} fields as in the header: {', '.join(names)}")
                yield place, row
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such file") from error
    except csv.Error as error:
        raise ReachlabError(f"{path}:{reader.line_num + 1}: not CSV ({error})") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ReachlabError(f"{path}: not readable as text: {error}") from error
    if empty:
        raise ReachlabError(f"{path}: empty file; a header and one row a line are wanted")


def find_fields(config: ImportConfig, row: Mapping[str, Any]) -> Fields:
    """The fields to read: those the configuration names, the rest by common names in `row`, the file's first.

    Raises:
        ReachlabError: nothing looks like answers, or like questions where no task gives them.
    """
    text, label = config.text, config.label or _known(LABEL_NAMES, row)
    if text is None:
        text = _known((*TEXT_NAMES, *(f"{name}s" for name in TEXT_NAMES)), row)
    if text is None:
        holders = [name for name, value in row.items() if isinstance(value, Mapping) and "solution" in value]
        if holders:
            text = "*.solution"
            if label is None and all("is_correct" in row[name] for name in holders):
                label = "*.is_correct"
    fields = Fields(
        text or "",
        config.question or _known(QUESTION_NAMES, row),
        config.answer or _known(GOLD_NAMES, row),
        config.id or _known(ID_NAMES, row),
        config.index or _known([name for name in INDEX_NAMES if name != text], row),
        label,
    )
    needed = {"text": text, "question": fields.question, "answer": fields.answer}
    if config.task is not None:
        needed = {"text": text, "question": fields.question or fields.id}
    missing = [f"--{option} FIELD" for option, path in needed.items() if not path]
    if missing:
        raise ReachlabError(
            f"{config.file}: its fields are {shape(row)}; say which holds what, "
            f"as in: reachlab import {config.file} {' '.join(missing)}"
        )
    if text is not None and text.count("*") > 1:
        raise ReachlabError(f"--text {text}: one * at most")
    return fields


def matches(rows: Sequence[Row], path: str) -> list[str]:
    """The names that the ``*`` of `path` stands for in any row, in order of appearance.

    Raises:
        ReachlabError: no row has such a field.
    """
    before, _, after = path.partition("*")
    found: dict[str, None] = {}
    for _, row in rows:
        holder = lookup(row, before.rstrip(".")) if before else row
        if isinstance(holder, Mapping):
            for name in holder:
                if lookup(holder, f"{name}{after}") is not None:
                    found[name] = None
    if not found:
        raise ReachlabError(f"{rows[0][0]}: no field {path}; its fields: {shape(rows[0][1])}")
    return list(found)


def lookup(row: Any, path: str) -> Any:
    """The value at a dotted path (a name that itself holds dots comes first), None where there is none."""
    if not isinstance(row, Mapping):
        return None
    if path in row:
        return row[path]
    head, dot, tail = path.partition(".")
    return lookup(row.get(head), tail) if dot else None


def required(row: Mapping[str, Any], path: str, place: str) -> Any:
    """The value at a dotted path.

    Raises:
        ReachlabError: there is none.
    """
    value = lookup(row, path)
    if value is None:
        raise ReachlabError(f"{place}: no field {path!r}; its fields: {shape(row)}")
    return value


def as_text(value: Any, where: str) -> str:
    """A text.

    Raises:
        ReachlabError: something else.
    """
    if not isinstance(value, str):
        raise ReachlabError(f"{where}: text wanted, found {value!r:.60}")
    return value


def as_texts(value: Any, where: str) -> list[str]:
    """One text, or each of a list."""
    return [as_text(item, where) for item in (value if isinstance(value, list) else [value])]


def as_label(value: Any, where: str) -> bool:
    """A truth value as files write it: true, 1, "True" and their opposites.

    Raises:
        ReachlabError: none of these.
    """
    known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    label = known.get(str(value).casefold())
    if label is None:
        raise ReachlabError(f"{where}: true or false wanted, found {value!r:.60}")
    return label


def _known(names: Sequence[str], row: Mapping[str, Any]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)
