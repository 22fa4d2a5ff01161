"""NeMo-Skills' ``output-rs*.jsonl``: a file a random seed, a row a problem, in one order.

``{"problem": "...", "expected_answer": "12", "generation": "...", "symbolic_correct": true}``, and ``"judgement": "...
Judgement: Yes"`` where a model judged. A generation that was split off its reasoning has that beside it.

Source: https://github.com/NVIDIA-NeMo/Skills, `nemo_skills/inference/generate.py`, `nemo_skills/evaluation/metrics`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.gold import one_answer
from reachlab.imports.labels import judged
from reachlab.imports.record import Record, first_of, id_of, logged

LABELS = ("symbolic_correct", "is_correct", "judge_correct")


@dataclass(frozen=True)
class NemoSkills(Format):
    """A row a sample."""

    name = "nemo-skills"
    tool = "NeMo-Skills, output-rs*.jsonl"
    row = (
        "NeMo-Skills, `output-rs*.jsonl`",
        "`generation`; a file a seed",
        "`expected_answer`",
        "`symbolic_correct`, `judge_correct`",
    )

    def recognises(self, row: Any) -> bool:
        """A generation beside what was expected."""
        return isinstance(row, dict) and {"generation", "expected_answer"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        name = first_of(row, LABELS)
        label = judged(row.get("judgement")) if name is None else row[name]
        texts = row["generation"] if isinstance(row["generation"], list) else [row["generation"]]
        labels = None if label is None else label if isinstance(label, list) else [label]
        if labels is not None and len(labels) == 1 < len(texts):
            labels = None  # what is said of all of them is no answer's label
        question_name = first_of(row, ("problem", "question"))
        gold = row["expected_answer"]
        yield Record(
            answers=logged(texts, labels, f"{place}: field 'generation'", row.get("finish_reason")),
            question=None if question_name is None else row[question_name],
            gold=one_answer(gold),
            id=id_of(row.get("id")),
        )
