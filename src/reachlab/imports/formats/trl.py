"""TRL's completions, which GRPOTrainer logs as Parquet: a row a rollout.

``step, prompt, completion, solution, accuracy_reward, format_reward, advantage``; prompts and completions are texts or
chats, further columns are the data set's own, and a reward that was not given is null. A step's rollouts are of that
step's policy: several steps are several runs.

Source: https://github.com/huggingface/trl, `trl/trainer/grpo_trainer.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import GOLD_NAMES
from reachlab.imports.record import Record, question_of, said
from reachlab.imports.steps import Steps

ACCURACY = ("accuracy_reward", "correctness_reward", "math_reward", "correct_reward", "reward")


@dataclass(frozen=True)
class TRL(Steps, Format):
    """Rollouts of one step or more."""

    name = "trl"
    tool = "TRL, log_completions"

    def recognises(self, row: Any) -> bool:
        """A completion with an advantage or rewards."""
        if not isinstance(row, dict) or not {"prompt", "completion"} <= row.keys():
            return False
        return "advantage" in row or ("step" in row and any("reward" in name for name in row))

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A rollout."""
        gold = next((name for name in GOLD_NAMES if row.get(name) is not None), None)
        rewards = [*ACCURACY, *(n for n in row if n.endswith("_reward") and ("accura" in n or "correct" in n))]
        label = next((row[name] for name in rewards if row.get(name) is not None), None)
        yield Record(
            answers=said(row["completion"], None if label is None else [label], f"{place}: field 'completion'"),
            question=question_of(row["prompt"]),
            gold=None if gold is None else row[gold],
            # Written out it ends in a box or behind a mark; else it is the answer itself.
            worked=gold == "solution" and isinstance(row[gold], str) and "\\boxed" in row[gold],
            run=self.run_of(row),
        )
