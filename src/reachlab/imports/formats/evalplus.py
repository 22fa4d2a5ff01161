"""evalplus's eval_results.json: solutions by task, each with what two sets of tests said.

``{"eval": {"HumanEval/0": [{"solution": "...", "base_status": "pass", "plus_status": "fail"}]}}``.

A solution is right where it passes both sets, as evalplus itself counts. Results of before 0.2 hold no solutions. Its
samples.jsonl are rows with `task_id` and `solution`, which `fields.py` reads.

Source: https://github.com/evalplus/evalplus, `evalplus/evaluate.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.labels import as_label
from reachlab.imports.record import Record, id_of, logged


@dataclass(frozen=True)
class EvalPlus(Format):
    """A row a solution."""

    name = "evalplus"
    tool = "evalplus, eval_results.json"
    row = (
        "evalplus, eval_results.json",
        "`solution`",
        "",
        "`plus_status`, else `base_status`",
    )

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """Every solution of every task.

        Raises:
            ReachlabError: results without solutions.
        """
        tasks = document.get("eval") if isinstance(document, dict) else None
        if not isinstance(tasks, dict):
            return super().unfold(document, place)
        if tasks and all(isinstance(rows, dict) and "nfiles" in rows for rows in tasks.values()):
            raise ReachlabError(
                f"{place}: results of an evalplus before 0.2, which hold no solutions; import its samples.jsonl, or "
                "evaluate them again"
            )
        if not all(isinstance(rows, list) for rows in tasks.values()):
            return super().unfold(document, place)
        return (
            (f"{place}: {name} {number}", {"task_id": name, **row} if isinstance(row, dict) else row)
            for name, rows in tasks.items()
            for number, row in enumerate(rows)
        )

    def recognises(self, row: Any) -> bool:
        """A solution with a status."""
        return isinstance(row, dict) and {"task_id", "solution", "base_status"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A solution."""
        base, plus = row["base_status"], row.get("plus_status")
        # A status that says neither is none of the answer; one failed set of tests is enough to fail.
        label = base if plus is None or as_label(base) is False else plus
        yield Record(answers=logged([row["solution"]], [label], place), id=id_of(row["task_id"]))

    def taken(self) -> str:
        """Whose label."""
        return "labels from base_status and plus_status, where there is one: both sets of tests passed"
