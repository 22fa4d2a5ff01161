"""open-r1's data sets: a row a problem, its generations, and a list of what a checker said of each.

``{"problem": "...", "answer": "12", "generations": ["<think>..."], "correctness_math_verify": [true, false]}``.

Source: https://huggingface.co/datasets/open-r1/OpenR1-Math-220k.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import GOLD_NAMES, QUESTION_NAMES
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import Record, first_of, id_of, logged, question_of


@dataclass(frozen=True)
class OpenR1(Format):
    """A row a problem."""

    name = "open-r1"
    tool = "open-r1, generations with correctness"
    row = ("open-r1 data sets", "each of `generations`", "`answer`", "`correctness_math_verify` ...")

    def recognises(self, row: Any) -> bool:
        """Generations and their correctness."""
        return isinstance(row, dict) and "generations" in row and any(n.startswith("correctness_") for n in row)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A problem; the first checker that said something of each generation."""
        texts = row["generations"]
        if texts is not None and not isinstance(texts, list):
            raise TypeError(f"a list of generations wanted, found {texts!r:.60}")
        texts = texts or []
        checkers = sorted(
            (n for n in row if n.startswith("correctness_")), key=lambda n: n != "correctness_math_verify"
        )
        marks = next((row[n] for n in checkers if isinstance(row[n], list) and len(row[n]) == len(texts)), None)
        gold, question_name = first_of(row, GOLD_NAMES), first_of(row, QUESTION_NAMES)
        answer = None if gold is None else one_answer(row[gold])
        if gold == "solution" and not is_worked(answer):
            answer = None
        yield Record(
            answers=logged(texts, marks, f"{place}: field 'generations'", row.get("finish_reasons")),
            question=None if question_name is None else question_of(row[question_name]),
            gold=answer,
            worked=gold == "solution",
            id=id_of(row.get("uuid")),
        )
