"""How the page's figures look, in plotly's terms.

Colours are references such as ``var(--ink)``: `figures.js` puts in what the theme gives them. Names come from
users and plotly reads a little HTML in text, so every text that holds one goes through `plain`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reachlab.boundary.curve import Curve
from reachlab.measures.measure import Check
from reachlab.reporting.styles import Style, shorten

MAX_POINTS = 200
"""Most points that one curve puts on the page."""
NAMED = 3
"""Most crossings that bear their models' names."""
CROWD = 4
"""Beyond so many models all bands are as faint as the wider one, so that lines stay clear of what they add up to."""
LABELLED = 11
"""Most labels along k: 1, 2, ... 1024."""
TOP = 1.02
"""Upper end of an axis of shares."""
PERCENT, POINTS = "~%", "+~f"
"""Labels of axes with as many decimals as they need, so that no two ticks of a short axis bear the same one."""


@dataclass(frozen=True)
class Line:
    """One model's curve."""

    name: str
    style: Style
    curve: Curve

    def times(self, factor: float) -> "Line":
        """The same curve in another unit."""
        return replace(self, curve=self.curve.times(factor))

    def points(self) -> Iterator[tuple[Any, ...]]:
        """x, the value and the ends that there are of each point."""
        return zip(self.curve.x, self.curve.values, *self.curve.intervals(), strict=True)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A k worth a vertical line: from there on the base is no longer behind the named model.

    It is `sure` where the model is surely ahead at the smallest k and surely behind at the largest; else the samples
    do not say that the curves cross at all.
    """

    name: str
    style: Style
    k: int
    sure: bool = True

    @property
    def dash(self) -> str:
        """Dots, and where it is not sure, sparse ones."""
        return "2px,3px" if self.sure else "2px,8px"


def plain(name: str, longest: int = 40) -> str:
    """Text that plotly shows as it is written, of at most `longest` characters."""
    return escape(shorten(name, longest), quote=False)


def powers_of_two(n: int) -> list[int]:
    """1, 2, 4, ... up to `n`, and `n` itself unless it stands too close to the last one."""
    ticks = [1 << i for i in range(n.bit_length())]
    if n >= ticks[-1] * 1.4:
        ticks.append(n)
    return ticks


def k_ticks(n: int) -> list[tuple[int, str]]:
    """Ticks of the axis of k, and their labels: every one that a phone has room for, else every second."""
    ticks = powers_of_two(n)
    step = 1 if len(ticks) <= LABELLED else 2
    return [(k, str(k) if (len(ticks) - 1 - at) % step == 0 else "") for at, k in enumerate(ticks)]


def thin(ks: np.ndarray, keep: Sequence[int] = ()) -> np.ndarray:
    """Positions of at most `MAX_POINTS` of the ascending `ks`, evenly spaced on a log axis.

    The powers of two, both ends and the values in `keep` are always among them.
    """
    n = int(ks[-1])
    must = np.flatnonzero(np.isin(ks, [*powers_of_two(n), ks[0], n, *keep]))
    spaced = np.geomspace(ks[0], n, max(2, MAX_POINTS - len(must)))
    return np.union1d(np.searchsorted(ks, spaced - 0.5), must)


def layout(figure: go.Figure, *, margin: Mapping[str, int] | None = None) -> go.Figure:
    """Give a figure the page's looks; returns it."""
    axis = {
        "fixedrange": True,
        "gridcolor": "var(--grid)",
        "linecolor": "var(--rule)",
        "tickcolor": "var(--rule)",
        "zeroline": False,
        "tickfont": {"size": 12},
        "title": {"font": {"size": 13}, "standoff": 8},
    }
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "var(--soft)", "size": 13},
        margin={"l": 46, "r": 14, "t": 28, "b": 46, **(margin or {})},
        showlegend=False,
        dragmode=False,
        hoverdistance=-1,
        hoverlabel={
            "bgcolor": "var(--paper)",
            "bordercolor": "var(--rule)",
            "font": {"color": "var(--ink)", "size": 13},
            "namelength": 32,
        },
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def name_y(figure: go.Figure, text: str) -> None:
    """Put the y axis' name above it, where it costs no width on a phone and needs no turned head."""
    figure.add_annotation(
        text=text, x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
        xshift=-40, yshift=8, showarrow=False, font={"size": 13},
    )  # fmt: skip


