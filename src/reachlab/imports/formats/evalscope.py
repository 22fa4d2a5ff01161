"""evalscope's predictions, with an output as of a chat API, and its reviews, with a score.

``{"index": 0, "model_output": {"choices": [{"message": {"content": "..."}}]}, "messages": [...]}``; reviews have ``target`` and ``{"sample_score": {"score": {"value": {"acc": 1.0}}}}``.

Source: https://evalscope.readthedocs.io.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.formats.openai_batch import said_in
from reachlab.imports.paths import lookup
from reachlab.imports.record import Record, Said, question_of, said


@dataclass(frozen=True)
class EvalScope(Format):
    """A row a sample."""

    name = "evalscope"
    tool = "evalscope, predictions and reviews"

    def recognises(self, row: Any) -> bool:
        """An output as of an API, or a scored sample."""
        if not isinstance(row, dict) or "index" not in row:
            return False
        return isinstance(row.get("model_output"), dict) or isinstance(row.get("sample_score"), dict)

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        scored = lookup(row, "sample_score.score") or {}
        values = scored.get("value") or {}
        label = next(iter(values.values()), None) if isinstance(values, dict) else values
        answers: tuple[Said, ...]
        if row.get("model_output"):
            answers = tuple(said_in(row["model_output"], place))
        else:
            answers = said([scored.get("prediction")], None, place)
        if label is not None and len(answers) == 1:
            answers = (Said(text=answers[0].text, label=label, finish=answers[0].finish),)
        yield Record(
            answers=answers,
            question=question_of(row.get("messages")) or question_of(row.get("input")),
            gold=row.get("target"),
            id=str(row["index"]),
        )
