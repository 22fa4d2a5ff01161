"""What differs and is not the model, as a table."""

import io

from rich.console import Console

from reachlab.pairing.conditions import Condition
from reachlab.reporting.condition_table import print_conditions


def printed(found: list[Condition]) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_conditions(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_line_a_value() -> None:
    text = printed([Condition(what="system text", values={"base": "[bold]", "rl": None, "other": "[bold]"})])
    assert "what differs, and is not the model" in text
    assert "system text" in text
    assert "[bold] (base, other)" in text
    assert "not known (rl)" in text


def test_nothing_where_nothing_differs() -> None:
    assert printed([]) == ""
