"""A few samples of every problem, read without reading the rest: first which rows, then only those rows' texts.

Of each problem the one sample that has to be shown, where one has, then the first right sample, the first other one,
the first of the third verdict, the second right one, and so on by turns of right and other ones, in the order they were
drawn; where one kind runs out, the other goes on. The choice is a function of the verdicts alone, and reads three
narrow columns. The texts are read row group by row group, those
groups alone that hold a chosen row, and become objects only where a row is chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reachlab.measures.table import cut
from reachlab.reporting.log_labels import read_labels
from reachlab.reporting.reasoning_parts import reasoning_in
from reachlab.reporting.texts import Excerpt
from reachlab.store.columns import LATER, REPEATING
from reachlab.store.parts import opened
from reachlab.store.samples import SampleStore
from reachlab.types import Finish, Status

ROWS, BYTES = 8_192, 16_000_000
"""Most rows of text in memory at a time, and most of their bytes."""
NOTHING: Mapping[str, int] = MappingProxyType({})
TEXTS = ("text", "tokens", "finish", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleExcerpt:
    """One stored sample, as the page shows it.

    `steps` says how many of how many hold, and `final` what the answer comes down to; None where the task does not.
    `reasoning` is as in `reasoning_parts.py`, in places of the whole text. `label` is what the log says of an imported
    answer, right or wrong, where that is not the verdict. `doubtful`: it has to be shown, for its verdict is one to
    look at.
    """

    sample: int
    status: Status
    text: Excerpt
    tokens: int
    finish: Finish
    reason: str
    steps: tuple[int, int] | None
    final: str | None
    reasoning: tuple[int, int, int] | None = None
    label: bool | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ChosenRows:
    """Where chosen samples are: N rows, by problem, the most wanted of each problem first."""

    problem_N: np.ndarray
    sample_N: np.ndarray
    status_N: np.ndarray
    part_N: np.ndarray
    row_N: np.ndarray


STATUSES: tuple[Status, ...] = ("correct", "wrong", "unscored")


def read_excerpts(
    store: SampleStore, problem_ids: Sequence[str], most: int, longest: int, doubtful: Mapping[str, int] = NOTHING
) -> list[list[SampleExcerpt]]:
    """At most `most` samples of each problem, the most wanted first, with what texts cut to
    `longest` characters or fewer need. `doubtful` is a problem's sample that has to be shown.

    Raises:
        ReachlabError: a part that cannot be read.
    """
    parts = store.parts()
    rows = choose(store, parts, problem_ids, most, doubtful)
    labels = read_labels(store)
    by_problem: list[list[SampleExcerpt]] = [[] for _ in problem_ids]
    for problem, one in zip(rows.problem_N.tolist(), excerpts_of(store, parts, rows, longest), strict=True):
        name = problem_ids[problem]
        label, chosen = labels.get((name, one.sample)), doubtful.get(name) == one.sample
        by_problem[problem].append(replace(one, label=label, doubtful=chosen))
    return by_problem


def excerpts_of(store: SampleStore, parts: Sequence[str], rows: ChosenRows, longest: int) -> list[SampleExcerpt]:
    """The samples of these rows, in their order.

    Raises:
        ReachlabError: a part that cannot be read.
    """
    found: dict[int, SampleExcerpt] = {}
    for number in np.unique(rows.part_N).tolist():
        at_N = np.flatnonzero(rows.part_N == number)
        at_N = at_N[np.argsort(rows.row_N[at_N])]
        for at, texts in zip(at_N.tolist(), _texts(store, parts[number], rows.row_N[at_N]), strict=True):
            found[at] = _excerpt(int(rows.sample_N[at]), STATUSES[rows.status_N[at]], texts, longest)
    return [found[at] for at in range(len(rows.row_N))]


def choose(
    store: SampleStore,
    parts: Sequence[str],
    problem_ids: Sequence[str],
    most: int,
    doubtful: Mapping[str, int] = NOTHING,
) -> ChosenRows:
    """Which rows of which parts to show: positions in `problem_ids`, `parts` and each part's rows."""
    ids, names = pa.array(problem_ids, pa.string()), pa.array(STATUSES, pa.string())
    columns: list[tuple[np.ndarray, ...]] = []
    for number, part in enumerate(parts):
        table = store.read_part(part, ["problem_id", "sample", "verdict"], REPEATING)
        problem_N = _positions(table["problem_id"], ids)
        asked_N = np.flatnonzero(problem_N >= 0)
        columns.append((
            problem_N[asked_N],
            table["sample"].to_numpy()[asked_N],
            _positions(table["verdict"], names)[asked_N],
            np.full(len(asked_N), number),
            asked_N,
        ))  # fmt: skip
    empty = np.empty(0, np.int64)
    rows = [np.concatenate(column) for column in zip(*columns, strict=True)] if columns else [empty] * 5
    return ChosenRows(*by_turns(rows, most, np.array([doubtful.get(i, -1) for i in problem_ids], np.int64)))


