"""LiveCodeBench's outputs: all answers to a problem in a row, graded (``*_eval_all.json``) or not.

``{"question_content": "...", "question_id": "a1", "output_list": ["..."], "code_list": [...], "graded_list": [...]}``.

The other scenarios have ``pred_list`` in place of the code; execution has an `id` a problem, test output prediction a
`test_id` within a question. Each output of self repair may be a list, of which the first is the text.

Source: https://github.com/LiveCodeBench/LiveCodeBench, `lcb_runner/runner/main.py`, `lcb_runner/benchmarks`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, id_of, logged, present


@dataclass(frozen=True)
class LiveCodeBench(Format):
    """A row a problem."""

    name = "livecodebench"
    tool = "LiveCodeBench outputs"
    row = (
        "LiveCodeBench, outputs",
        "each of `output_list`, else `code_list`",
        "",
        "`graded_list`",
    )

    def recognises(self, row: Any) -> bool:
        """A question's id with lists of outputs or code."""
        return isinstance(row, dict) and "question_id" in row and ("output_list" in row or "code_list" in row)

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A problem; what the model wrote, or its code where only that was kept."""
        texts = row["output_list"] if present(row.get("output_list")) else row["code_list"]
        if not isinstance(texts, list):
            raise TypeError(f"a list of outputs wanted, found {texts!r:.60}")
        texts = [text[0] if isinstance(text, list) and text else text for text in texts]
        graded = row.get("graded_list")
        # By test, where it was not boiled down: right is what passes all.
        labels = [_all_passed(g) for g in graded] if isinstance(graded, list) else graded
        test = row.get("test_id")
        execution = "pred_list" in row and present(row.get("id"))
        identity = id_of(row["id"] if execution else row["question_id"])
        yield Record(
            answers=logged(texts, labels, f"{place}: field 'graded_list'"),
            # A question of which several tests are predicted is none of its own.
            question=None if present(test) or execution else row.get("question_content"),
            id=f"{identity}-{id_of(test)}" if present(test) else identity,
        )


def _all_passed(graded: Any) -> Any:
    if not isinstance(graded, list):
        return graded
    return bool(graded) and all(g is True or (isinstance(g, (int, float)) and g > 0) for g in graded)
