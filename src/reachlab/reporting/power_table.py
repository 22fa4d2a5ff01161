"""The plan of a comparison: for a terminal in tables, and for a short one in a sentence under its verdicts."""

from collections.abc import Iterator, Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.boundary.comparison import Findings
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.power import Power, PowerAt, power_analysis

ROUGH = 30
"""Fewer problems than this are a plan that the normal approximation does not hold for."""
POINTS = 5.0
"""A comparison that cannot find a difference of so many points is said to be short."""
WIDE = 3.2
"""Standard errors that a plan takes, about: where so many are below `POINTS`, none is made: it takes its time."""


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


def shortness(comparison: Findings, outcomes: Mapping[str, Outcomes]) -> Iterator[str]:
    """Where problems are too few to find a difference of `POINTS` in pass@k at the smallest k: how many it takes.

    Said of the pair whose differences vary most, on the outcomes of the compared problems. Nothing is said where a plan
    would be of something else: of clusters, recipes of several runs, samples drawn adaptively.
    """
    k, total = int(comparison.ks[0]), len(comparison.problem_ids)
    one = {model.name for model in comparison.models if len(model.runs) == 1 and outcomes[model.name].stopping is None}
    pairs = [pair for pair in comparison.pairs if {pair.name, pair.base} <= one]
    if comparison.clusters is not None or comparison.over != "problems" or total < 2 or not pairs:
        return
    spread = {p.name: _differences(outcomes[p.base], outcomes[p.name], k) for p in pairs}
    pair = max(pairs, key=lambda p: spread[p.name])
    if 100 * WIDE * spread[pair.name] <= POINTS * np.sqrt(total):
        return
    base, other = outcomes[pair.base], outcomes[pair.name]
    n = min(base.largest_k, other.largest_k)
    plan = power_analysis(base, other, (k,), (POINTS,), (n,), comparison.level)
    needed = plan.ks[0].needed[0].problems[0]
    if needed <= total:
        return
    each = f"{pair.name} against {pair.base}, {n:,} sample{'s' * (n != 1)} of each"
    yield (
        f"{total:,} problems: you need about {_about(needed):,} to find a difference of {POINTS:g} points in pass@{k}, "
        f"{plan.power:.0%} of the time ({each}); with these you find one of {100 * plan.ks[0].detectable:.0f} points"
    )


def _differences(base: Outcomes, other: Outcomes, k: int) -> float:
    """The standard deviation of one problem's difference."""
    one_P, two_P = (found.pass_at_k([k])[:, 0] for found in (base, other))
    return float((two_P - one_P).std(ddof=1))


def _about(count: int) -> int:
    """Two digits of a number: an estimate has no more."""
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit


def _spread(deviation: float | None) -> str:
    return "–" if deviation is None else f"± {100 * deviation:.1f}"


def _mark(at: PowerAt) -> str:
    return "*" if at.fitted else ""


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (first, *others):
        table.add_column(name, justify="right")
    return table
