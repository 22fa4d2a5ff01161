"""A run as rows: one a sample, flat, with all that the run knows of it and of its problem.

Parts are read one after another, so what lies in memory is one of them, and a few bytes a sample by which a sample that
two parts hold is left out the second time. The order is that of the parts' names and of the rows in them, always the
same. A problem without samples is a row whose `sample` is null, at the end.

Axes. N: samples.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from reachlab.errors import ReachlabError
from reachlab.exports.kept_problems import Problems
from reachlab.runs import RunFolder
from reachlab.store.columns import LATER, SCHEMA, codes_of
from reachlab.store.judged import read_judged
from reachlab.store.samples import SampleStore

JUDGED = ("verdict", "score", "reason", "final_answer", "steps", "valid_steps")
DRAWN = ("tokens", "finish", "logprob", "seed", "engine")
PROBLEM = (
    "question", "prompt", "messages", "chat_options", "answer", "answer_kind", "metadata", "images", "image_hashes",
    "problem_index",
)  # fmt: skip
DECODING = ("temperature", "top_p", "top_k", "max_tokens")

Row = dict[str, Any]


@dataclass(frozen=True)
class RunOrigin:
    """The run that rows come from. `document` is what its run.json says, without provenance."""

    name: str
    document: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """What the run's result depends on."""
        return dict(self.document["config"])

    @property
    def id(self) -> str:
        """Two runs with the same are the same."""
        text = json.dumps([self.document["kind"], self.document["config"]], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def task(self) -> str | None:
        """What judged, as --task has it."""
        spec = self.document["config"].get("task")
        return str(spec) if spec else None

    @property
    def model(self) -> str | None:
        """The model as the user named it; None where nobody says."""
        path = self.document["facts"].get("model_path")
        return str(path) if path else None

    def fields(self) -> Row:
        """What every row says of its run."""
        decoding = self.config.get("decoding") or {}
        return {
            "run": self.name,
            "task": self.task,
            "model": self.model,
            **{name: decoding.get(name) for name in DECODING},
            "run_id": self.id,
        }


class SampleRows:
    """The rows of a run folder."""

    def __init__(self, folder: RunFolder):
        """See which samples there are.

        Raises:
            ReachlabError: not a run of samples, one that holds none yet, or one that is damaged.
        """
        run_document = folder.read_json("run.json")
        if not isinstance(run_document.get("config"), dict) or not isinstance(run_document.get("kind"), str):
            raise ReachlabError(f"{folder.file('run.json')}: not what a run says of itself (kind, config)")
        document = {
            "kind": run_document["kind"],
            "config": run_document["config"],
            "facts": dict(run_document.get("facts") or {}),
        }
        if (judged := read_judged(folder)) is not None:
            document["facts"]["judged"] = judged
        self.origin = RunOrigin(folder.name, document, run_document.get("provenance") or {})
        self.store = SampleStore(folder)
        self.problems = Problems(folder)
        self.parts = self.store.parts()
        self.others = self._others()
        """Columns that somebody has added to the parts, such as `logprob:NAME`."""
        self._kept: list[np.ndarray] = []
        self._sampled = np.zeros(len(self.problems.number), bool)
        self._look()
        if taken := sorted(self.others.keys() & {*PROBLEM, "run_config", *self.origin.fields()}):
            raise ReachlabError(
                f"{folder.url}: a column of its parts is called {taken[0]!r}, as one that is written is"
            )
        self.samples = sum(int(kept.sum()) for kept in self._kept)
        if not self.samples:
            raise ReachlabError(f"{folder.url}: holds no sample yet")

    def _others(self) -> dict[str, pa.Field]:
        own = {field.name for field in (*SCHEMA, *LATER)}
        others: dict[str, pa.Field] = {}
        for part in self.parts:
            for field in self.store.schema(part):
                if field.name not in own and others.setdefault(field.name, field).type != field.type:
                    raise ReachlabError(f"{part}: column {field.name} of type {field.type}, unlike in other parts")
        return others

    def _look(self) -> None:
        """Which rows of each part come first with their (problem, sample)."""
        keys: list[np.ndarray] = []
        for part in self.parts:
            table = self.store.read_part(part, ["problem_id", "sample"], ["problem_id"])
            codes_N, ids = codes_of(table["problem_id"])
            places = np.array([self.problems.number.get(name, -1) for name in ids.to_pylist()], np.int64)
            if (places < 0).any():
                strange = ids[int((places < 0).argmax())].as_py()
                raise ReachlabError(f"{part}: problem {strange!r} is not in the run's problems.jsonl")
            self._sampled[places] = True
            keys.append((places[codes_N] << 32) + table["sample"].to_numpy().astype(np.int64) + 2**31)
        if not keys:
            return
        all_N = np.concatenate(keys)
        kept_N = np.zeros(len(all_N), bool)
        kept_N[np.unique(all_N, return_index=True)[1]] = True
        self._kept = np.split(kept_N, np.cumsum([len(key) for key in keys])[:-1])

    def columns(self) -> list[str]:
        """The names of the rows' columns, in order."""
        return list(self._row(self.problems.fields(0), {}, self._of_run()))

    def __iter__(self) -> Iterator[Row]:
        of_run = self._of_run()
        for part, kept_N in zip(self.parts, self._kept, strict=True):
            for sample, kept in zip(self.store.read_part(part).to_pylist(), kept_N.tolist(), strict=True):
                if kept:
                    number = self.problems.number[sample["problem_id"]]
                    yield self._row(self.problems.fields(number), sample, of_run)
        for number in np.flatnonzero(~self._sampled).tolist():
            yield self._row(self.problems.fields(number), {}, of_run)

    def _of_run(self) -> Row:
        columns = {name: _metadata_row(field) for name, field in self.others.items()}
        return {
            **self.origin.fields(),
            # In one text: a table of many rows keeps it once, and nobody has to unfold it who does not want to.
            "run_config": json.dumps({**self.origin.document, "columns": columns}, sort_keys=True, ensure_ascii=False),
        }

    def _row(self, problem: Row, sample: Row, of_run: Row) -> Row:
        """The columns in the order in which people look at them."""
        pictures = ("images", "image_hashes")
        last = ("metadata", *pictures, "problem_index")
        question = {name: value for name, value in problem.items() if name not in (*last, "answer", "problem_id")}
        return {
            "problem_id": problem["problem_id"],
            "sample": sample.get("sample"),
            **question,
            "answer": problem["answer"],
            **{name: sample.get(name) for name in ("text", *JUDGED, *DRAWN, *self.others)},
            **{name: problem[name] for name in last if name in problem},
            **of_run,
        }


def _metadata_row(field: pa.Field) -> Row:
    """A column's type, and what was written into it, as JSON has it."""
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return {"type": str(field.type), "metadata": metadata}
