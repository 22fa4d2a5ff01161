"""What commands print: JSON, a table, a remark."""

import json
import sys
import textwrap
from typing import Any

from reachlab.cli.meanings import SAID


def print_json(found: Any) -> None:
    """Plain lists, strings and numbers as JSON; anything else as its text."""
    print(json.dumps(found, indent=2, ensure_ascii=False, default=str))


def plain(value: Any) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def remark(said: str) -> None:
    """A remark for the user, beside what the command prints."""
    print(f"note: {said}", file=sys.stderr, flush=True)


def print_meaning(of: str, **words: Any) -> None:
    """What the numbers above mean (`meanings.py`), a shade lighter."""
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(SAID[of].format(**words), style="dim"))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows as a table, headed by the first one's keys."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        # As Text: a prompt may hold what rich would take for markup. --json has what is cut here.
        table.add_row(*(Text(textwrap.shorten(str(value), 400, placeholder=" ...")) for value in row.values()))
    Console().print(table)