def k_range(n: int) -> tuple[float, float]:
    """Ends of the axis of k = 1..n, as powers of ten."""
    edge = 0.03 * max(1.0, float(np.log10(n))) if n > 1 else 0.3
    return -edge, float(np.log10(n)) + edge


def _k_axis(figure: go.Figure, n: int) -> None:
    ticks, labels = zip(*k_ticks(n), strict=True)
    figure.update_xaxes(
        type="log",
        range=list(k_range(n)),
        tickvals=ticks,
        ticktext=labels,
        tickangle=0,
        title_text="k, samples per problem (log scale)",
        hoverformat="d",
        unifiedhovertitle={"text": "<b>k = %{x}</b>"},
    )
    figure.update_layout(hovermode="x unified")


def _add_lines(figure: go.Figure, lines: Sequence[Line], ticks: Sequence[int], form: str) -> None:
    """See-through bands and a line a model, with markers at the ticks only; bands lie under all lines."""
    for line in lines:
        ends = line.curve.intervals()
        inner = line.style.band if len(lines) <= CROWD else line.style.faint
        for at, colour in ((2, line.style.faint), (0, inner)):  # the wider one lies below
            if len(ends) > at:
                _add_area(figure, line, ends[at], ends[at + 1], colour)
    for line in lines:
        ends = line.curve.intervals()
        between = f"  (%{{customdata[0]:{form}}} to %{{customdata[1]:{form}}})" if ends else ""
        figure.add_scatter(
            x=line.curve.x,
            y=line.curve.values,
            customdata=np.stack(ends, axis=1) if ends else None,
            mode="lines+markers",
            line={
                "color": line.style.colour,
                "dash": line.style.dash,
                "width": 2.4 if line.style.index == 0 else 2,
            },
            marker={
                "color": line.style.colour,
                "symbol": line.style.marker,
                "size": np.where(np.isin(line.curve.x, ticks), 8, 0),
                "opacity": 1,
                "line": {"width": 0},
            },
            error_y=_whisker(line),
            hovertemplate=f"%{{fullData.name}}  <b>%{{y:{form}}}</b>{between}<extra></extra>",
            legendgroup=line.name,
            name=plain(line.name, 28),
        )


