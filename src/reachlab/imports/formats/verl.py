"""verl's dumps of rollouts and validation: a row a rollout, a file a step.

``{"input": "user\\n...\\nassistant\\n", "output": "...", "gts": "72", "score": 1.0, "step": 1, "acc": true}``. The
prompt is what the chat template made of it, without its special tokens. `acc` and others come from the reward function;
where there is no `acc`, a score of 0 and 1, or -1 and 1, is the label, and one of another scale is none. `gts` is null,
or tests, for what is not judged by an answer, and was not written before 0.5.

Source: https://github.com/volcengine/verl, `verl/trainer/ppo/ray_trainer.py`, `_dump_generations`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from reachlab.imports.apart import LOOKED_AT, Apart
from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.labels import are_labels
from reachlab.imports.record import Record, first_of, logged

LABELS = ("acc", "is_correct", "correct")


@dataclass(frozen=True)
class Verl(Apart, Format):
    """Rollouts of one step or more."""

    name = "verl"
    tool = "verl, rollout_data_dir and validation_data_dir"
    row = (
        "verl, rollout and validation dumps",
        "`output`; a run a `step`",
        "`gts`",
        "`acc`, else `score` (0, 1, -1)",
    )
    scored: bool = True
    """Whether the score says right or wrong."""

    def recognises(self, row: Any) -> bool:
        """Input, output, score."""
        return isinstance(row, dict) and {"input", "output", "score"} <= row.keys() and ("step" in row or "gts" in row)

    def look_through(self, rows: Iterator[Placed]) -> "Verl":
        """Which steps there are, and of what scale the scores are."""
        first = list(islice(rows, LOOKED_AT))
        scores = [row.get("score") for _, row in first if isinstance(row, dict)]
        scored = are_labels(scores, self.config.threshold)
        return replace(super().look_through(chain(first, rows)), scored=scored)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A rollout."""
        label = first_of(row, (*LABELS, "score") if self.scored else LABELS)
        gold = row.get("gts")
        answer = one_answer(gold.get("ground_truth") if isinstance(gold, dict) else gold)
        yield Record(
            answers=logged([row["output"]], None if label is None else [row[label]], f"{place}: field 'output'"),
            question=_question(row["input"]),
            gold=answer,
            worked=is_worked(answer),
            run=self.run_of(row),
        )


def _question(prompt: Any) -> str:
    question = question_in(prompt)
    if question is None:
        raise TypeError(f"field 'input': text wanted, found {prompt!r:.60}")
    return question
