"""Logs of Tree of Thoughts, of Game of 24 and others.

``{"idx": 900, "ys": ["..."], "accs": [true]}``, or ``"infos": [{"r": 1}]`` in place of `accs`.

Source: https://github.com/princeton-nlp/tree-of-thought-llm, `run.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, id_of, logged


@dataclass(frozen=True)
class TreeOfThought(Format):
    """A row a problem."""

    name = "tree-of-thought"
    tool = "Tree of Thoughts logs"
    row = (
        "Tree of Thoughts",
        "each of `ys`",
        "",
        "`accs`, or `r` of `infos`",
    )

    def recognises(self, row: Any) -> bool:
        """Answers and their verdicts by number."""
        return isinstance(row, dict) and {"idx", "ys"} <= row.keys() and ("infos" in row or "accs" in row)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A problem."""
        labels = row["accs"] if "accs" in row else [info.get("r") for info in row["infos"]]
        yield Record(answers=logged(row["ys"], labels, place), id=id_of(row["idx"]))