def by_turns(rows: Sequence[np.ndarray], most: int, first_P: np.ndarray) -> list[np.ndarray]:
    """The first `most` of each problem: the sample `first_P`, then right and other ones by turns, and the first of each
    verdict before the second of any; a sample that two parts hold counts once. `rows` are columns as of `ChosenRows`.
    """

    def ordered(*keys: np.ndarray) -> list[np.ndarray]:
        order = np.lexsort(keys[::-1])
        return [column[order] for column in rows]

    rows = ordered(rows[0], rows[1])  # stable: of two copies the one in the earlier part comes first
    again_N = np.zeros(len(rows[0]), bool)
    again_N[1:] = (np.diff(rows[0]) == 0) & (np.diff(rows[1]) == 0)
    rows = [column[~again_N] for column in rows]
    other_N = rows[2] != STATUSES.index("correct")
    rows = ordered(rows[0], other_N)
    other_N = rows[2] != STATUSES.index("correct")
    turn_N = _within(rows[0] * 2 + other_N) * 4 + other_N * 2
    turn_N[_firsts(rows[0] * len(STATUSES) + rows[2]) & other_N] = 3  # at the latest, before the second right one
    turn_N[other_N & (_within(rows[0] * 2 + other_N) == 0)] = 2
    rows = ordered(rows[0], np.where(rows[1] == first_P[rows[0]], -1, turn_N))
    return [column[_within(rows[0]) < most] for column in rows]


def _firsts(group_N: np.ndarray) -> np.ndarray:
    """Whether a row is the first of its value."""
    first_N = np.zeros(len(group_N), bool)
    first_N[np.unique(group_N, return_index=True)[1]] = True
    return first_N


def _within(group_N: np.ndarray) -> np.ndarray:
    """Each row's number within its run of equal values."""
    starts = np.flatnonzero(np.diff(group_N, prepend=group_N[:1] - 1))
    return np.arange(len(group_N)) - np.repeat(starts, np.diff(starts, append=len(group_N)))


def _texts(store: SampleStore, part: str, row_N: np.ndarray) -> Iterator[dict[str, Any]]:
    """What the page shows of these rows of a part (ascending), one after the other."""
    with opened(store.folder.fs, part) as found:
        file = found.parquet
        columns = [*TEXTS, *(name for name in LATER.names if name in file.schema_arrow.names)]
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside_N = row_N[(row_N >= start) & (row_N < end)]
            if len(inside_N):
                found.check(columns, [group])
                yield from _of_group(file, group, columns, inside_N - start)
            start = end


def _of_group(file: pq.ParquetFile, group: int, columns: Sequence[str], row_N: np.ndarray) -> Iterator[dict[str, Any]]:
    start = 0
    for batch in file.iter_batches(rows_at_once(file, group), row_groups=[group], columns=columns):
        inside_N = row_N[(row_N >= start) & (row_N < start + len(batch))]
        yield from batch.take(pa.array(inside_N - start)).to_pylist()
        start += len(batch)
        if start > row_N[-1]:
            return


def rows_at_once(file: pq.ParquetFile, group: int) -> int:
    """As many rows of a row group as hold some `BYTES`, long texts or short ones."""
    found = file.metadata.row_group(group)
    return max(1, min(ROWS, BYTES * int(found.num_rows) // max(1, int(found.total_byte_size))))


def _excerpt(sample: int, status: Status, row: dict[str, Any], longest: int) -> SampleExcerpt:
    valid, steps, text = row.get("valid_steps"), row.get("steps"), row["text"] or ""
    return SampleExcerpt(
        sample=sample,
        status=status,
        text=Excerpt.of(text, longest),
        tokens=row["tokens"] or 0,
        finish=row["finish"],
        reason=cut(row["reason"] or "", 300),
        steps=None if valid is None or steps is None else (valid, steps),
        final=None if (final := row.get("final_answer")) is None else cut(final, 100),
        reasoning=reasoning_in(text),
    )


def _positions(values: Any, among: pa.Array) -> np.ndarray:
    """Where each value of a dictionary column stands in `among`, −1 for nowhere."""
    place_N = []
    for chunk in values.chunks:
        place = pc.index_in(chunk.dictionary, among).fill_null(-1).to_numpy()
        place_N.append(place[chunk.indices.to_numpy()])
    return np.concatenate(place_N).astype(np.int64) if place_N else np.empty(0, np.int64)
