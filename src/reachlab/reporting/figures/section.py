"""A figure with its place on the page, and a part of the page that only some runs have data for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reachlab.measures.table import Table
from reachlab.reporting.data import Data
from reachlab.reporting.entries import Entry
from reachlab.reporting.sketch import Sketch

PAPER = {"": (640, 400), "mid": (480, 320), "low": (360, 280)}
"""Width and height, in pixels, that a figure of each size is saved at."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with its place on the page and the numbers it plots.

    `label` says what is drawn to who cannot see it, `caption` how to read it. A figure has one of the `size`s of the
    page; "strip" grows with its `rows`.
    """

    id: str
    title: str
    label: str
    caption: str
    plot: Any
    data: Data
    size: Literal["", "mid", "low", "strip"] = ""
    rows: int = 1
    sketch: Sketch | None = None

    @property
    def paper(self) -> tuple[int, int]:
        """Width and height that it is saved at."""
        return PAPER[self.size] if self.size in PAPER else (640, 40 * self.rows + 40)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """What has not been measured yet: of which models, what it is, and the commands that do it."""

    models: tuple[str, ...]
    measure: str
    meaning: str
    commands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: a heading, a line that says what it holds, its figures side by side, and its tables.

    `models` are those in the key, which hides and shows them in every figure. `show` is the filter of the problem
    browser that lists what the section speaks of; empty where none does. `smoothed`: some figure has a moving mean,
    which the reader may take away. `missing` has what no run has been measured for yet, and the command that does it.
    """

    id: str
    heading: str
    lead: str
    models: Sequence[Entry]
    figures: Sequence[Figure]
    tables: Sequence[Table] = ()
    show: str = ""
    smoothed: bool = False
    missing: Sequence[Unmeasured] = ()
