"""What a notebook shows of a result: a sentence and a table, every word of a user's or a model's escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

MOST = 60
"""Rows that a table shows; `to_frame` has all."""
LONGEST = 300
"""Characters of a cell."""


def paragraphs(lines: Iterable[str]) -> str:
    """Sentences, one below the other."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table, headed by the first one's keys; what stands behind the first `MOST` is counted."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows[:MOST])
    more = f"<p>… {len(rows) - MOST:,} more rows; to_frame() has them</p>" if len(rows) > MOST else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def facts(found: Mapping[str, Any]) -> str:
    """Names and values, one a row."""
    rows = "".join(f"<tr><th>{escape(name)}</th>{_cell(value)}</tr>" for name, value in found.items())
    return f"<table><tbody>{rows}</tbody></table>"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return f"<td>{'<br>'.join(map(escape, text.splitlines()))}</td>"
