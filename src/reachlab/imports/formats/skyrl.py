"""SkyRL's dumped evaluations: a row a rollout, with all special tokens of prompt and answer.

``{"input_prompt": "<|im_start|>user...", "output_response": "...<|im_end|>", "score": [0.0, 1.0], "stop_reason":
"stop", "env_extras": {"reward_spec": {"ground_truth": "12"}}}``. A score by token is the answer's as their sum.

Source: https://github.com/NovaSky-AI/SkyRL, `skyrl_train/utils/trainer_utils.py`, `dump_per_dataset_eval_results`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.paths import lookup
from reachlab.imports.record import Record, logged, present

GOLDS = ("env_extras.reward_spec.ground_truth", "env_extras.reward_model.ground_truth")
END = re.compile(r"(?:\s*(?:<\|im_end\|>|<\|eot_id\|>|<\|endoftext\|>|<\|end_of_text\|>|<end_of_turn>|</s>))+\s*\Z")
"""The token that ends an answer, which is none of its text."""


@dataclass(frozen=True)
class SkyRL(Format):
    """A row a rollout."""

    name = "skyrl"
    tool = "SkyRL, dumped evaluations"
    row = (
        "SkyRL, dumped evaluations",
        "`output_response`",
        "`reward_spec.ground_truth`",
        "`score`",
    )

    def recognises(self, row: Any) -> bool:
        """A prompt, a response and a score."""
        return isinstance(row, dict) and {"input_prompt", "output_response", "score"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A rollout."""
        text, score = row["output_response"], row["score"]
        gold = next((one_answer(value) for path in GOLDS if present(value := lookup(row, path))), None)
        question = question_in(row["input_prompt"])
        if question is None:
            raise TypeError(f"field 'input_prompt': text wanted, found {row['input_prompt']!r:.60}")
        yield Record(
            answers=logged(
                [END.sub("", text) if isinstance(text, str) else text],
                [sum(score) if isinstance(score, list) else score],
                f"{place}: field 'output_response'",
                row.get("stop_reason"),
            ),
            question=question,
            gold=gold,
            worked=is_worked(gold),
        )
