"""The plan of a comparison for a terminal: what can be seen now, and the problems that a smaller difference takes."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.boundary.power import Power, PowerAt

ROUGH = 30
"""Fewer problems than this are a plan that the normal approximation does not hold for."""


def print_power(power: Power, console: Console | None = None) -> None:
    """Print both tables, and what the numbers stand on where that needs saying."""
    console = console or Console()
    console.print(
        f"{escape(power.other)} against {escape(power.base)}: {power.problems:,} problems of both, "
        f"{power.samples:,} sample{'s' * (power.samples != 1)} or more of each; a difference counts as found where the "
        f"{100 * power.level:g}% band over every k excludes 0 ({power.critical:.2f} standard errors), as for a verdict,"
        f" and is found with chance {power.power:.0%}",
        highlight=False,
    )
    now = _table("k", "difference now", "found now from", "spread over problems", "spread of sampling")
    for at in power.ks:
        now.add_row(
            f"{at.k:,}{_mark(at)}",
            f"{100 * at.difference + 0.0:+.1f} points".replace("-", "−"),
            f"{100 * at.detectable:.1f} points",
            _spread(at.between),
            _spread(at.within),
        )
    console.print(now)
    console.print("problems it takes to find a difference of", highlight=False)
    plan = _table("k", "samples of each", *(f"{x:g} point{'s' * (x != 1)}" for x in power.points))
    for at in power.ks:
        for needed in at.needed:
            samples = "however many" if needed.samples is None else f"{needed.samples:,}"
            plan.add_row(f"{at.k:,}{_mark(at)}", samples, *(f"{n:,}" for n in needed.problems))
        plan.add_section()
    console.print(plan)
    if any(at.fitted for at in power.ks):
        console.print(
            "* spread of sampling: from a fitted distribution, as 2k is more than the samples", highlight=False
        )
    if power.samples == 1:
        console.print("with 2 samples or more of each there is a plan for other numbers of samples", highlight=False)
    if any(at.between == 0 for at in power.ks):
        console.print(
            "± 0.0 over problems: too little to be told from sampling; with more samples of each it may take more "
            "problems than the table says",
            highlight=False,
        )
    if any(n < ROUGH for at in power.ks for needed in at.needed for n in needed.problems):
        console.print(f"below {ROUGH} problems the normal approximation is rough: take more", highlight=False)


def _spread(deviation: float | None) -> str:
    return "–" if deviation is None else f"± {100 * deviation:.1f}"


def _mark(at: PowerAt) -> str:
    return "*" if at.fitted else ""


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (first, *others):
        table.add_column(name, justify="right")
    return table
