"""The summary of a comparison: one row a model, for the page and for the terminal."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.boundary.comparison import Findings, Pair
from reachlab.boundary.crossing import Crossing
from reachlab.boundary.support import Support
from reachlab.measures.kept import COLUMNS, support_rows, supports_of
from reachlab.reporting.footnotes import footnotes

WIDE, NARROW_KS = 120, 3
"""A terminal of fewer columns shows this many values of k."""
OVER = {"problems": "problems", "samples": "these problems' samples", "both": "problems and their samples"}
"""What intervals are over, by `Findings.over`."""

BANDED = "; the verdicts' hold for all k and pairs at once"
"""Why a verdict's interval is wider than one of the table."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as text, and its interval where it has one."""

    text: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One model's numbers."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A table: `columns` head the cells of every row."""

    columns: tuple[str, ...]
    rows: tuple[SummaryRow, ...]


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f}%"


def shown_ks(comparison: Findings) -> list[int]:
    """The values of k a table has room for: 1, 8, 64, 256, 1024, ... as far as computed, and the largest."""
    ks = comparison.ks.tolist()
    wanted = {ks[0], 8, 64, *(4**i for i in range(4, 20)), ks[-1]}
    return [k for k in ks if k in wanted]


def crossing_cell(crossing: Crossing, ks: np.ndarray) -> Cell:
    """Where the base catches up, as ``k = 8`` with ``7–13``; an open end is ``beyond n``; one k has none."""
    if len(ks) == 1:
        return Cell("–")
    n = ks[-1]
    low, high = (f"beyond {n}" if end is None else str(end) for end in (crossing.low, crossing.high))
    text = f"none up to {n}" if crossing.k is None else f"k = {crossing.k}"
    return Cell(text, "" if low == high else f"{low}–{high}")


def summarise(comparison: Findings, most: int = 0) -> Summary:
    """pass@k with intervals, the crossing and the problems gained and lost against the base, the unscored.

    `most` bounds the values of k; 0: as many as `shown_ks`.
    """
    pairs = {pair.name: pair for pair in comparison.pairs}
    ks = shown_ks(comparison)
    if 0 < most < len(ks):
        ks = [ks[round(i * (len(ks) - 1) / (most - 1))] for i in range(most)]
    at = np.searchsorted(comparison.ks, ks)
    versus = ("crossing", f"ΔSE@{comparison.pairs[0].gap.k}", "gained", "lost") if pairs else ()
    rows = []
    for model in comparison.models:
        curve = model.curve
        cells = [Cell(percent(curve.values[i]), f"{100 * curve.low[i]:.1f}–{100 * curve.high[i]:.1f}") for i in at]
        if pairs:
            cells += _versus(pairs[model.name], comparison.ks) if model.name in pairs else [Cell("–")] * len(versus)
        rows.append(SummaryRow(model.name, (*cells, Cell(f"{model.unscored:,}"))))
    return Summary((*(f"pass@{k}" for k in ks), *versus, "unscored"), tuple(rows))


def _versus(pair: Pair, ks: np.ndarray) -> list[Cell]:
    gap, sets = pair.gap, pair.coverage
    return [
        crossing_cell(pair.crossing, ks) if np.any(pair.difference.values) else Cell("–"),
        Cell(percent(gap.value), f"{100 * gap.low:.1f} to {100 * gap.high:.1f}"),
        _changed(pair, sets.gained, None if sets.chance is None else sets.chance.gained, sets.surely_gained),
        _changed(pair, sets.lost, None if sets.chance is None else sets.chance.lost, sets.surely_lost),
    ]


def _changed(pair: Pair, ids: Sequence[str], chance: float | None, sure: Sequence[str] | None) -> Cell:
    """So many problems; how many of them two equal models would have shown, and in how many the Holm-adjusted p is low;
    of one sample of each problem in none."""
    if chance is None or sure is None:
        return Cell(str(len(ids)))
    if len(pair.difference.values) == 1:
        return Cell(str(len(ids)), f"chance {chance:.0f}")
    return Cell(str(len(ids)), f"chance {chance:.0f}\np<{1 - pair.difference.level:.2g}: {len(sure)}")


