"""evalplus's eval_results.json: solutions by task, each with what two sets of tests said.

``{"eval": {"HumanEval/0": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}]}}``.

The label is the harder tests' where there are any. Its samples.jsonl are rows with `task_id` and `solution`, which
`fields.py` reads.

Source: https://github.com/evalplus/evalplus, `evalplus/evaluate.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.record import Record, said


@dataclass(frozen=True)
class EvalPlus(Format):
    """A row a solution."""

    name = "evalplus"
    tool = "evalplus, eval_results.json"

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """Every solution of every task."""
        tasks = document.get("eval") if isinstance(document, dict) else None
        if not isinstance(tasks, dict) or not all(isinstance(rows, list) for rows in tasks.values()):
            return super().unfold(document, place)
        return (
            (f"{place}: {name} {number}", {"task_id": name, **row})
            for name, rows in tasks.items()
            for number, row in enumerate(rows)
        )

    def recognises(self, row: Any) -> bool:
        """A solution with a status."""
        return isinstance(row, dict) and {"task_id", "solution", "base_status"} <= row.keys()

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """A solution."""
        label = row.get("plus_status") or row["base_status"]
        yield Record(answers=said([row["solution"]], [label], place), id=str(row["task_id"]))

    def taken(self) -> str:
        """Whose label."""
        return "labels from plus_status, where there is one, else base_status"
