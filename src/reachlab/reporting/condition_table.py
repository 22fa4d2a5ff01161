"""What differs between the compared runs and is not the model: for the terminal, a row each under the comparison."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.pairing.conditions import HEADING, Condition
from reachlab.reporting.tables import WIDE


def print_conditions(found: Sequence[Condition], console: Console | None = None) -> None:
    """Print the conditions, each value with the runs that have it; nothing where there are none."""
    if not found:
        return
    if console is None:
        console = Console()
        if not console.is_terminal:
            console.width = max(console.width, WIDE)  # a file has no width
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(HEADING.lower(), overflow="fold")
    table.add_column("", overflow="fold")
    for condition in found:
        table.add_row(escape(condition.what), escape("\n".join(condition.words())))
    console.print(table)
