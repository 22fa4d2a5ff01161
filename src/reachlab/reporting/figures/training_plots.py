"""How figures of training look: what was measured over the steps, and where the time went.

A quantity of every step is noisy, so its centred moving mean is drawn over the steps themselves, which are faint:

    y̅_i = mean of y_j over |i − j| ≤ (w − 1) / 2,   at the ends over as many to either side as there are.

The traces say in their `meta` which of the two they are, and `figures.js` shows the steps alone where the reader asks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from reachlab.reporting.figures.plots import PERCENT, Line, layout, name_y, plain

WIDEST = 51
"""Most steps of a moving mean."""

PHASES = {
    "generate": ("heat-4", ""),
    "update": ("heat-2", ""),
    "logprobs": ("heat-3", "/"),
    "verify": ("soft", ""),
    "guard": ("heat-1", ""),
    "eval": ("heat-4", "x"),
    "select": ("soft", "\\"),
    "advantage": ("never", "|"),
    "step": ("heat-3", ""),
    "other": ("never", ""),
}
"""Fill and hatching of each phase: no model's colour, and apart in grey too. Further phases take what is free."""


def window(steps: int) -> int:
    """Over how many steps a curve of so many is averaged: a tenth of them, an odd number; 1, not at all, below 20."""
    return min(WIDEST, 2 * (steps // 20) + 1)


def moving_mean(values: NDArray[np.float64], over: int) -> NDArray[np.float64]:
    """The mean over `over` neighbours, an odd number; at the ends over as many to either side as there are."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    at = np.arange(len(values))
    half = np.minimum(over // 2, np.minimum(at, len(values) - 1 - at))
    mean: NDArray[np.float64] = (sums[at + half + 1] - sums[at - half]) / (2 * half + 1)
    return mean


def training(lines: Sequence[tuple[Line, NDArray[np.float64] | None]], axis: str, *, share: bool = False) -> go.Figure:
    """One measured quantity over training steps, for every model that has it, with its moving mean where it has one."""
    figure = layout(go.Figure())
    form = ".1%" if share else ".4~g"
    for line, smooth in lines:
        shared = {"x": line.curve.x, "mode": "lines", "legendgroup": line.name, "name": plain(line.name, 28)}
        colour, raw = line.style.colour, line.curve.values
        own = f"%{{fullData.name}}  <b>%{{y:{form}}}</b>"
        if smooth is None:
            look = {"color": colour, "dash": line.style.dash, "width": 1.8}
            figure.add_scatter(y=raw, line=look, hovertemplate=f"{own}<extra></extra>", **shared)
            continue
        figure.add_scatter(
            y=raw, line={"color": colour, "width": 1.2}, opacity=0.35, hoverinfo="skip", meta={"raw": True},
            hovertemplate=f"{own}<extra></extra>", **shared,
        )  # fmt: skip
        figure.add_scatter(
            y=smooth, line={"color": colour, "dash": line.style.dash, "width": 2.2}, meta={"smooth": True},
            customdata=raw, hovertemplate=f"{own}, this step %{{customdata:{form}}}<extra></extra>", **shared,
        )  # fmt: skip
    figure.update_xaxes(title_text="training step", rangemode="tozero", unifiedhovertitle={"text": "step %{x}"})
    # Small numbers as powers of ten: a metric prefix, such as 60n, is no unit of any of these.
    figure.update_yaxes(exponentformat="power", minexponent=4, tickformat=PERCENT if share else "")
    figure.update_layout(hovermode="x unified")
    name_y(figure, axis)
    return figure


def looks(phases: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A fill and a hatching for each phase; the known ones have their own, others what is left."""
    free = [look for name, look in PHASES.items() if name not in phases]
    unknown = [name for name in phases if name not in PHASES]
    return {name: PHASES.get(name) or free[unknown.index(name) % len(free)] for name in phases}


def phases(names: Sequence[str], seconds: Mapping[str, Sequence[float]]) -> go.Figure:
    """Where training time went: a bar a model, cut into phases; `seconds[phase][i]` belongs to `names[i]`."""
    figure = layout(go.Figure(), margin={"t": 10, "l": 10})
    for phase, (colour, pattern) in looks(list(seconds)).items():
        figure.add_bar(
            y=[plain(name, 18) for name in names],
            x=list(seconds[phase]),
            orientation="h",
            name=plain(phase),
            marker={
                "color": f"var(--{colour})",
                "line": {"width": 1, "color": "var(--paper)"},
                "pattern": {
                    "shape": pattern,
                    "fillmode": "overlay",
                    "fgcolor": "var(--soft)" if colour == "never" else "var(--paper)",
                    "size": 7,
                },
            },
            hovertemplate="%{fullData.name}: %{x:,.4~g} s<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.45,
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, ticks="", ticklabelstandoff=6)
    figure.update_xaxes(title_text="seconds", rangemode="tozero", separatethousands=True, exponentformat="none")
    return figure
