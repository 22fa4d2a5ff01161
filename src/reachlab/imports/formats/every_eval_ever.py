"""Every Eval Ever's lines of samples: a line an answer and metric, whoever ran the evaluation.

``{"evaluation_id": "...", "sample_id": "4", "input": {"raw": "...", "reference": ["5"]}, "output": {"raw": ["..."]},
"evaluation": {"score": 1.0, "is_correct": true}}``; conversations have `messages` in place of `output`. What several
metrics score stands there once for each: one metric's lines are all the answers. Models and evaluations are runs of
their own. Lines that we exported are known before (`reachlab.py`).

Source: https://github.com/evaleval/every_eval_ever, `instance_level_eval.schema.json`, 0.2 and 0.3.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.record import Record, answer_of, is_chat, logged, question_of
from reachlab.tasks.choice_rows import choice_from

NUMBERS = ("pass@1", "accuracy", "acc", "exact_match")
"""Metrics that are taken first, where there are several."""


@dataclass(frozen=True)
class EveryEvalEver(Format):
    """The lines of one metric."""

    name = "every-eval-ever"
    filters = True
    tool = "Every Eval Ever, instance-level data"
    row = (
        "Every Eval Ever, instance-level data",
        "each of `output.raw`, or what the assistant says last",
        "`input.reference`, with `choices`",
        "`evaluation.is_correct` of one metric (`--filter`)",
    )

    chosen: str = ""
    others: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    """Fields that tell runs apart: of several models, of several evaluations."""

    def recognises(self, row: Any) -> bool:
        """A record's id, an input and its evaluation."""
        if not isinstance(row, dict) or not row.keys() >= {"evaluation_id", "sample_id", "evaluation"}:
            return False
        return isinstance(row.get("input"), dict) and "raw" in row["input"]

    def look_through(self, rows: Iterator[Placed]) -> "EveryEvalEver":
        """Which models, evaluations and metrics there are.

        Raises:
            ReachlabError: --filter names a metric that is not there.
        """
        runs: dict[tuple[str, ...], None] = {}
        for _, row in rows:
            if self.recognises(row):
                names = ("model_id", "evaluation_name", "evaluation_result_id")
                runs.setdefault(tuple(str(row.get(name) or "") for name in names))
        metrics = list(dict.fromkeys(metric for _, _, metric in runs))
        if self.config.filter and self.config.filter not in metrics:
            raise ReachlabError(f"--filter {self.config.filter}: the log has {', '.join(metrics)}")
        at = [{key[i] for key in runs} for i in (0, 1)]
        several = tuple(name for name, seen in zip(("model_id", "evaluation_name"), at, strict=True) if len(seen) > 1)
        # Metrics of one evaluation score the same answers; one that is only of another evaluation is that one's own.
        twice = {metric for m, e, metric in runs if sum(key[:2] == (m, e) for key in runs) > 1}
        if not twice:
            return replace(self, several=several)
        best = next((metric for metric in (self.config.filter, *NUMBERS) if metric in twice), metrics[0])
        return replace(self, several=several, chosen=best, others=tuple(m for m in metrics if m in twice - {best}))

    def settings(self) -> dict[str, Any]:
        """Which metric's lines."""
        return {"filter": self.chosen}

    def taken(self) -> str:
        """Which metric's label."""
        if not self.others:
            return "answers from output.raw, label from evaluation.is_correct"
        return (
            f"answers from output.raw, label from {self.chosen} (also there: {', '.join(self.others)}; --filter takes "
            "another)"
        )

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """An answer, or several with one score, which is no answer's label then."""
        if row.get("evaluation_result_id") in self.others:
            return
        prompt, evaluation = row["input"], row["evaluation"]
        texts = _texts(row, place)
        scored = isinstance(evaluation, dict) and len(texts) == 1 and not row.get("error")
        question, gold = question_of(prompt["raw"]), prompt.get("reference")
        listed = gold if isinstance(gold, list) else [] if gold is None else [gold]
        choice = None
        if question is not None and isinstance(prompt.get("choices"), list) and len(listed) == 1:
            choice = _choice(question, prompt["choices"], listed[0], place)
        yield Record(
            answers=logged(texts, [evaluation.get("is_correct")] if scored else None, f"{place}: field 'output'"),
            question=question,
            gold=(listed[0] if len(listed) == 1 else listed) if listed else None,
            choice=choice,
            id=str(row["sample_id"]),
            run=" ".join(str(row.get(name) or "") for name in self.several),
        )


def _choice(question: str, choices: list[Any], right: Any, place: str) -> Any:
    """The multiple choice, where one of the options is said to be right."""
    try:
        return choice_from(question, choices, right, place)
    except ReachlabError:
        return None  # graders have other ways to say it: then it is a question with a right answer like any other


def _texts(row: dict[str, Any], place: str) -> list[Any]:
    output, messages = row.get("output"), row.get("messages")
    if isinstance(output, dict) and "raw" in output:
        raw = output["raw"]
        return (raw or [None]) if isinstance(raw, list) else [raw]
    if isinstance(messages, list) and is_chat(messages):
        return [answer_of(messages)]
    if output is None and messages is None:
        return [None]
    raise ReachlabError(f"{place}: neither output.raw nor messages with roles")
