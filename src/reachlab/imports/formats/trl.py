"""TRL's completions, which GRPOTrainer logs as Parquet: a row a rollout.

``step, prompt, completion, solution, accuracy_reward, format_reward, advantage``; prompts and completions are texts
(as the chat template wrote them, or without its special tokens) or chats, further columns are what reward functions
log, and a reward that was not given is null. The columns of rewards are called like their functions: one that says
whether the answer is right is the label, never their sum. A step's rollouts are of that step's policy: several steps
are several runs.

Source: https://github.com/huggingface/trl, `trl/trainer/grpo_trainer.py`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.apart import Apart
from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import GOLD_NAMES
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import Record, first_of, logged, present, question_of

OF_ANSWERS = re.compile(r"accura|correct|math_verify|math_reward|solved|verif|exact|answer_reward|pass", re.IGNORECASE)
NOT_OF_ANSWERS = re.compile(r"format|length|parsed|rate|advantage|soft|xml|incorrect|wrong|penal", re.IGNORECASE)
NAMES = ("accuracy_reward", "correctness_reward", "correctness_reward_func", "math_reward", "correct_reward")


@dataclass(frozen=True)
class TRL(Apart, Format):
    """Rollouts of one step or more."""

    name = "trl"
    tool = "TRL, log_completions"
    row = (
        "TRL, `log_completions`",
        "`completion`; a run a `step`",
        "`solution`, `answer` ...",
        "`accuracy_reward` ...",
    )

    def recognises(self, row: Any) -> bool:
        """A completion with an advantage or rewards."""
        if not isinstance(row, dict) or not {"prompt", "completion"} <= row.keys():
            return False
        return "advantage" in row or ("step" in row and any("reward" in name for name in row))

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A rollout."""
        gold = first_of(row, GOLD_NAMES)
        answer = None if gold is None else one_answer(row[gold])
        prompt, completion = row["prompt"], row["completion"]
        if isinstance(completion, list) and len(completion) == 1:
            completion = completion[0]
        label = first_of(row, _rewards(row))
        yield Record(
            answers=logged([completion], None if label is None else [row[label]], f"{place}: field 'completion'"),
            question=question_in(prompt) if isinstance(prompt, str) else question_of(prompt),
            gold=answer,
            # Written out it ends in a box or behind a mark; else it is the answer itself.
            worked=gold == "solution" and is_worked(answer),
            run=self.run_of(row),
        )


def _rewards(row: dict[str, Any]) -> list[str]:
    """The columns that say whether an answer is right, the surest first."""
    named = [
        name
        for name, value in row.items()
        if OF_ANSWERS.search(name) and not NOT_OF_ANSWERS.search(name) and name not in GOLD_NAMES
        if present(value) and isinstance(value, (int, float))
    ]
    return [*NAMES, *named]
