"""Where a run's samples are: nine bytes a sample in memory, by which those of one problem are found and read alone.

A part keeps what was found in it until it changes on the disk. Texts stay where they are; the few that are shown are
read row group by row group (`reporting/excerpts.py`).

Axes. N: rows of a part, or of a problem.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reachlab.reporting.excerpts import STATUSES, ChosenRows, SampleExcerpt, by_turns, excerpts_of
from reachlab.reporting.log_labels import read_labels
from reachlab.store.columns import REPEATING, codes_of
from reachlab.store.samples import SampleStore

EVERYTHING = 2**62
"""As many rows as there are."""


@dataclass(frozen=True, eq=False)
class PartRows:
    """The rows of a part: whose they are, as positions among its own `ids`, and their verdicts among `STATUSES`."""

    ids: dict[str, int]
    problem_N: np.ndarray
    sample_N: np.ndarray
    status_N: np.ndarray

    @classmethod
    def of(cls, table: pa.Table) -> "PartRows":
        """Those of a table with `problem_id` and `verdict` as dictionaries."""
        problem_N, ids = codes_of(table["problem_id"])
        status_N, statuses = codes_of(table["verdict"])
        place = pc.index_in(statuses, pa.array(STATUSES, pa.string())).fill_null(-1).to_numpy()
        return cls(
            ids={name: at for at, name in enumerate(ids.to_pylist())},
            problem_N=problem_N.astype(np.int32),
            sample_N=table["sample"].to_numpy().astype(np.int32),
            status_N=(place[status_N] if len(place) else status_N).astype(np.int8),
        )


@dataclass(frozen=True, eq=False)
class RunRows:
    """All rows of a run, part by part, as they were at one moment."""

    store: SampleStore
    parts: tuple[str, ...]
    rows: tuple[PartRows, ...]

    def of_problem(self, problem_id: str, first: int = -1) -> ChosenRows:
        """The rows of a problem: the sample `first`, then right and other ones by turns; a sample that two parts hold
        comes once."""
        found: list[tuple[np.ndarray, ...]] = []
        for number, part in enumerate(self.rows):
            at = part.ids.get(problem_id)
            if at is not None:
                row_N = np.flatnonzero(part.problem_N == at)
                zero_N = np.zeros(len(row_N), np.int64)
                found.append(
                    (zero_N, part.sample_N[row_N].astype(np.int64), part.status_N[row_N], zero_N + number, row_N)
                )
        empty = np.empty(0, np.int64)
        columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [empty] * 5
        return ChosenRows(*by_turns(columns, EVERYTHING, np.array([first], np.int64)))

    @cached_property
    def labels(self) -> Mapping[tuple[str, int], bool]:
        """What the log of an imported run says otherwise, by problem and sample."""
        return read_labels(self.store)

    def read(self, rows: ChosenRows, start: int, end: int, longest: int, problem_id: str) -> list[SampleExcerpt]:
        """Some of a problem's rows, with their texts.

        Raises:
            ReachlabError: a part that cannot be read.
        """
        some = [column[start:end] for column in (rows.problem_N, rows.sample_N, rows.status_N, rows.part_N, rows.row_N)]
        found = excerpts_of(self.store, self.parts, ChosenRows(*some), longest)
        return [replace(one, label=self.labels.get((problem_id, one.sample))) for one in found]


class RowsReader:
    """Reads rows of runs again and again, and each part once, as long as it stays what it is."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], PartRows] = {}

    def read(self, stores: Sequence[SampleStore], stamps: Mapping[str, str]) -> list[RunRows]:
        """The rows of these runs. `stamps` say of a part's path which state of it lies there.

        Raises:
            ReachlabError: a part that cannot be read.
        """
        known: dict[tuple[str, str], PartRows] = {}
        runs = []
        for store in stores:
            # Under the ids on the disk, of which a view may have others (`pairing/renamed.py`).
            parts, original, rows = tuple(store.parts()), store.original(), []
            for part in parts:
                key = (part, stamps.get(part, ""))
                if key not in known:
                    known[key] = self._known.get(key) or PartRows.of(
                        original.read_part(part, ["problem_id", "sample", "verdict"], REPEATING)
                    )
                rows.append(known[key])
            runs.append(RunRows(store, parts, tuple(_renamed(store, row) for row in rows)))
        self._known = known
        return runs


def _renamed(store: SampleStore, rows: PartRows) -> PartRows:
    names = getattr(store, "names", None)
    return rows if names is None else replace(rows, ids={names.get(i, i): at for i, at in rows.ids.items()})
