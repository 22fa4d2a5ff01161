"""A text in all answers of a comparison, looked for where they lie: part by part, a few rows in memory at a time.

What is found comes as it is found, model after model in the order of their parts. A search ends at so many finds, and a
mark says where the next one goes on.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reachlab.reporting.excerpts import rows_at_once
from reachlab.serving.states import ServedState
from reachlab.store.parts import opened

MOST = 100
"""Finds of one search."""
AROUND = 90
"""Characters before and behind a find."""
LONGEST = 200
"""Characters that are looked for, at most."""
MARK = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,12})")
COLUMNS = ["problem_id", "sample", "verdict", "text"]


@dataclass(frozen=True, order=True)
class RowMark:
    """A row: the run's number among all of the comparison's, the part's among the run's, the row's in the part."""

    run: int = 0
    part: int = 0
    row: int = 0

    @classmethod
    def read(cls, mark: str) -> "RowMark":
        """A place from its mark; the beginning where it is none."""
        found = MARK.fullmatch(mark)
        return cls(*map(int, found.groups())) if found else cls()

    def __str__(self) -> str:
        return f"{self.run}.{self.part}.{self.row}"


Finds = Generator[dict[str, Any], None, None]


def search(snapshot: ServedState, text: str, verdict: str = "", start: RowMark | None = None) -> Finds:
    """What is found, one after the other; between finds how far it has come, and at the end where to go on.

    Args:
        snapshot: whose samples are looked through. text: what is looked for, whatever the case of its letters.
        verdict: of the samples; "" for any. start: the first row that is looked at.

    Raises:
        ReachlabError: a part that cannot be read.
    """
    start = start or RowMark()
    runs = [(at, place, run) for at, model in enumerate(snapshot.models) for place, run in enumerate(model.runs)]
    every = [(number, part) for number, (*_, run) in enumerate(runs) for part in range(len(run.parts))]
    found = 0
    for done, (number, part) in enumerate(every):
        model, place, run = runs[number]
        if (number, part) < (start.run, start.part):
            continue
        first = start.row if (number, part) == (start.run, start.part) else 0
        names = getattr(run.store, "names", {})
        for row, problem, sample, status, whole in _in_part(run.store.folder.fs, run.parts[part], text, verdict, first):
            if row is None:
                yield {"done": done, "of": len(every)}
                continue
            name = names.get(problem, problem)
            at = snapshot.positions.get(name)
            if at is None:
                continue
            whose = {"model": model, "run": place, "p": at, "problem": name, "sample": sample, "status": status}
            yield whose | _around(whole, text)
            found += 1
            if found == MOST:
                yield {"next": str(RowMark(number, part, row + 1))}
                return
        yield {"done": done + 1, "of": len(every)}
    yield {"next": None}


Found = tuple[int | None, str, int, str, str]


def _in_part(fs: Any, path: str, text: str, verdict: str, first: int) -> Iterator[Found]:
    """The rows of a part that hold the text, from a row on; between them, after every piece of the part, no row."""
    with opened(fs, path) as part:
        file, start = part.parquet, 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if start + rows > first:
                part.check(COLUMNS, [group])
                at = start
                for batch in file.iter_batches(rows_at_once(file, group), row_groups=[group], columns=COLUMNS):
                    yield from _in_batch(batch, text, verdict, at, first)
                    at += len(batch)
                    yield None, "", 0, "", ""
            start += rows


def _in_batch(batch: pa.RecordBatch, text: str, verdict: str, start: int, first: int) -> Iterator[Found]:
    chosen = pc.match_substring(batch.column("text"), text, ignore_case=True)
    if verdict:
        chosen = pc.and_(chosen, pc.equal(batch.column("verdict"), verdict))
    row_N: Sequence[int] = pc.indices_nonzero(chosen.fill_null(False)).to_pylist()
    for row in row_N:
        if start + row >= first:
            problem, sample, status, whole = (batch.column(name)[row].as_py() for name in COLUMNS)
            yield start + row, problem, sample, status, whole


def _around(whole: str, text: str) -> dict[str, str]:
    """The first place where it stands, and what stands around it."""
    at = re.search(re.escape(text), whole, re.IGNORECASE)
    # Where letters have no one small form, Arrow and Python may differ: the beginning is shown then.
    start, end = at.span() if at else (0, 0)
    before = whole[max(0, start - AROUND) : start]
    behind = whole[end : end + AROUND + (0 if at else AROUND)]
    return {
        "before": f"{'…' if start > AROUND else ''}{before}",
        "hit": whole[start:end],
        "behind": f"{behind}{'…' if end + AROUND < len(whole) else ''}",
    }
