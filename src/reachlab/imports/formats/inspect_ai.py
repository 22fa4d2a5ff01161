"""inspect_ai logs: a JSON document, the zip of an `.eval` (`inspect_archive.py`), or its samples alone.

``{"id": 1, "epoch": 1, "input": "...", "target": "...", "choices": [...], "output": {"choices": [{"message": ...}]},
"scores": {"match": {"value": "C"}}}``. An epoch is a sample. Long texts may stand apart, under `attachments`.

Of several targets each is right, and none is the only one. Of several scores the first that says right or wrong is the
label: C, I, N (no answer), or a number; P, a part of the credit, is neither. Logs of several models are several runs.

Source: https://inspect.aisi.org.uk/eval-logs.html.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.apart import LOOKED_AT, Apart
from reachlab.imports.formats.base import Format, Placed, numbered
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.labels import are_labels
from reachlab.imports.record import (
    LoggedAnswer,
    Record,
    answer_of,
    finish_of,
    id_of,
    is_chat,
    message_text,
    question_of,
)
from reachlab.tasks.choice_rows import choice_from

ATTACHED = "attachment://"
MODEL = "model_of_the_log"
"""Under which a sample is given the model that stands in its log's head."""
WITHIN = ("correct", "is_correct", "accuracy", "acc", "score", "passed", "value")
"""Of a score with several values the ones that say right or wrong."""


@dataclass(frozen=True)
class InspectAI(Apart, Format):
    """Samples with epochs and scores."""

    archives = True
    name = "inspect"
    tool = "inspect_ai, .json or .eval"
    row = (
        "inspect_ai, `.json`, `.eval` or its samples",
        "`output`; an epoch is a sample",
        "`target`, with `choices`",
        "the first of `scores`; C, I",
    )
    apart_by = (MODEL,)
    score: str = ""
    """The score that is the label."""

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """The samples of a log."""
        if not isinstance(document, dict) or not {"eval", "status"} <= document.keys():
            return super().unfold(document, place)
        samples = document.get("samples")
        if not samples or not isinstance(samples, list):
            status = document["status"]
            raise ReachlabError(
                f"{place}: an inspect_ai log without samples (status {status}): its header alone, or logged with "
                "--no-log-samples; there are no answers in it"
            )
        head = document["eval"]
        return numbered(of_model(samples, head), place)

    def recognises(self, row: Any) -> bool:
        """A sample of an epoch."""
        return isinstance(row, dict) and {"id", "epoch", "input", "target"} <= row.keys()

    def look_through(self, rows: Iterator[Placed]) -> "InspectAI":
        """Which models there are, and which score says right or wrong."""
        first = list(islice(rows, LOOKED_AT))
        scores = [_scores(row) for _, row in first if isinstance(row, dict)]
        names = list(dict.fromkeys(name for scorer in scores for name in scorer))
        telling = [n for n in names if are_labels((scorer.get(n) for scorer in scores), self.config.threshold)]
        chosen = (telling or names or [""])[0]
        return replace(super().look_through(chain(first, rows)), score=chosen)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        run = self.run_of(row)
        row = _attached(row)
        question = question_of(row["input"])
        gold = one_answer(row["target"])
        choice = None
        if row.get("choices") and gold is not None and question is not None:
            choice = choice_from(question, row["choices"], gold, place)
        yield Record(
            answers=(self._answer(row),),
            question=question,
            gold=gold,
            worked=is_worked(gold),
            choice=choice,
            id=id_of(row["id"]),
            index=int(row["epoch"]) - 1,
            run=run,
        )

    def taken(self) -> str:
        """Which score."""
        label = self.config.label or (f"score {self.score}" if self.score else "no score")
        return "; ".join(filter(None, (f"answers from output, labels from {label}", super().taken())))

    def _answer(self, row: dict[str, Any]) -> LoggedAnswer:
        output = row.get("output") or {}
        choices = output.get("choices") or []
        text = message_text(choices[0]["message"]) if choices and "message" in choices[0] else None
        if text is None and isinstance(output.get("completion"), str) and (choices or output["completion"]):
            text = output["completion"]
        if text is None and not row.get("error") and is_chat(row.get("messages")):
            text = answer_of(row["messages"])
        ended = finish_of(choices[0].get("stop_reason") if choices else None)
        return LoggedAnswer(text=text, label=_scores(row).get(self.score), finish=ended)


def of_model(samples: Iterable[Any], head: Any) -> Iterator[Any]:
    """Samples with the model that is said in their log's head."""
    model = head.get("model") if isinstance(head, dict) else None
    return ({**sample, MODEL: model} if isinstance(sample, dict) else sample for sample in samples)


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    """All that could be a label, by the name of its score, and of its value where a score has several."""
    values: dict[str, Any] = {}
    scores = row.get("scores")
    for name, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("value") if isinstance(score, dict) else score
        if isinstance(value, dict):
            within = [n for n in WITHIN if n in value] or (list(value) if len(value) == 1 else [])
            values |= {f"{name}.{n}": value[n] for n in within}
        elif isinstance(value, list):
            values |= {name: value[0]} if len(value) == 1 else {}
        else:
            values[name] = value
    return values


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
