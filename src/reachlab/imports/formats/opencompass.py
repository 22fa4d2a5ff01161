"""OpenCompass's predictions, by number.

``{"0": {"origin_prompt": [{"role": "HUMAN", "prompt": "..."}], "prediction": "...", "gold": "12"}}``.

A prompt may begin with worked examples: the question is the last thing a human says in it.

Source: https://github.com/open-compass/opencompass, `opencompass/openicl/icl_inferencer`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format, Placed, named
from reachlab.imports.record import Record, question_of, said


@dataclass(frozen=True)
class OpenCompass(Format):
    """Predictions by number."""

    name = "opencompass"
    tool = "OpenCompass, predictions"

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """The predictions by number; what else the document holds (such as a mean) is none."""
        if not isinstance(document, dict):
            return super().unfold(document, place)
        rows = {name: row for name, row in document.items() if name.isdecimal() and isinstance(row, dict)}
        if not rows or not all(self.recognises(row) for row in rows.values()):
            return super().unfold(document, place)
        return named(rows, place, "id")

    def recognises(self, row: Any) -> bool:
        """A prediction to a prompt."""
        return isinstance(row, dict) and {"origin_prompt", "prediction"} <= row.keys()

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A prediction, or several."""
        yield Record(
            answers=said(row["prediction"], row.get("correct"), f"{place}: field 'prediction'"),
            question=question_of(row["origin_prompt"]),
            gold=row.get("gold"),
            id=None if row.get("id") is None else str(row["id"]),
        )
