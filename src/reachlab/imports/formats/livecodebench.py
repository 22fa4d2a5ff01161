"""LiveCodeBench's outputs: all answers to a problem in a row, graded (``*_eval_all.json``) or not.

``{"question_content": "...", "question_id": "abc1_a", "output_list": ["..."], "code_list": [...], "graded_list": [...]}``.

Source: https://github.com/LiveCodeBench/LiveCodeBench, `lcb_runner/runner/main.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, said


@dataclass(frozen=True)
class LiveCodeBench(Format):
    """A row a problem."""

    name = "livecodebench"
    tool = "LiveCodeBench outputs"

    def recognises(self, row: Any) -> bool:
        """A question's id with lists of outputs or code."""
        return isinstance(row, dict) and "question_id" in row and ("output_list" in row or "code_list" in row)

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A problem; what the model wrote, or its code where only that was kept."""
        texts = row.get("output_list") or row.get("code_list") or []
        yield Record(
            answers=said(texts, row.get("graded_list"), f"{place}: field 'graded_list'"),
            question=row.get("question_content"),
            id=str(row["question_id"]),
        )
