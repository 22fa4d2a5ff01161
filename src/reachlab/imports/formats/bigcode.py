"""bigcode-evaluation-harness's generations.json: ``[["answer", "answer"], ["answer"]]``, a list a problem.

Nothing in it says what was asked: the n-th list answers the n-th problem of `--task`.

Source: https://github.com/bigcode-project/bigcode-evaluation-harness.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.record import Record, logged


@dataclass(frozen=True)
class BigCode(Format):
    """A list of texts a problem."""

    name = "bigcode"
    tool = "bigcode-evaluation-harness, generations.json"
    row = (
        "bigcode-evaluation-harness",
        "each list; the n-th answers the n-th problem of `--task`",
        "",
        "",
    )
    positional = True

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """A list a problem, with its number."""
        if not isinstance(document, list) or not document or not all(_texts(row) for row in document):
            return None
        return ((f"{place}: row {n}", {"number": n, "generations": row}) for n, row in enumerate(document))

    def recognises(self, row: Any) -> bool:
        """A number and its generations, and nothing else."""
        return isinstance(row, dict) and row.keys() == {"number", "generations"} and _texts(row["generations"])

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A problem."""
        yield Record(answers=logged(row["generations"], None, place), id=str(row["number"]))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(text is None or isinstance(text, str) for text in value)