def _add_area(figure: go.Figure, line: Line, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    figure.add_scatter(
        x=np.concatenate([line.curve.x, line.curve.x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=colour,
        line={"width": 0, "color": line.style.colour},
        mode="lines",
        hoverinfo="skip",
        legendgroup=line.name,
        name=plain(line.name),
    )


def _whisker(line: Line) -> dict[str, Any] | None:
    """The interval as an error bar, where a single point leaves no room for a band."""
    curve = line.curve
    if len(curve.x) > 1 or not curve.level:
        return None
    return {
        "array": curve.high - curve.values,
        "arrayminus": curve.values - curve.low,
        "symmetric": False,
        "thickness": 1.5,
    }


def passk(lines: Sequence[Line], crossings: Sequence[Mark], n: int) -> go.Figure:
    """pass@k of every model over k = 1..n on a log-2 axis; a crossing is a dotted line that bears its k.

    It bears the model's name too, or where many would cover the curves, the model's marker; an unsure one has sparse
    dots and a question mark.
    """
    figure = layout(go.Figure())
    _add_lines(figure, lines, powers_of_two(n), ".1%")
    _k_axis(figure, n)
    figure.update_yaxes(range=[0, TOP], tickformat=PERCENT, dtick=0.2)
    name_y(figure, "pass@k")
    for row, crossing in enumerate(sorted(crossings, key=lambda c: c.k, reverse=True)):
        right_half = crossing.k**2 > n
        whose = plain(crossing.name, 18) if len(crossings) <= NAMED else crossing.style.glyph
        figure.add_shape(
            type="line", x0=crossing.k, x1=crossing.k, y0=0, y1=1, yref="paper", layer="below",
            name=crossing.name,
            line={"color": crossing.style.colour, "width": 1.5, "dash": crossing.dash},
        )  # fmt: skip
        figure.add_annotation(
            text=f"<b>k = {crossing.k}</b> {whose}" if crossing.sure else f"k = {crossing.k}? {whose}",
            name=crossing.name,
            x=float(np.log10(crossing.k)),
            y=0.01 + 0.06 * row,
            yref="paper",
            xanchor="right" if right_half else "left",
            yanchor="bottom",
            xshift=-4 if right_half else 4,
            showarrow=False,
            bgcolor="var(--paper)",
            font={"color": "var(--ink)", "size": 12},
        )
    return figure


def difference(lines: Sequence[Line], n: int) -> go.Figure:
    """pass@k of each model minus the base's over k = 1..n, in percentage points."""
    figure = layout(go.Figure())
    _add_lines(figure, [line.times(100) for line in lines], powers_of_two(n), "+.1f")
    _k_axis(figure, n)
    figure.update_yaxes(tickformat=POINTS, rangemode="tozero")
    figure.add_hline(y=0, line={"color": "var(--series-0)", "width": 1.5})
    name_y(figure, "difference in pass@k, points")
    return figure


def over_k(lines: Sequence[Line], n: int, name: str, form: str = ".1%", measured: int = 0) -> go.Figure:
    """Any quantity over k on a log-2 axis; shares where `form` is a percentage. Beyond `measured` it is a guess."""
    figure = layout(go.Figure())
    _add_lines(figure, lines, powers_of_two(n), form)
    _k_axis(figure, n)
    figure.update_yaxes(rangemode="tozero", tickformat=PERCENT if form.endswith("%") else "")
    if measured:
        figure.add_vrect(x0=measured, x1=n, fillcolor="var(--never)", opacity=0.35, line_width=0, layer="below")
    name_y(figure, name)
    return figure


def over_share(lines: Sequence[Line], name_x: str, name: str) -> go.Figure:
    """Shares over shares, both from 0 to 1."""
    figure = layout(go.Figure())
    _add_lines(figure, lines, (), ".1%")
    figure.update_xaxes(range=[0, 1.02], tickformat=PERCENT, title_text=name_x, unifiedhovertitle={"text": "%{x:.0%}"})
    figure.update_yaxes(range=[0, TOP], tickformat=PERCENT, dtick=0.2)
    figure.update_layout(hovermode="x unified")
    name_y(figure, name)
    return figure


def share_difference(lines: Sequence[Line], name_x: str, name: str) -> go.Figure:
    """Differences of shares, in percentage points, over a share from 0 to 1."""
    figure = layout(go.Figure())
    _add_lines(figure, [line.times(100) for line in lines], (), "+.1f")
    figure.update_xaxes(range=[0, 1.02], tickformat=PERCENT, title_text=name_x, unifiedhovertitle={"text": "%{x:.0%}"})
    figure.update_yaxes(tickformat=POINTS, rangemode="tozero")
    figure.add_hline(y=0, line={"color": "var(--series-0)", "width": 1.5})
    figure.update_layout(hovermode="x unified")
    name_y(figure, name)
    return figure


def predicted(checks: Sequence[tuple[str, Style, Check]]) -> go.Figure:
    """Predicted over observed shares, the line where they are equal, and how far a prediction was off as its bar."""
    figure = layout(go.Figure())
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, layer="below", line={"color": "var(--soft)", "width": 1})
    for name, style, check in checks:
        figure.add_scatter(
            x=check.observed, y=check.predicted, mode="markers", name=plain(name, 28), legendgroup=name,
            customdata=list(zip(check.words, [100 * error for error in check.error], strict=True)),
            marker={"color": style.colour, "symbol": style.marker, "size": 8},
            error_y={"array": check.error, "thickness": 1.2, "width": 2},
            hovertemplate="%{fullData.name}, %{customdata[0]}: predicted <b>%{y:.1%}</b>, observed <b>%{x:.1%}</b>,"
            "<br>one prediction off by %{customdata[1]:.1f} points<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[0, TOP], tickformat=PERCENT, dtick=0.2, title_text="observed pass@k")
    figure.update_yaxes(range=[0, TOP], tickformat=PERCENT, dtick=0.2)
    name_y(figure, "predicted pass@k")
    return figure


def quartiles(styles: Sequence[Style], names: Sequence[str], boxes: Sequence[tuple[float, float, float]]) -> go.Figure:
    """A box a model from the lower quartile over the median to the upper one, on a log axis: perplexities."""
    figure = layout(go.Figure(), margin={"t": 10, "l": 10})
    for style, name, (low, median, high) in zip(styles, names, boxes, strict=True):
        figure.add_box(
            y=[plain(name, 18)], q1=[low], median=[median], q3=[high], lowerfence=[low], upperfence=[high],
            orientation="h", name=plain(name), line={"color": style.colour, "width": 2}, fillcolor=style.band,
            legendgroup=name,
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, ticks="", ticklabelstandoff=6)
    figure.update_xaxes(type="log", title_text="perplexity (log scale)", dtick="D1")
    return figure
