"""What `reachlab measures` prints of a run: a table of measures by k, and the remarks it has no room for."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from reachlab.boundary.curve import Curve
from reachlab.measures.measure import AnyMeasure, Unit
from reachlab.measures.results import RunResults, each_measure
from reachlab.measures.table import Table

MOST_COLUMNS = 6
WRITTEN: dict[Unit, tuple[int, int]] = {"share": (100, 1), "count": (1, 1), "nats": (1, 2)}
"""What a number is multiplied with, and its decimals."""


def print_measures(run: RunResults, level: float, console: Console | None = None) -> None:
    """Print one run's measures to the terminal: shares first."""
    console = console or Console()
    title = f"{run.name}: {run.problems:,} problems, {run.samples:,} samples"
    title += f", {run.unscored:,} unscored" if run.unscored else ""
    console.print(f"[bold]{escape(title)}[/bold]; shares in percent, {100 * level:g}% intervals", highlight=False)
    own = [m for m in each_measure() if m.name in run.of and not m.compared]
    curves = [(m, curve) for m in own if (curve := run.of[m.name].curve) is not None and curve.OVER == "ks"]
    curves.sort(key=lambda found: found[0].unit != "share")
    ks = _shown(sorted({k for _, curve in curves for k in curve.x.tolist()}))
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    grid.add_column("k", min_width=8, overflow="fold")
    for k in ks:
        grid.add_column(f"{k:,}", justify="right")
    shown: dict[tuple[str, ...], AnyMeasure] = {}
    alike = []
    for measure, curve in curves:
        cells = tuple(_cell(curve, k, *WRITTEN[measure.unit]) for k in ks)
        first = shown.setdefault((_kind(measure), *cells), measure)
        if first is measure:
            grid.add_row(_head(measure), *cells)
        else:
            alike.append(f"{_head(measure)}: the same numbers as {_head(first)}")
    console.print(grid)
    for remark in (*(remark for m in own for remark in run.of[m.name].remarks), *alike, *_missing(run)):
        console.print(escape(remark), highlight=False)
    for told in shown.values():
        console.print(f"[dim]{escape(meaning(_head(told), told.caption))}[/dim]", highlight=False)
    for measure in own:
        result = run.of[measure.name]
        for table in () if result.curve is not None or result.remarks else result.tables:
            console.print(_grid(table))


def meaning(head: str, caption: str) -> str:
    """What a row's numbers mean, behind its head; a sentence that begins with the name as it is."""
    name = head.partition(",")[0]
    return caption if caption.startswith(f"{name}:") else f"{head}: {caption[:1].lower()}{caption[1:]}"


def _head(measure: AnyMeasure) -> str:
    return measure.row or measure.title


def _kind(measure: AnyMeasure) -> str:
    """What measures of one kind share, such as best@k by one score and by another."""
    return measure.name.partition(".")[0]


def _shown(ks: Sequence[int]) -> list[int]:
    """As many of the values of k as a table has room for, evenly spaced, with the first and the last."""
    at = np.unique(np.linspace(0, len(ks) - 1, min(len(ks), MOST_COLUMNS)).round().astype(int))
    return [ks[i] for i in at]


def _cell(curve: Curve, k: int, times: int, digits: int) -> str:
    """A value, and its interval below it."""
    at = np.flatnonzero(curve.x == k)
    if not len(at):
        return "–"
    value, low, high = (f"{times * x[at[0]]:,.{digits}f}" for x in (curve.values, curve.low, curve.high))
    return value if low == high else f"{value}\n[dim]{low}–{high}[/dim]"


def _missing(run: RunResults) -> Iterator[str]:
    """What is missing and why."""
    heads = {_kind(measure): _head(measure).partition(",")[0] for measure in reversed(list(each_measure()))}
    for name, why in run.notes.items():
        head = heads.get(name, name)
        head = head[:1].lower() + head[1:] if head.split()[0][1:].islower() else head
        yield why if name == "adaptive" else f"no {head}: {why}"


def _grid(table: Table) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, title=escape(table.caption), title_justify="left")
    for column in ("", *table.columns):
        grid.add_column(escape(column), overflow="fold")
    for name, cells in table.rows:
        grid.add_row(escape(name), *map(escape, cells))
    return grid
