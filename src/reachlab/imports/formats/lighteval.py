"""lighteval's details, Parquet: ``doc``, ``model_response``, ``metric``; before 0.11 flat, and printed into text.

A row is a document with all of its generations. A metric is of all of them together: it is a label where there is one
generation, and one metric, or one that compares answers. A choice by log-likelihoods has no text, and is refused.

Source: https://github.com/huggingface/lighteval, `src/lighteval/logging/info_loggers.py`,
`src/lighteval/models/model_output.py`.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.printed import looks_printed, printed_list
from reachlab.imports.record import Record, id_of, logged, present
from reachlab.tasks.answers.kinds.choice import LETTERS
from reachlab.tasks.choice_rows import Choice, choice_from

COMPARED = ("extractive_match", "math_pass", "pass@", "avg@", "gpqa", "exact", "quasi_exact", "em", "qem", "acc")
"""What the names of metrics begin with that compare an answer with the right one."""


@dataclass(frozen=True)
class Lighteval(Format):
    """A row a document, all of its generations in it."""

    name = "lighteval"
    tool = "lighteval, save_details"
    row = (
        "lighteval, details",
        "each of `text`",
        "`choices` at `gold_index`",
        "the metric, where a document has one answer",
    )

    def recognises(self, row: Any) -> bool:
        """A document and a response."""
        return (
            isinstance(row, dict) and isinstance(row.get("doc"), dict) and isinstance(row.get("model_response"), dict)
        )

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A document."""
        doc, texts, metrics = row["doc"], row["model_response"]["text"], row.get("metric")
        identity = id_of(doc.get("id"))
        yield _record(doc["query"], texts, doc.get("choices"), doc.get("gold_index"), metrics, place, identity)


@dataclass(frozen=True)
class LightevalOld(Format):
    """The same, flat."""

    name = "lighteval-old"
    tool = "lighteval before 0.11"
    row = (
        "lighteval, details",
        "`predictions`",
        "`gold`",
        "the metric, where a document has one answer",
    )

    def recognises(self, row: Any) -> bool:
        """Predictions to an example."""
        return isinstance(row, dict) and {"example", "predictions", "gold"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A document."""
        texts = _listed(row["predictions"], f"{place}: field 'predictions'")
        gold, choices = (_listed(row.get(name), f"{place}: field {name!r}") for name in ("gold", "choices"))
        index: Any = row.get("gold_index")
        if len(choices) < 2:
            choices, index = gold, list(range(len(gold)))
        yield _record(row["example"], texts, choices, index, row.get("metrics"), place, None)


def _record(
    question: str, texts: Any, choices: Any, gold_index: Any, metrics: Any, place: str, identity: str | None
) -> Record:
    texts = texts if isinstance(texts, list) else [texts]
    if not texts or any(isinstance(text, (int, float, list)) for text in texts):
        raise ReachlabError(f"{place}: a choice by log-likelihoods: nothing was written that could be judged")
    indices = gold_index if isinstance(gold_index, list) else [gold_index]
    options = list(choices or ())
    right = indices[0] if len(indices) == 1 else None  # several are right: none is the only one
    choice: Choice | None = None
    gold = None
    if isinstance(right, int) and not isinstance(right, bool) and 0 <= right < len(options):
        gold = one_answer(options[right])
        # Options that are letters alone stand in the question.
        if len(options) > 1 and [str(o).strip() for o in options] != list(LETTERS[: len(options)]):
            choice = choice_from(question, options, right, place)
    label = _label(metrics) if len(texts) == 1 else None
    return Record(
        answers=logged(texts, None if label is None else [label], place),
        question=question,
        gold=gold,
        worked=is_worked(gold),
        choice=choice,
        id=identity or None,
    )


def _label(metrics: Any) -> Any:
    """The metric that compares the answer; the only one, whatever it is called."""
    if isinstance(metrics, str) and metrics.strip().startswith("{"):
        try:
            metrics = ast.literal_eval(metrics)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(metrics, Mapping):
        return None
    values = {name: value for name, value in metrics.items() if present(value) and isinstance(value, (int, float))}
    compared = [name for start in COMPARED for name in values if name.casefold().startswith(start)]
    if compared:
        return values[compared[0]]
    return next(iter(values.values())) if len(values) == 1 else None


def _listed(value: Any, where: str) -> list[Any]:
    if isinstance(value, str):
        if value.strip() in ("", "[]"):
            return []
        return list(printed_list(value, where)) if looks_printed(value) else [value]
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