NUMBERED = re.compile(r"(|.*[^\W\d]|.*[_/#:])(0|[1-9][0-9]{0,17})", re.DOTALL)
"""An id that is a whole number, or ends with one after a letter or a separator: ``22``, ``HumanEval/22``."""


def fold_indices(ids: Iterable[str]) -> str:
    """Problem ids in one line, in order, three or more consecutive numbers folded: ``0, 1, 4, 6-9, p2-4``.

    Numbers fold where they are the whole id or follow the same text that ends with a letter or one of ``_/#:``; other
    ids stay as they are, since ``7-5`` may itself be one.
    """
    numbered: dict[str, list[int]] = {}
    others = []
    for problem_id in ids:
        match = NUMBERED.fullmatch(problem_id)
        if match:
            numbered.setdefault(match[1], []).append(int(match[2]))
        else:
            others.append(problem_id)
    folded = [text for before in sorted(numbered) for text in _folded(before, sorted(set(numbered[before])))]
    return ", ".join([*folded, *sorted(others)])


def _folded(before: str, numbers: Sequence[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        found = [number for _, number in run]
        if len(found) > 2:
            yield f"{before}{found[0]}-{found[-1]}"
        else:
            yield from (f"{before}{number}" for number in found)


def print_comparison(comparison: Findings, console: Console | None = None) -> None:
    """Print the summary and every verdict to the terminal."""
    if console is None:
        console = Console()
        if not console.is_terminal:
            console.width = max(console.width, WIDE)  # a file has no width
    summary = summarise(comparison, 0 if console.width >= WIDE else NARROW_KS)
    console.print(_title(comparison), highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("model", min_width=8, overflow="fold")
    for column in summary.columns:
        # Numbers and their intervals stay whole; words may break.
        whole = column.startswith(("pass@", "ΔSE", "unscored"))
        table.add_column(column, justify="right", overflow="fold", no_wrap=whole)
    for row in summary.rows:
        cells = (
            f"{cell.text}\n[dim]{escape(cell.interval)}[/dim]" if cell.interval else cell.text for cell in row.cells
        )
        table.add_row(escape(row.name), *cells)
    console.print(table)
    for line in _verdicts(comparison):
        console.print(line, highlight=False)
    for line in footnotes(comparison):
        console.print(f"[dim]{escape(line)}[/dim]", highlight=False)
    if comparison.pairs:
        console.print(support_table(supports_of(comparison)))


def support_table(supports: Sequence[Support]) -> Table:
    """Problems kept, grown and shrunk against the base, for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("support", min_width=8, overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right", overflow="fold")
    for name, cells in support_rows(supports, "\n"):
        table.add_row(escape(name), *cells)
    return table


def _title(comparison: Findings) -> str:
    clusters = "" if comparison.clusters is None else f" in {comparison.clusters:,} clusters"
    return (
        f"{len(comparison.problem_ids):,} problems{clusters}, k up to {comparison.ks[-1]:,}, "
        f"base {escape(comparison.base)}; {100 * comparison.level:g}% intervals over {over(comparison)}"
        f"{BANDED if comparison.pairs else ''}"
    )


def over(comparison: Findings) -> str:
    """What the intervals of a comparison are over, in words."""
    if comparison.clusters is not None and comparison.over == "problems":
        return "clusters of problems"
    return OVER[comparison.over]


def _verdicts(comparison: Findings) -> Iterator[str]:
    for pair in comparison.pairs:
        yield f"[bold]{escape(pair.name)}[/bold] is {escape(pair.verdict.sentence)}"
    for pair in comparison.others:
        yield f"[bold]{escape(pair.name)}[/bold] against {escape(pair.base)} is {escape(against(pair))}"


def against(pair: Pair) -> str:
    """The verdict of a pair whose other model is no base."""
    return pair.verdict.sentence.replace("the base", pair.base)
