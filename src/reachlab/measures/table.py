"""A table as the page shows it: a caption, columns, and rows that each have a name."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Table:
    """One table. Without `columns` every row has a single value, which holds for all.

    `first` heads the rows' names; `note` says what the numbers mean, where the measure's own sentence does not; a
    `folded` one is long, and opened where it is wanted.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    first: str = "model"
    note: str = ""
    folded: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the rows as lists, each with its name first."""
        return {"columns": list(self.columns), "rows": [[name, *cells] for name, cells in self.rows]}


def merged(tables: Iterable[Table]) -> list[Table]:
    """Those of one caption as one table, with the rows of all, in order of first appearance."""
    found: dict[str, Table] = {}
    for table in tables:
        before = found.setdefault(table.caption, replace(table, rows=()))
        found[table.caption] = replace(before, rows=(*before.rows, *table.rows))
    return list(found.values())


def cut(text: str, longest: int = 4_000) -> str:
    """Text of bounded length that says how much is missing at its end."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest:,} more characters)"


def percent(share: float) -> str:
    """A share in percent with three digits, small ones too."""
    return f"{100 * share:.3g}%"
