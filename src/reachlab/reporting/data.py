"""What a figure plots, as CSV (RFC 4180): headers, full precision, names as they are.

A spreadsheet takes a text that begins with one of ``= + - @``, a tab or a carriage return for a formula. A model may be
called so, and its name comes from others, so such a text gets an apostrophe in front; numbers stay numbers.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Data:
    """A table: `columns` head the values of every row. None is an empty field."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> str:
        """The table as text."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(self.columns)
        writer.writerows([_field(value) for value in row] for row in self.rows)
        return out.getvalue()


def _field(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()  # numpy's numbers print as Python's
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
