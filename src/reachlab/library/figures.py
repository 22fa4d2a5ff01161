"""The page's figures for a notebook: plotly's own, with the light theme's colours in place of references to them."""

import functools
import re
from typing import TYPE_CHECKING, Any

from reachlab.reporting import assets

if TYPE_CHECKING:
    import plotly.graph_objects as go

ALPHA = {"": 1.0, "-band": 0.13, "-faint": 0.07}
"""How see-through the colours are behind whose names this stands; as in `assets/figures.js`."""
AXES = ("x", "y", "customdata")
REFERENCE = re.compile(r"var\(--([a-z]+(?:-\d+)?)(-band|-faint)?\)")


def coloured(figure: "go.Figure") -> "go.Figure":
    """A figure of the page that stands by itself, with a legend."""
    import plotly.graph_objects as go

    found = go.Figure(_resolved(figure.to_plotly_json()))
    found.update_layout(paper_bgcolor=_colour("paper", ""), plot_bgcolor=_colour("paper", ""), showlegend=True)
    for trace, own in zip(found.data, figure.data, strict=True):
        trace.showlegend = trace.fill is None
        for axis in AXES:
            if own[axis] is not None:
                trace[axis] = own[axis]  # as an array, which plotly packs for the browser
    return found


def _resolved(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(inner) for inner in value]
    if isinstance(value, str) and (found := REFERENCE.fullmatch(value)):
        return _colour(found[1], found[2] or "")
    return value


def _colour(name: str, kind: str) -> str:
    red, green, blue = (int(_light()[name][at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{ALPHA[kind]:g})"


@functools.cache
def _light() -> dict[str, str]:
    """The light theme's colours, by name."""
    found = re.findall(r"--([a-z]+(?:-\d+)?): light-dark\((#[0-9a-f]{6}),", assets.read("base.css"))
    return dict(found)
