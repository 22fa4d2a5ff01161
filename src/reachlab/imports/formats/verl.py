"""verl's dumps of rollouts and validation: a row a rollout, a file a step.

``{"input": "user\\n...\\nassistant\\n", "output": "...", "gts": "72", "score": 1.0, "step": 1, "acc": true}``. The prompt
is what the chat template made of it, without its special tokens. Scores are 0 and 1, or -1 and 1.

Source: https://github.com/volcengine/verl, `verl/trainer/ppo/ray_trainer.py`, `_dump_generations`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, said
from reachlab.imports.steps import Steps


@dataclass(frozen=True)
class Verl(Steps, Format):
    """Rollouts of one step or more."""

    name = "verl"
    tool = "verl, rollout_data_dir and validation_data_dir"

    def recognises(self, row: Any) -> bool:
        """Input, output, score."""
        return isinstance(row, dict) and {"input", "output", "score"} <= row.keys() and ("step" in row or "gts" in row)

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A rollout."""
        label = next((row[name] for name in ("acc", "score") if row.get(name) is not None), None)
        gold = row.get("gts")
        yield Record(
            answers=said(row["output"], None if label is None else [label], f"{place}: field 'output'"),
            question=question_in(row["input"]),
            gold=gold.get("ground_truth") if isinstance(gold, dict) else gold,
            run=self.run_of(row),
        )
