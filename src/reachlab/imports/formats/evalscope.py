"""evalscope's predictions, with an output as of a chat API, and its reviews, with a score.

- predictions: ``{"index": 0, "model": "m", "model_output": {"choices": [{"message": {"content": "..."}}]}, "messages":
  [...]}``
- reviews: ``{"index": 0, "target": "12", "sample_score": {"score": {"value": {"acc": 1.0}, "prediction": "..."},
  "group_id": 0}}``
- both before 1.0: ``{"index": 0, "raw_input": {...}, "choices": [{"message": {...}, "review": {"gold": "12", "result":
  true}}]}``

With `repeats` every sample has an index of its own: they are of one problem by its `group_id`, else by its question.

Source: https://github.com/modelscope/evalscope, `evalscope/api/evaluator/cache.py`, `evalscope/api/metric/scorer.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from reachlab.imports.apart import Apart
from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import QUESTION_NAMES
from reachlab.imports.formats.openai_batch import answers_in
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import LoggedAnswer, Record, first_of, id_of, is_chat, logged, present, question_of


@dataclass(frozen=True)
class EvalScope(Apart, Format):
    """A row a sample."""

    name = "evalscope"
    tool = "evalscope, predictions and reviews"
    row = (
        "evalscope, predictions and reviews",
        "`model_output`",
        "`target`",
        "the score",
    )
    apart_by = ("model", "model_spec.model_id")

    def recognises(self, row: Any) -> bool:
        """An output as of an API, or a scored sample."""
        if not isinstance(row, dict) or "index" not in row:
            return False
        old = isinstance(row.get("raw_input"), dict) and isinstance(row.get("choices"), list)
        return old or isinstance(row.get("sample_score"), dict) or isinstance(row.get("model_output"), dict)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A sample."""
        if "raw_input" in row and "choices" in row:
            yield self._old(row, place)
            return
        sample = row.get("sample_score") or {}
        score = sample.get("score") or {}
        if row.get("model_output"):
            answers = tuple(answers_in(row["model_output"], place))
        else:
            answers = logged([score["prediction"]], None, place)
        if len(answers) == 1 and score:
            answers = (replace(answers[0], label=_main_value(score)),)
        question = question_of(row["messages"]) if is_chat(row.get("messages")) else question_of(row.get("input"))
        group = sample.get("group_id")
        identity = id_of(group) if present(group) else None if question is not None else id_of(row["index"])
        gold = one_answer(row.get("target"))
        yield Record(
            answers=answers, question=question, gold=gold, worked=is_worked(gold), id=identity, run=self.run_of(row)
        )

    def _old(self, row: dict[str, Any], place: str) -> Record:
        reviews = [choice.get("review") or {} for choice in row["choices"]]
        golds = {one_answer(review.get("gold")) for review in reviews}
        texts: Iterable[LoggedAnswer] = answers_in(row, place)
        question_name = first_of(row["raw_input"], QUESTION_NAMES)
        gold = golds.pop() if len(golds) == 1 else None
        return Record(
            answers=tuple(replace(a, label=r.get("result")) for a, r in zip(texts, reviews, strict=True)),
            question=None if question_name is None else question_of(row["raw_input"][question_name]),
            gold=gold,
            worked=is_worked(gold),
            id=id_of(row["index"]),
            run=self.run_of(row),
        )


def _main_value(score: dict[str, Any]) -> Any:
    """The value that evalscope itself counts: that of the main score, else the first."""
    values = score.get("value")
    if not isinstance(values, dict):
        return values
    main = score.get("main_score_name")
    return values[main] if main in values else next(iter(values.values()), None)
