"""inspect_ai logs: a JSON document, the zip of an `.eval`, or its samples alone.

``{"id": 1, "epoch": 1, "input": "...", "target": "...", "choices": [...], "output": {"choices": [{"message": ...}]},
"scores": {"match": {"value": "C"}}}``. An epoch is a sample. Long texts may stand apart, under `attachments`.

Source: https://inspect.aisi.org.uk/eval-logs.html.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format, Placed, numbered
from reachlab.imports.record import Record, Said, answer_of, content_of, finish_of, is_chat, question_of
from reachlab.tasks.choice_rows import choice_from
from reachlab.tasks.rows import whole

ATTACHED = "attachment://"


@dataclass(frozen=True)
class InspectAI(Format):
    """Samples with epochs and scores."""

    name = "inspect"
    tool = "inspect_ai, .json or .eval"

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """The samples of a log."""
        if not isinstance(document, dict) or not {"eval", "status"} <= document.keys():
            return super().unfold(document, place)
        if not document.get("samples"):
            status = document["status"]
            raise ReachlabError(
                f"{place}: an inspect_ai log without samples (status {status}): its header alone, or logged with "
                "--no-log-samples; there are no answers in it"
            )
        return numbered(document["samples"], place)

    def recognises(self, row: Any) -> bool:
        """A sample of an epoch."""
        return isinstance(row, dict) and {"id", "epoch", "input", "target"} <= row.keys()

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        row = _attached(row)
        question = question_of(row["input"])
        target = row["target"]
        targets = [target] if isinstance(target, str) else target
        choice = None
        if row.get("choices") and len(targets) == 1 and question is not None:
            choice = choice_from(question, row["choices"], targets[0], place)
        yield Record(
            answers=(_said(row),),
            question=question,
            gold=targets[0] if len(targets) == 1 else targets or None,
            choice=choice,
            id=str(row["id"]),
            index=int(row["epoch"]) - 1,
        )

    def taken(self) -> str:
        """Which score."""
        return f"answers from output; labels from {self.config.label or 'the first of scores'}"


def _said(row: dict[str, Any]) -> Said:
    output = row.get("output") or {}
    choices = output.get("choices") or []
    text = content_of(choices[0]["message"].get("content")) if choices and "message" in choices[0] else None
    if text is None and isinstance(output.get("completion"), str) and (choices or output["completion"]):
        text = output["completion"]
    if text is None and not row.get("error") and is_chat(row.get("messages")):
        text = answer_of(row["messages"])
    scores = row.get("scores") or {}
    score = next(iter(scores.values()), None)
    label = score.get("value") if isinstance(score, dict) else score
    if isinstance(label, dict):
        label = next(iter(label.values()), None)
    return Said(text=text, label=label, finish=finish_of(choices[0].get("stop_reason") if choices else None))


def _attached(row: dict[str, Any]) -> dict[str, Any]:
    """A sample with the texts that stand apart put where they belong."""
    apart = row.get("attachments")
    if not apart:
        return row

    def put(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(ATTACHED):
            return apart.get(value.removeprefix(ATTACHED), value)
        if isinstance(value, list):
            return [put(item) for item in value]
        if isinstance(value, dict):
            return {key: put(item) for key, item in value.items()}
        return value

    used = ("id", "epoch", "input", "choices", "target", "output", "messages", "scores", "error")
    return {name: put(row[name]) for name in used if name in row}


def read_archive(path: str) -> Iterator[Placed]:
    """The samples of an `.eval`: by inspect_ai's own reader where it is installed, else out of the zip, one at a time.

    Raises:
        ReachlabError: no log, no samples, or packed in a way that only inspect_ai reads.
    """
    try:
        with fsspec.open(path, "rb") as raw, zipfile.ZipFile(raw) as log:
            names = sorted((n for n in log.namelist() if n.startswith("samples/") and n.endswith(".json")), key=_order)
            if not names:
                raise ReachlabError(f"{path}: a zip without samples/*.json: no inspect_ai log, or one without samples")
            for name in names:
                try:
                    yield f"{path}: {name}", whole(json.loads(log.read(name)))
                except NotImplementedError:
                    yield from _by_its_own_reader(path)
                    return
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, EOFError) as error:
        raise ReachlabError(f"{path}: a damaged .eval ({error})") from error


def _by_its_own_reader(path: str) -> Iterator[Placed]:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise ReachlabError(
            f"{path}: packed in a way that Python's zip does not know (zstd); pip install inspect_ai, or convert it: "
            "inspect log convert --to json"
        ) from error
    log = read_eval_log(path)
    for number, sample in enumerate(log.samples or (), 1):
        yield f"{path}: sample {number}", whole(sample.model_dump(mode="json"))


def _order(name: str) -> tuple[str, str]:
    """Samples of one epoch after those of another, as in the JSON form."""
    return name.rpartition("_epoch_")[2].zfill(20), name
