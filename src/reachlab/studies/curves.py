"""pass@k of many runs on the same problems as a table: k = 1, 2, 4, ... and the largest, each with its interval."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.boundary.compare import compare
from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Outcomes
from reachlab.hub import parse
from reachlab.reporting.page import write_report
from reachlab.runs import RunFolder, training_step
from reachlab.store.samples import SampleStore

BETWEEN = 3
"""Characters between two columns, and at the table's edges."""
CELL = 10
"""Characters of an interval such as 98.7–100.0."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """pass@k of the runs at the same few ks, the mean over the same problems."""

    problems: int
    of: tuple[Curve, ...]

    @property
    def ks(self) -> list[int]:
        """The values of k."""
        return [int(k) for k in self.of[0].x]

    @property
    def level(self) -> float:
        """Of the intervals."""
        return self.of[0].level

    @property
    def passes(self) -> list[list[tuple[float, float, float]]]:
        """A value and the ends of its interval by run and k."""
        return [list(zip(*(a.tolist() for a in (c.values, c.low, c.high)), strict=True)) for c in self.of]

    def to_dict(self) -> dict[str, Any]:
        """What a study's JSON begins with."""
        return {"k": self.ks, "level": self.level, "problems": self.problems}


def measure_curves(folders: Sequence[RunFolder], names: Sequence[str], out: Path, title: str) -> Curves:
    """Read the runs' curves, and write the report of all of them, held against the first, to `out`/report.html.

    Raises:
        ReachlabError: runs without samples or with no problem in common.
    """
    outcomes: list[Outcomes] = [
        replace(SampleStore(folder).outcomes(), name=name) for folder, name in zip(folders, names, strict=True)
    ]
    whole = compare(outcomes)
    write_report(whole, folders, out / "report.html", title=title)
    most = int(whole.ks[-1])
    # Asked for by name: of many ks, `compare` thins out.
    found = compare(outcomes, ks=sorted({*powers(most), most}))
    return Curves(problems=len(found.problem_ids), of=tuple(model.curve for model in found.models))


def label(paths: Sequence[str]) -> dict[str, str]:
    """A short name a model that tells it from the others: its run's, with the step where it is a checkpoint of one, or
    its own on the hub."""
    found = {path: _label(Path(path)) for path in paths}
    if len(set(found.values())) < len(found):
        return {path: path.strip("/").replace("/", "-").replace("@", "-") for path in paths}
    return found


def _label(path: Path) -> str:
    step = training_step(path)
    if step is not None:
        return f"{path.parent.parent.name}-step-{step}"
    if (name := parse(str(path))) and not path.exists():
        return name.repo.rpartition("/")[2]
    return path.parent.name if path.name == "model" else path.name


def powers(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << i for i in range(most.bit_length())]


def print_curves(
    curves: Curves, heads: Sequence[str], rows: Sequence[Sequence[str]], rest: str, console: Console | None = None
) -> None:
    """Print a row a run: the cells of `rows` under `heads`, then pass@k in percent as far as the terminal is wide.

    `rest` says where the ks are that have no room.
    """
    console = console or Console()
    lead = sum(max(len(line) for row in [heads, *rows] for line in row[i].split("\n")) for i in range(len(heads)))
    lead += BETWEEN * len(heads)
    room = max(2, (console.width - lead) // (CELL + BETWEEN))
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file has no width.
        room = len(curves.ks)
        console.width = max(console.width, lead + (CELL + BETWEEN) * room)
    shown = spread(len(curves.ks), room)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left")
    for i in shown:
        table.add_column(f"pass@{curves.ks[i]}", justify="right", min_width=CELL)
    for row, values in zip(rows, curves.passes, strict=True):
        table.add_row(*map(escape, row), *(_cell(*values[i]) for i in shown))
    console.print(table)
    left_out = "" if len(shown) == len(curves.ks) else f"; more values of k in {rest}"
    console.print(
        f"percent of {curves.problems:,} problems, {100 * curves.level:g}% intervals over problems{left_out}",
        highlight=False,
    )


def spread(count: int, room: int) -> list[int]:
    """At most `room` of the positions 0 .. count − 1, evenly spread, the first and the last among them."""
    if room >= count:
        return list(range(count))
    return sorted({round(i * (count - 1) / (room - 1)) for i in range(room)})


def _cell(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f}\n[dim]{100 * low:.1f}–{100 * high:.1f}[/dim]"
