"""lighteval's details, Parquet: ``doc``, ``model_response``, ``metric``; before 0.11 flat, and printed into text.

Source: https://huggingface.co/docs/lighteval/saving-and-reading-results.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.printed import looks_printed, printed_list
from reachlab.imports.record import Record, said
from reachlab.tasks.choice_rows import choice_from


@dataclass(frozen=True)
class Lighteval(Format):
    """A row a document, all of its generations in it."""

    name = "lighteval"
    tool = "lighteval, save_details"

    def recognises(self, row: Any) -> bool:
        """A document and a response."""
        return (
            isinstance(row, dict) and isinstance(row.get("doc"), dict) and isinstance(row.get("model_response"), dict)
        )

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A document."""
        doc, response = row["doc"], row["model_response"]
        metric = next((v for v in (row.get("metric") or {}).values() if v is not None), None)
        yield _record(
            doc["query"], response.get("text"), doc.get("choices"), doc.get("gold_index"), metric, place, doc.get("id")
        )


@dataclass(frozen=True)
class LightevalOld(Format):
    """The same, flat."""

    name = "lighteval-old"
    tool = "lighteval before 0.11"

    def recognises(self, row: Any) -> bool:
        """Predictions to an example."""
        return isinstance(row, dict) and {"example", "predictions", "gold"} <= row.keys()

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A document."""
        where = f"{place}: field 'predictions'"
        gold, choices = (_listed(row.get(name), place) for name in ("gold", "choices"))
        metrics = row.get("metrics")
        metric = next((v for v in metrics.values() if v is not None), None) if isinstance(metrics, dict) else None
        if len(choices) > 1:
            yield _record(
                row["example"], _listed(row["predictions"], where), choices, row.get("gold_index"), metric, place
            )
        else:
            yield _record(row["example"], _listed(row["predictions"], where), gold, 0, metric, place)


def _record(
    question: str, texts: Any, choices: Any, gold_index: Any, metric: Any, place: str, identity: Any = None
) -> Record:
    right = gold_index[0] if isinstance(gold_index, list) and len(gold_index) == 1 else gold_index
    options = list(choices or ())
    known = isinstance(right, int) and not isinstance(right, bool) and 0 <= right < len(options)
    one = not isinstance(texts, list) or len(texts) == 1
    return Record(
        answers=said(
            texts if isinstance(texts, list) else [texts], [metric] if one and metric is not None else None, place
        ),
        question=question,
        gold=options[right] if known else None,
        worked=known and "\\boxed" in str(options[right]),
        choice=choice_from(question, options, options[right], place) if known and len(options) > 1 else None,
        # lighteval numbers documents by task: the question tells them apart across tasks.
        id=None if identity in (None, "") else str(identity),
    )


def _listed(value: Any, where: str) -> list[Any]:
    if isinstance(value, str):
        return printed_list(value, where) if looks_printed(value) else [value]
    return list(value or ())
