"""The first figure as plain HTML and SVG, so that the page answers its question before any script has run.

It has pass@k's curves, bands, crossings and ticks, in the place and at the size of the figure that plotly draws over it
later; markers and what stands under the pointer come with that one. The curves' drawing is stretched to any width
(lines keep their thickness), the numbers beside the axes are text at percentages of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab.reporting.figures.plots import TOP, Line, Mark, k_range, k_ticks

WIDTH, HEIGHT = 1000.0, 500.0
"""Of the drawing, in units of its own."""


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, and how far along it stands, in per cent."""

    text: str
    at: float


@dataclass(frozen=True)
class Stroke:
    """A path of the drawing: an area where it has no `dash`."""

    path: str
    colour: str
    dash: str | None
    name: str


@dataclass(frozen=True)
class Sketch:
    """What the template draws."""

    strokes: tuple[Stroke, ...]
    k_ticks: tuple[Tick, ...]
    share_ticks: tuple[Tick, ...]


def sketch(lines: Sequence[Line], crossings: Sequence[Mark], n: int) -> Sketch:
    """pass@k of every model over k = 1..n, as `plots.passk` draws it."""
    first, last = k_range(n)

    def along(k: np.ndarray) -> np.ndarray:
        return np.asarray((np.log10(k) - first) / (last - first))

    def path(x: np.ndarray, y: np.ndarray) -> str:
        points = zip(along(x) * WIDTH, (1 - y / TOP) * HEIGHT, strict=True)
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)

    areas = [
        Stroke(path(np.r_[c.x, c.x[::-1]], np.r_[c.high, c.low[::-1]]) + "Z", e.style.colour, None, e.name)
        for e, c in ((e, e.curve) for e in lines)
        if c.level
    ]
    marks = [Stroke(path(np.array([m.k, m.k]), np.array([0, TOP])), m.style.colour, m.dash, m.name) for m in crossings]
    curves = [Stroke(path(e.curve.x, e.curve.values), e.style.colour, e.style.dash, e.name) for e in lines]
    return Sketch(
        strokes=(*areas, *marks, *curves),
        k_ticks=tuple(Tick(text, 100 * float(along(np.array(k)))) for k, text in k_ticks(n)),
        share_ticks=tuple(Tick(f"{share}%", share / TOP) for share in range(0, 101, 20)),
    )
