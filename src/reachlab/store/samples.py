"""The store: a run's problems and samples, as Parquet that any reader can open.

Parts appear whole or not at all, each named by what it holds. Two writers that drew the same samples write the same
part, of which the first stays, or parts that overlap; a reader keeps each (problem, index) once. What rewrites a part,
to put columns beside those that are there, holds the run's lock and reads the part anew.

Axes. N: samples, in the order of their rows, P: problems.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import NotFoundError, ReachlabError
from reachlab.runs import RunFolder
from reachlab.storable import encoded, parse_json
from reachlab.store.adaptive import AdaptivePlan, Ledger, read_plan
from reachlab.store.columns import (
    LATER,
    REPEATING,
    SCHEMA,
    codes_of,
    joined,
    judged_columns,
    keyed,
    plain,
    read_sample,
    sample_table,
    verdicts,
    with_column,
)
from reachlab.store.parts import opened, read_schema, write_parquet
from reachlab.store.problems import hash_problems as hash_problems
from reachlab.store.problems import read_problem, write_problem
from reachlab.types import Judged, Problem, Sample

Shrink = Callable[[pa.Table], pa.Table]
"""Makes a smaller table of a part's; `problem_id` and `sample` stay."""


class NoChainsError(ReachlabError):
    """A run of whose steps nothing can be counted, for what it is and not for damage."""


