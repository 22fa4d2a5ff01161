"""The store: a run's problems and samples, as Parquet that any reader can open.

Parts are immutable and appear whole or not at all, so several writers need no lock: each writes parts of its own, named
by what they hold. Two writers that drew the same samples write the same part twice, or parts that overlap; a reader
keeps each (problem, index) once.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.types import Problem, Sample, Verdict

SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("tokens", pa.int32()),
        ("finish", pa.string()),
        ("logprob", pa.float32()),
        ("seed", pa.int64()),
        ("engine", pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float32()),
        ("reason", pa.string()),
    ]
)


class SampleStore:
    """The problems and samples of one run folder."""

    def __init__(self, folder: RunFolder):
        self.folder = folder

    # -- problems ---------------------------------------------------------------------------------------------------

    def write_problems(self, problems: Sequence[Problem]) -> None:
        """Keep the problems beside the samples, so that a run can be read without its task."""
        lines = "".join(json.dumps(asdict(p), sort_keys=True, ensure_ascii=False) + "\n" for p in problems)
        self.folder.write("problems.jsonl", lines.encode())

    def problems(self) -> list[Problem]:
        """The run's problems, in order."""
        path = self.folder.file("problems.jsonl")
        if not self.folder.exists("problems.jsonl"):
            raise ReachlabError(f"{self.folder.url}: not a run of samples (no problems.jsonl)")
        rows = []
        for number, line in enumerate(self.folder.fs.cat_file(path).decode().removesuffix("\n").split("\n"), 1):
            try:
                row = json.loads(line)
                prompt = row.pop("prompt")
                images = tuple(row.pop("images"))
                rows.append(Problem(prompt=prompt if isinstance(prompt, str) else tuple(prompt), images=images, **row))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ReachlabError(f"{path}:{number}: not a problem ({error})") from error
        return rows

    # -- samples ----------------------------------------------------------------------------------------------------

    def parts(self) -> list[str]:
        """Paths of the parts, in name order."""
        return self.folder.glob("samples/part-*.parquet")

    def write_part(self, samples: Sequence[Sample]) -> str:
        """Store samples as one immutable part and return its name. A second write of the same samples changes
        nothing."""
        keys = "\n".join(f"{s.problem_id}\t{s.index}" for s in samples)
        name = f"samples/part-{hashlib.blake2b(keys.encode(), digest_size=8).hexdigest()}.parquet"
        rows = [
            {
                "problem_id": s.problem_id,
                "sample": s.index,
                "text": s.text,
                "tokens": s.tokens,
                "finish": s.finish,
                "logprob": s.logprob,
                "seed": s.seed,
                "engine": s.engine,
                "verdict": s.verdict.status,
                "score": s.verdict.score,
                "reason": s.verdict.reason,
            }
            for s in samples
        ]
        self._write_table(name, pa.Table.from_pylist(rows, schema=SCHEMA))
        return name

    def _write_table(self, name: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.folder.write(name, buffer.getvalue())

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All samples as one Arrow table, each (problem, index) once, in no promised order.

        Raises:
            ReachlabError: a part that is not readable Parquet with the columns asked for.
        """
        wanted = None if columns is None else list(dict.fromkeys(["problem_id", "sample", *columns]))
        tables = [self.read_part(part, wanted) for part in self.parts()]
        if not tables:
            empty = SCHEMA.empty_table()
            return empty if wanted is None else empty.select([c for c in wanted if c in SCHEMA.names])
        return _each_once(pa.concat_tables(tables, promote_options="default"))

    def read_part(self, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One part as an Arrow table, in its row order: all its columns, or those of the asked ones that it has.

        Raises:
            ReachlabError: not readable Parquet with the columns of every part.
        """
        try:
            with self.folder.fs.open(part, "rb") as file:
                parquet = pq.ParquetFile(file)
                schema = parquet.schema_arrow
                for field in SCHEMA:
                    if field.name not in schema.names or schema.field(field.name).type != field.type:
                        raise ValueError(f"no column {field.name} of type {field.type}")
                # A column of a later day may be in some parts only; elsewhere it is null.
                table = parquet.read(None if columns is None else [c for c in columns if c in schema.names])
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ReachlabError(
                f"{part}: not a readable part ({next(iter(str(error).splitlines()), type(error).__name__)}); "
                "delete it and run the same command to draw its samples again"
            ) from error
        return table

    def drawn(self) -> dict[str, set[int]]:
        """Which sample indices each problem has."""
        table = self.read(["sample"])
        found: dict[str, set[int]] = {}
        for problem_id, index in zip(table["problem_id"].to_pylist(), table["sample"].to_pylist(), strict=True):
            found.setdefault(problem_id, set()).add(index)
        return found

    def samples(self, problem_ids: Iterable[str] | None = None) -> list[Sample]:
        """Samples as objects, sorted by the run's problem order and index; all of them, or those of some problems."""
        table = self.read()
        if problem_ids is not None:
            table = table.filter(pc.is_in(table["problem_id"], pa.array(list(problem_ids), pa.string())))
        order = {p.id: i for i, p in enumerate(self.problems())}
        rows = sorted(table.to_pylist(), key=lambda r: (order.get(r["problem_id"], len(order)), r["sample"]))
        return [_sample(row) for row in rows]

    def outcomes(self) -> Outcomes:
        """How many samples of each problem were scored, correct and unscored; a problem without samples has zeros.

        Raises:
            ReachlabError: no sample at all, or samples of problems that the run does not list.
        """
        table = self.read(["verdict"])
        ids = tuple(p.id for p in self.problems())
        if not len(table):
            raise ReachlabError(f"{self.folder.url}: holds no sample yet")
        rows = pc.index_in(table["problem_id"], pa.array(ids, pa.string()))
        if rows.null_count:
            raise ReachlabError(f"{self.folder.url}: samples of problems that problems.jsonl does not list")
        row_N = rows.to_numpy()

        def tally(status: str) -> np.ndarray:
            chosen_N = pc.equal(table["verdict"], status).to_numpy()
            return np.bincount(row_N[chosen_N], minlength=len(ids))

        c_P = tally("correct")
        return Outcomes(
            name=self.folder.name,
            problem_ids=ids,
            n_P=c_P + tally("wrong"),
            c_P=c_P,
            unscored_P=tally("unscored"),
        )

    def part(self, path: str) -> list[Sample]:
        """The samples of one part, in its row order."""
        return [_sample(row) for row in self.read_part(path).to_pylist()]

    def rejudge(self, part: str, verdicts: Sequence[Verdict]) -> None:
        """Replace the verdicts of one part (in its row order); the part changes whole or not at all."""
        found = {
            "verdict": [v.status for v in verdicts],
            "score": [v.score for v in verdicts],
            "reason": [v.reason for v in verdicts],
        }
        self.add_columns(part, {name: pa.array(values, SCHEMA.field(name).type) for name, values in found.items()})

    def add_columns(
        self, part: str, columns: Mapping[str, pa.Array], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Put columns beside those of one part, in its row order; one of the same name is replaced.

        The part changes whole or not at all. `metadata` is written into each of these columns' fields.
        """
        table = self.read_part(part)
        for name, values in columns.items():
            field = pa.field(name, values.type, metadata=metadata)
            at = table.schema.get_field_index(name)
            table = table.append_column(field, values) if at < 0 else table.set_column(at, field, values)
        self._write_table(part.removeprefix(f"{self.folder.path}/"), table)


def hash_problems(problems: Sequence[Problem]) -> str:
    """A hash of what is asked and what counts as right; part of a run's identity."""
    digest = hashlib.blake2b(digest_size=16)
    for p in problems:
        digest.update(json.dumps([p.id, p.prompt, p.answer], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _each_once(table: pa.Table) -> pa.Table:
    """Drop later copies of a (problem, index) that overlapping writers both stored."""
    keyed = table.select(["problem_id", "sample"]).append_column("row", pa.array(np.arange(len(table))))
    first = keyed.group_by(["problem_id", "sample"], use_threads=False).aggregate([("row", "min")])["row_min"]
    return table if len(first) == len(table) else table.take(first)


def _sample(row: dict[str, Any]) -> Sample:
    return Sample(
        problem_id=row["problem_id"],
        index=row["sample"],
        text=row["text"],
        tokens=row["tokens"],
        finish=row["finish"],
        logprob=row["logprob"],
        seed=row["seed"],
        engine=row["engine"],
        verdict=Verdict(row["verdict"], row["score"], row["reason"]),
    )
