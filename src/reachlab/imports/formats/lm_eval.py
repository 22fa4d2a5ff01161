"""lm-evaluation-harness, `--log_samples`: a row a document and filter.

``{"doc_id": 0, "doc": {...}, "target": "...", "resps": [["...", "..."]], "filter": "strict-match", "exact_match": 1.0}``;
`resps` has one list a request, with `repeats: k` of k answers. Every filter logs every document again with the same
answers: one filter's rows are all the samples, the others only score them otherwise.

Source: https://github.com/EleutherAI/lm-evaluation-harness, `lm_eval/evaluator.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.fields import QUESTION_NAMES
from reachlab.imports.record import Record, question_of, said

LENIENT = "flexible-extract"
"""Of several filters the one whose label is nearest to what a reader would say."""
BEST_METRICS = ("math_verify", "pass@1", "pass_at_1")
"""Metrics that judge the whole answer come before those that compare its text."""


@dataclass(frozen=True)
class LmEval(Format):
    """The rows of one filter."""

    name = "lm-eval"
    tool = "lm-evaluation-harness --log_samples"

    chosen: str | None = None
    others: tuple[str, ...] = ()

    def recognises(self, row: Any) -> bool:
        """A document with its responses."""
        return isinstance(row, dict) and isinstance(row.get("doc"), dict) and "doc_id" in row and "resps" in row

    def look_through(self, rows: Iterator[Placed]) -> "LmEval":
        """Which filters there are."""
        found = list(dict.fromkeys(str(row.get("filter")) for _, row in rows if isinstance(row, dict)))
        wanted = self.config.filter or (LENIENT if LENIENT in found else found[0])
        if wanted not in found:
            raise ReachlabError(f"--filter {wanted}: the log has {', '.join(found)}")
        return replace(self, chosen=wanted, others=tuple(name for name in found if name != wanted))

    def settings(self) -> dict[str, Any]:
        """Which filter's rows."""
        return {"filter": self.chosen}

    def taken(self) -> str:
        """Which filter's label."""
        if not self.others:
            return "answers from resps"
        return (
            f"answers from resps; filter {self.chosen} (also there: {', '.join(self.others)}; --filter takes another)"
        )

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A document, where its filter is the chosen one."""
        if self.chosen is not None and str(row.get("filter")) != self.chosen:
            return
        doc = row["doc"]
        texts = _responses(row["resps"], place)
        code = "entry_point" in doc or "test_list" in doc
        asked = next((question_of(doc[name]) for name in QUESTION_NAMES if doc.get(name)), None)
        if asked is None:
            asked = question_of(_prompt(row.get("arguments")))
        metrics = [name for name in (*BEST_METRICS, *(row.get("metrics") or ())) if row.get(name) is not None]
        scores = row[metrics[0]] if metrics else None
        if not (isinstance(scores, list) and len(scores) == len(texts)) and len(texts) > 1:
            scores = None  # one number of all repeats is no answer's label
        yield Record(
            answers=said(texts, scores, f"{place}: field 'resps'"),
            question=asked,
            gold=None if code else row.get("target"),
            id=str(doc["task_id"] if code and "task_id" in doc else row["doc_id"]),
        )


def _prompt(arguments: Any) -> Any:
    """The prompt of the first request: by name since 0.4.3, before that a list of pairs."""
    first = next(iter(arguments.values() if isinstance(arguments, dict) else arguments or ()), None)
    if isinstance(first, dict):
        return first.get("arg_0")
    return first[0] if isinstance(first, list) and first else None


def _responses(value: Any, place: str) -> list[Any]:
    """All answers, whatever request they belong to."""
    flat = [item for request in value for item in (request if isinstance(request, list) else [request])]
    if any(isinstance(item, (list, bool, float, int)) for item in flat):
        raise ReachlabError(f"{place}: a choice by log-likelihoods: nothing was written that could be judged")
    return flat
