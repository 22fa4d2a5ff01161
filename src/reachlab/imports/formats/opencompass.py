"""OpenCompass's predictions by number, and the details of its results.

``{"0": {"origin_prompt": [{"role": "HUMAN", "prompt": "..."}], "prediction": "...", "gold": "12"}}``, or a row each in
the JSON lines of a run that goes on; ``{"accuracy": 50.0, "details": {"0": {"prompt": ..., "origin_prediction": "...",
"predictions": "12", "references": "12", "correct": true}}}``, of which `predictions` are what was extracted.

A prompt may begin with worked examples: the question is the last thing a human says in it. A choice by perplexity, and
a conversation of several rounds, whose every answer is to another question, are refused. A `gold` can be anything its
data set has: programs' names and tests, aliases; then it is none.

Source: https://github.com/open-compass/opencompass, `opencompass/openicl/icl_inferencer/icl_base_inferencer.py`,
`opencompass/tasks/openicl_eval.py`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format, Placed, named
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import Record, id_of, is_chat, logged, present, question_of

TASK_NAME = re.compile(r"(?:HumanEval|MBPP|Mbpp|BigCodeBench)/\d+")
"""What programs have for a gold answer: which tests to run."""


@dataclass(frozen=True)
class OpenCompass(Format):
    """Predictions by number."""

    name = "opencompass"
    tool = "OpenCompass, predictions or results with details"
    row = (
        "OpenCompass, predictions",
        "`prediction`",
        "`gold`",
        "`correct`",
    )

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """The predictions by number; what else the document holds (such as a mean) is none."""
        if isinstance(document, dict) and isinstance(document.get("details"), dict):
            document, place = document["details"], f"{place}: details"
        if not isinstance(document, dict):
            return super().unfold(document, place)
        rows = {name: row for name, row in document.items() if name.isdecimal() and isinstance(row, dict)}
        if not rows or not all(self.recognises(row) for row in rows.values()):
            return super().unfold(document, place)
        return named(rows, place, "id")

    def recognises(self, row: Any) -> bool:
        """A prediction to a prompt."""
        if not isinstance(row, dict):
            return False
        if "origin_prompt" in row and ("prediction" in row or any(name.startswith("label: ") for name in row)):
            return True
        return {"prompt", "origin_prediction"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A prediction, or several."""
        detailed = "origin_prediction" in row
        prompt = row["prompt" if detailed else "origin_prompt"]
        texts = row.get("origin_prediction" if detailed else "prediction")
        if isinstance(texts, dict) or any(name.startswith("label: ") for name in row):
            raise ReachlabError(f"{place}: a choice by perplexity: nothing was written that could be judged")
        if isinstance(prompt, list) and any(is_chat(part) for part in prompt):
            raise ReachlabError(f"{place}: a conversation of several rounds: each answer is to another question")
        gold = row.get("references" if detailed else "gold")
        answer = None if isinstance(gold, str) and TASK_NAME.fullmatch(gold.strip()) else one_answer(gold)
        label = row.get("correct")
        label = label[0] if isinstance(label, list) and len(label) == 1 else label
        one = not isinstance(texts, list) or len(texts) == 1
        identity = next((row[name] for name in ("id", "idx") if present(row.get(name))), None)
        yield Record(
            answers=logged(texts, [label] if one and present(label) else None, f"{place}: field 'prediction'"),
            question=question_in(prompt) if isinstance(prompt, str) else question_of(prompt),
            gold=answer,
            worked=is_worked(answer),
            id=id_of(identity),
        )
