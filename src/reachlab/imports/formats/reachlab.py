"""Our own exports (`reachlab export`): JSON lines, Parquet, or the lines of Every Eval Ever that we wrote.

A row says all of its sample and problem, so nothing is judged and nothing guessed: what comes in is the run that was
exported, in any order of its rows. Every row names its run, and rows of two runs do not mix.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, get_args

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.fields import number_of
from reachlab.imports.record import LoggedAnswer, Record
from reachlab.pictures.reference import fingerprint
from reachlab.types import NOT_ANSWERED, Chat, Finish, Problem, Sample, StepCheck, Text, Verdict

MARKS = {"run_id", "run_config", "problem_id", "sample", "verdict"}
"""What every row has."""
NAMED = ("text", "question", "answer", "id", "index", "label", "task", "threshold", "filter")
"""Settings that say how to read a log, of which nothing is left open here."""
IMPORTS_OWN = ("files", "format", "exported", "named", "fields", "filter", "threshold")
"""What a run that was imported before says of that; now it comes from another file."""
fingerprint_of = lru_cache(1024)(fingerprint)


@dataclass(frozen=True)
class Reachlab(Format):
    """A row a sample, or a problem that has none."""

    name = "reachlab"
    tool = "reachlab export"
    row = (
        "`reachlab export`",
        "a row, as it was",
        "as it was",
        "nothing is judged ([below](#export))",
    )

    run_id: str = ""
    document: Mapping[str, Any] | None = None
    """What the exported run's run.json says; None before any row was looked at."""

    def recognises(self, row: Any) -> bool:
        """Its run, and all that every row has."""
        row = opened(row)
        return isinstance(row, dict) and row.keys() >= MARKS

    def look_through(self, rows: Iterator[Placed]) -> "Reachlab":
        """What the first row says of the run.

        Raises:
            ReachlabError: nothing that can be understood; or settings that would make another run of it.
        """
        named = [f"--{name}" for name in NAMED if getattr(self.config, name)]
        if named:
            raise ReachlabError(
                f"{named[0]}: an export comes in as the run that it was; to read its rows as any others add --format "
                "fields, to judge them anew `reachlab verify` the run"
            )
        first = next(((place, opened(row)) for place, row in rows if self.recognises(row)), None)
        if first is None:
            raise ReachlabError(f"{self.config.file[0]}: no row in it is one of `reachlab export`")
        place, row = first
        try:
            document = json.loads(row["run_config"])
            if not isinstance(document["config"], dict) or not isinstance(document["columns"], dict):
                raise TypeError("config and columns are objects")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ReachlabError(f"{place}: field 'run_config': not what an export says of its run ({error})") from error
        return replace(self, run_id=str(row["run_id"]), document=document)

    def settings(self) -> dict[str, Any]:
        """What the exported run depended on: how it was asked and drawn, and by which model."""
        config = (self.document or {}).get("config", {})
        return {"exported": self.run_id, **{k: v for k, v in config.items() if k not in IMPORTS_OWN}}

    def taken(self) -> str:
        """That it is all as it was."""
        return "verdicts and all else as exported"

    def exported(self) -> Mapping[str, Any] | None:
        """The exported run's kind, configuration, facts and further columns."""
        return self.document

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """The sample and its problem."""
        row = opened(row)
        if row["run_id"] != self.run_id:
            raise ReachlabError(f"{place}: a sample of another run than those before it; import each export by itself")
        try:
            problem = _problem(row)
            sample = None if row["sample"] is None else _sample(row, number_of(row["sample"], "sample"))
        except ReachlabError as error:
            raise ReachlabError(f"{place}: {error}") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            what = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise ReachlabError(f"{place}: not as it was exported: {what}") from error
        further = (self.document or {}).get("columns", {})
        logged_answers = []
        if sample is not None:
            text = None if sample.verdict == Verdict.unscored(NOT_ANSWERED) else sample.text
            logged_answers = [LoggedAnswer(text=text, sample=sample, further={name: row.get(name) for name in further})]
        yield Record(
            answers=tuple(logged_answers),
            id=problem.id,
            index=sample.index if sample else None,
            problem=problem,
            position=_whole(row, "problem_index"),
        )


def opened(row: Any) -> Any:
    """A row as it was exported: a line of Every Eval Ever that we wrote has it inside."""
    inner = row.get("metadata") if isinstance(row, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("reachlab"), str) or "output" not in row:
        return row
    try:
        return {**json.loads(inner["reachlab"]), "text": row["output"]["raw"][0]}
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return row


def _problem(row: Mapping[str, Any]) -> Problem:
    answer, metadata = row["answer"], row["metadata"]
    if row.get("answer_kind") == "json":
        answer = json.loads(answer)
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    if not isinstance(metadata, dict):
        raise TypeError("metadata is no object")
    images = tuple(row.get("images") or ())
    for reference, was in zip(images, row.get("image_hashes") or (), strict=False):
        if fingerprint_of(reference) != was:
            raise ReachlabError(f"picture {reference!r:.80} is not what it was")
    return Problem(id=_text(row, "problem_id"), prompt=_prompt(row), answer=answer, images=images, metadata=metadata)


def _prompt(row: Mapping[str, Any]) -> Text:
    messages, options = row.get("messages"), row.get("chat_options") or {}
    if messages is None:
        return _text(row, "prompt")
    if isinstance(options, str):
        options = json.loads(options)
    # Parquet gives every message every field.
    return Chat(tuple({name: value for name, value in m.items() if value is not None} for m in messages), options)


def _sample(row: Mapping[str, Any], index: int) -> Sample:
    status, finish, seed = row["verdict"], row["finish"], row["seed"]
    if status not in ("correct", "wrong", "unscored") or finish not in get_args(Finish):
        raise TypeError(f"verdict {status!r:.40}, finish {finish!r:.40}")
    steps = row["steps"]
    final, logprob = row["final_answer"], row["logprob"]
    return Sample(
        problem_id=_text(row, "problem_id"),
        index=index,
        text=_text(row, "text"),
        tokens=_whole(row, "tokens"),
        finish=finish,
        logprob=None if logprob is None else float(logprob),
        seed=None if seed is None else _whole(row, "seed"),
        engine=_text(row, "engine"),
        verdict=Verdict(status, float(row["score"]), _text(row, "reason")),
        steps=None if steps is None else StepCheck(_whole(row, "valid_steps"), _whole(row, "steps")),
        final_answer=None if final is None else _text(row, "final_answer"),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(row[name], str):
        raise TypeError(f"field {name!r}: text wanted, found {row[name]!r:.60}")
    return str(row[name])


def _whole(row: Mapping[str, Any], name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise TypeError(f"field {name!r}: a whole number wanted, found {value!r:.60}")
    return value
