"""open-r1's data sets: a row a problem, its generations, and a list of what a checker said of each.

``{"problem": "...", "answer": "12", "generations": ["<think>..."], "correctness_math_verify": [true, false]}``.

Source: https://huggingface.co/datasets/open-r1/OpenR1-Math-220k.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import GOLD_NAMES, QUESTION_NAMES
from reachlab.imports.record import Record, question_of, said


@dataclass(frozen=True)
class OpenR1(Format):
    """A row a problem."""

    name = "open-r1"
    tool = "open-r1, generations with correctness"

    def recognises(self, row: Any) -> bool:
        """Generations and their correctness."""
        return isinstance(row, dict) and "generations" in row and any(n.startswith("correctness_") for n in row)

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A problem."""
        texts = row["generations"] or []
        marks = [
            v for n, v in row.items() if n.startswith("correctness_") and isinstance(v, list) and len(v) == len(texts)
        ]
        gold = next((name for name in GOLD_NAMES if row.get(name) is not None), None)
        yield Record(
            answers=said(
                texts, marks[0] if marks else None, f"{place}: field 'generations'", row.get("finish_reasons")
            ),
            question=next((question_of(row[name]) for name in QUESTION_NAMES if row.get(name)), None),
            gold=None if gold is None else row[gold],
            worked=gold == "solution",
            id=None if row.get("uuid") is None else str(row["uuid"]),
        )