class SampleStore:
    """The problems and samples of one run folder."""

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self._listed: tuple[bytes, list[Problem]] = (b"", [])

    def original(self) -> "SampleStore":
        """The run as it lies there, of which a store may be a view (`renamed.py`)."""
        return self

    # -- problems ---------------------------------------------------------------------------------------------------

    def write_problems(self, problems: Iterable[Problem]) -> None:
        """Keep the problems beside the samples, so that a run can be read without its task."""
        self.folder.write_lines("problems.jsonl", map(problem_line, problems))

    def problems(self) -> list[Problem]:
        """The run's problems, in order.

        Raises:
            ReachlabError: no run of samples, or a list that is damaged.
        """
        if not self.folder.exists("problems.jsonl"):
            missing = ReachlabError if self.folder.exists() else NotFoundError
            raise missing(f"{self.folder.url}: not a run of samples (no problems.jsonl)")
        written = self.folder.read("problems.jsonl")
        if self._listed[0] != written:  # to read the file is little beside making problems of it
            listed = [read_problem(line, place) for place, line in self._lines()]
            if len({problem.id for problem in listed}) < len(listed):
                raise ReachlabError(f"{self.folder.file('problems.jsonl')}: holds a problem twice")
            self._listed = written, listed
        return list(self._listed[1])

    def spec(self) -> str:
        """The run's task, as its run.json says; nothing where it says none."""
        if not self.folder.exists("run.json"):
            return ""
        config = self.folder.read_json("run.json").get("config")
        return str(config.get("task") or "") if isinstance(config, dict) else ""

    def image_hashes(self) -> dict[str, list[str]]:
        """The hashes of the problems' pictures, as they were when the run was begun; of problems that have any."""
        rows = [parse_json(line, place) for place, line in self._lines() if '"image_hashes"' in line]
        return {row["id"]: row["image_hashes"] for row in rows}

    def _lines(self) -> Iterator[tuple[str, str]]:
        path = self.folder.file("problems.jsonl")
        try:
            text = self.folder.read("problems.jsonl").decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ReachlabError(f"{path}: not UTF-8 at byte {error.start}") from error
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            yield f"{path}:{number}", line.removesuffix("\r")

    # -- samples ----------------------------------------------------------------------------------------------------

    def parts(self) -> list[str]:
        """Paths of the parts, in name order."""
        return self.folder.glob("samples/part-*.parquet")

    def write_part(self, samples: Sequence[Sample]) -> str:
        """Store samples as one immutable part and return its name. A second write of the same samples changes
        nothing, whoever wrote them first and whatever stands beside them since.

        Raises:
            ReachlabError: they cannot be stored, or not there.
        """
        name = part_name([(s.problem_id, s.index) for s in samples])
        try:
            table = sample_table(samples)
        except (pa.ArrowException, OverflowError) as error:
            raise ReachlabError(f"{self.folder.url}: samples that cannot be stored ({error})") from error
        if self.folder.claimed:
            self.folder.check_there()
        self.folder.make()
        with self.folder.lock():
            if not self.folder.exists(name):
                self.folder.write(name, write_parquet(table))
        return name

    def find_part(self, keys: Sequence[tuple[str, int]]) -> str | None:
        """The path of the part that holds just these samples, None where it has not been written."""
        name = part_name(keys)
        return self.folder.file(name) if self.folder.exists(name) else None

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All samples as one Arrow table, each (problem, index) once, in no promised order.

        Raises:
            ReachlabError: a part that is not readable Parquet with the columns asked for.
        """
        table = self.read_encoded(columns)
        for at, field in enumerate(table.schema):
            if pa.types.is_dictionary(field.type):
                table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
        return table

    def read_encoded(self, columns: Sequence[str] | None = None) -> pa.Table:
        """As `read`, but text of few different values (`REPEATING`) as Arrow dictionaries, one a column.

        Raises:
            ReachlabError: as of `read`.
        """
        return joined(self._read_parts(columns), columns)

    def _read_parts(self, columns: Sequence[str] | None, shrink: Shrink | None = None) -> list[pa.Table]:
        wanted = None if columns is None else keyed(columns)
        parts = (self.read_part(part, wanted, REPEATING) for part in self.parts())
        return [part if shrink is None else shrink(part) for part in parts]

    def numbered(
        self, columns: Sequence[str] | None, shrink: Shrink | None = None
    ) -> tuple[pa.Table, NDArray[np.int64]]:
        """As `read_encoded`, and each row's problem as its position among `problems`.

        `shrink` is given each part as soon as it is read, so that what it drops never lies in memory all at once.

        Raises:
            ReachlabError: as of `read`; no sample at all, or samples of problems that the run does not list.
        """
        return self._numbered([p.id for p in self.problems()], columns, shrink)

    def _numbered(
        self, ids: Sequence[str], columns: Sequence[str] | None, shrink: Shrink | None = None
    ) -> tuple[pa.Table, NDArray[np.int64]]:
        table = joined(self._read_parts(columns, shrink), columns)
        if not len(table):
            raise ReachlabError(f"{self.folder.url}: holds no sample yet")
        places_N, listed = codes_of(table["problem_id"])
        place = pc.index_in(listed, pa.array(ids, pa.string()))
        rows_N = place.fill_null(-1).to_numpy().astype(np.int64)[places_N]
        if rows_N.min() < 0:
            raise ReachlabError(f"{self.folder.url}: samples of problems that problems.jsonl does not list")
        return table, rows_N

    def read_part(self, part: str, columns: Sequence[str] | None = None, encoded: Sequence[str] = ()) -> pa.Table:
        """One part as an Arrow table, in its row order: all its columns, or those of the asked ones that it has.

        Those of the `encoded` ones come as Arrow dictionaries.

        Raises:
            ReachlabError: not readable Parquet with the columns of every part.
        """
        with opened(self.folder.fs, part, encoded) as stored:
            schema = stored.parquet.metadata.schema.to_arrow_schema()
            for field in (*SCHEMA, *(f for f in LATER if f.name in schema.names)):
                if field.name not in schema.names or plain(schema.field(field.name).type) != field.type:
                    raise ValueError(f"no column {field.name} of type {field.type}")
            # A column of a later day may be in some parts only; elsewhere it is null.
            wanted = None if columns is None else [c for c in columns if c in schema.names]
            stored.check(wanted)
            # One thread: a part is small, and handing its columns out costs more than it saves.
            table = stored.parquet.read(wanted, use_threads=False)
            for at, field in enumerate(table.schema):
                if pa.types.is_dictionary(field.type) and field.name not in encoded:
                    table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
            for name in ("problem_id", "sample"):
                if name in table.column_names and table[name].null_count:
                    raise ValueError(f"a row without {name}")
        return table

    def schema(self, part: str) -> pa.Schema:
        """The columns of one part, and what was written into their fields.

        Raises:
            ReachlabError: not readable Parquet.
        """
        return read_schema(self.folder.fs, part)

    def drawn(self) -> dict[str, set[int]]:
        """Which sample indices each problem has."""
        table = self.read_encoded([])
        places_N, ids = codes_of(table["problem_id"])
        order_N = np.argsort(places_N, kind="stable")
        sample_N = table["sample"].to_numpy()[order_N]
        ends = np.cumsum(np.bincount(places_N, minlength=len(ids)))
        pieces = np.split(sample_N, ends[:-1]) if len(ids) else []
        return {name: set(piece.tolist()) for name, piece in zip(ids.to_pylist(), pieces, strict=True)}

    def samples(self, problem_ids: Iterable[str] | None = None) -> list[Sample]:
        """Samples as objects, sorted by the run's problem order and index; all of them, or those of some problems."""
        table = self.read()
        if problem_ids is not None:
            table = table.filter(pc.is_in(table["problem_id"], pa.array(list(problem_ids), pa.string())))
        order = {p.id: i for i, p in enumerate(self.problems())}
        rows = sorted(table.to_pylist(), key=lambda r: (order.get(r["problem_id"], len(order)), r["sample"]))
        return [read_sample(row) for row in rows]

    def outcomes(self, *, chain: bool = False) -> Outcomes:
        """How many samples of each problem were scored, correct and unscored; a problem without samples has zeros.

        With `chain`, a sample is correct only if its verdict is and every step of it holds: pass@k of these is
        CoT-pass@k. A right answer whose steps could not be checked is unscored then.

        Of an adaptive run (`adaptive.py`) what its plan has drawn by now is counted: the samples up to the last look
        that is complete, of a problem that had enough those up to then.

        Raises:
            ReachlabError: no sample at all, or samples of problems that the run does not list; with `chain`, samples
                whose steps nobody checked, or an adaptive run; of an adaptive run, samples that its plan wants and that
                are not there.
        """
        plan = self.plan()
        if plan is not None:
            return self._adaptive_outcomes(plan, chain)
        ids = tuple(p.id for p in self.problems())
        table, row_N = self._numbered(ids, ["verdict", *(("valid_steps", "steps") if chain else ())])
        if chain:
            self._check_chains(table)
        correct_N, wrong_N, unscored_N = verdicts(table)
        if chain:
            unknown_N = pc.is_null(table["steps"]).to_numpy()
            holds = pc.and_(pc.equal(table["valid_steps"], table["steps"]), pc.greater(table["steps"], 0))
            unscored_N = unscored_N | (correct_N & unknown_N)
            wrong_N = wrong_N | (correct_N & ~unknown_N & ~holds.fill_null(False).to_numpy())
            correct_N = correct_N & holds.fill_null(False).to_numpy()

        def tally(chosen_N: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.bincount(row_N[chosen_N], minlength=len(ids))

        c_P = tally(correct_N)
        return Outcomes(
            name=self.folder.name,
            problem_ids=ids,
            n_P=c_P + tally(wrong_N),
            c_P=c_P,
            unscored_P=tally(unscored_N),
        )

    def _adaptive_outcomes(self, plan: AdaptivePlan, chain: bool) -> Outcomes:
        if chain:
            raise NoChainsError(
                f"{self.folder.url}: drawn with --adaptive, which stops at right answers whatever their steps; "
                "CoT-pass@k needs a run without it"
            )
        if not self.parts():
            raise ReachlabError(f"{self.folder.url}: holds no sample yet")
        ids = tuple(p.id for p in self.problems())
        return Outcomes(self.folder.name, ids, *self.ledger(plan).outcomes(self.folder.url))

    def plan(self) -> AdaptivePlan | None:
        """How an adaptive run is drawn; None where every problem is drawn to the end."""
        if not self.folder.exists("run.json"):
            return None
        return read_plan(self.folder.read_json("run.json"), self.folder.file("run.json"))

    def ledger(self, plan: AdaptivePlan) -> Ledger:
        """What an adaptive run holds."""
        ledger = Ledger(plan, len(self.problems()))
        if self.parts():
            table, row_N = self.numbered(["verdict"])
            right_N, wrong_N, _ = verdicts(table)
            ledger.load(row_N, table["sample"].to_numpy().astype(np.int64), right_N | wrong_N, right_N)
        return ledger

    def _check_chains(self, table: pa.Table) -> None:
        """Refuse chain outcomes of samples whose steps nobody checked: counted as wrong or left out, they mislead."""
        if old := self.older_than("steps"):
            raise NoChainsError(
                f"{self.folder.url}: {old:,} samples are older than the checks of steps; "
                f"`reachlab verify {self.folder.url}` checks them"
            )
        if table["steps"].null_count == len(table):
            raise NoChainsError(f"{self.folder.url}: its task checks no steps")

    def older_than(self, column: str) -> int:
        """How many stored samples lie in parts that were written before there was this column.

        Raises:
            ReachlabError: as of `read`.
        """
        return sum(
            len(p)
            for p in (self.read_part(path, ["sample", column]) for path in self.parts())
            if column not in p.column_names
        )

    def part(self, path: str) -> list[Sample]:
        """The samples of one part, in its row order."""
        return [read_sample(row) for row in self.read_part(path).to_pylist()]

    def rejudge(self, part: str, judged: Sequence[Judged] | Mapping[int, Judged]) -> None:
        """Replace what was said of all rows of one part, or of some; what stands there of others stays, and so does
        what another command writes meanwhile. The part changes whole or not at all."""
        rows = judged if isinstance(judged, Mapping) else dict(enumerate(judged))

        def change(table: pa.Table) -> pa.Table:
            if not isinstance(judged, Mapping) and len(judged) != len(table):
                raise ReachlabError(f"{part}: holds {len(table)} samples, and {len(judged)} were judged")
            # Where each row of the new columns comes from: the old one, or behind it what was said now.
            at_N = np.arange(len(table))
            at_N[list(rows)] = len(table) + np.arange(len(rows))
            for name, column in judged_columns(list(rows.values())).items():
                old = table[name].combine_chunks() if name in table.column_names else pa.nulls(len(table), column.type)
                both = pa.concat_arrays([old, column])
                table = with_column(table, pa.field(name, column.type), both.take(pa.array(at_N)))
            return table

        self._change(part, change)

    def add_columns(
        self,
        part: str,
        columns: Mapping[str, pa.Array],
        metadata: Mapping[str, str] | None = None,
        *,
        fill: bool = False,
    ) -> None:
        """Put columns beside those of one part, in its row order; one of the same name is replaced.

        With `fill`, a null stands for "as it is there". The part changes whole or not at all, and what another command
        adds meanwhile stays. `metadata` is written into each of these columns' fields.

        Raises:
            ReachlabError: with `fill`, the part has a column of this name with other metadata.
        """

        def change(table: pa.Table) -> pa.Table:
            for name, values in columns.items():
                field = pa.field(name, values.type, metadata=metadata)
                if fill and name in table.column_names:
                    if table.schema.field(name).metadata != field.metadata:
                        raise ReachlabError(f"{part}: another command has written {name!r} of another model meanwhile")
                    values = pc.coalesce(values, table[name].combine_chunks())
                table = with_column(table, field, values)
            return table

        self._change(part, change)

    def _change(self, part: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Rewrite one part. It is read with the run's lock held, so nothing is lost that another command wrote."""
        with self.folder.lock():
            table = change(self.read_part(part))
            self.folder.write(part.removeprefix(f"{self.folder.path}/"), write_parquet(table))


def part_name(keys: Sequence[tuple[str, int]]) -> str:
    """The name of the part that holds these samples, (problem, index) each, in this order."""
    text = "\n".join(f"{problem}\t{index}" for problem, index in keys)
    return f"samples/part-{hashlib.blake2b(encoded(text), digest_size=8).hexdigest()}.parquet"


def problem_line(problem: Problem) -> bytes:
    """A problem as a line of problems.jsonl."""
    return encoded(f"{write_problem(problem)}\n")
