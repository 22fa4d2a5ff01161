"""NeMo-Skills' ``output-rs*.jsonl``: a file a random seed, a row a problem, in one order.

``{"problem": "...", "expected_answer": "12", "generation": "...", "symbolic_correct": true}``.

Source: https://nvidia.github.io/NeMo-Skills/pipelines/generation/.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, said

LABELS = ("symbolic_correct", "is_correct", "judge_correct")


@dataclass(frozen=True)
class NemoSkills(Format):
    """A row a sample."""

    name = "nemo-skills"
    tool = "NeMo-Skills, output-rs*.jsonl"

    def recognises(self, row: Any) -> bool:
        """A generation beside what was expected."""
        return isinstance(row, dict) and {"generation", "expected_answer"} <= row.keys()

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        label = next((row[name] for name in LABELS if row.get(name) is not None), None)
        yield Record(
            answers=said([row["generation"]], None if label is None else [label], place),
            question=row.get("problem") or row.get("question"),
            gold=row["expected_answer"],
            id=None if row.get("id") is None else str(row["id"]),
        )
