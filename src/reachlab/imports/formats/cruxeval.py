"""CRUXEval's scored outputs: answers by problem, and what their execution said.

``{"raw_generations": {"sample_0": ["..."]}, "raw_scored_generations": {"sample_0": [true]}}``.

Source: https://github.com/facebookresearch/cruxeval, `evaluation/evaluate_generations.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.record import Record, id_of, logged


@dataclass(frozen=True)
class CruxEval(Format):
    """Answers by problem, and what their execution said."""

    name = "cruxeval"
    tool = "CRUXEval, scored outputs"
    row = (
        "CRUXEval, scored outputs",
        "each of `raw_generations`",
        "",
        "`raw_scored_generations`",
    )

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """A problem a row."""
        texts = document.get("raw_generations") if isinstance(document, dict) else None
        if not isinstance(texts, dict):
            return super().unfold(document, place)
        rows = document.get("raw_scored_generations")
        scores = rows if isinstance(rows, dict) else {}
        return (
            (f"{place}: {name}", {"sample": name, "raw_generations": row, "raw_scored_generations": scores.get(name)})
            for name, row in texts.items()
        )

    def recognises(self, row: Any) -> bool:
        """Raw generations of a sample."""
        return isinstance(row, dict) and {"sample", "raw_generations"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A problem."""
        labels = row.get("raw_scored_generations")
        yield Record(answers=logged(row["raw_generations"], labels, place), id=id_of(row["sample"]))
