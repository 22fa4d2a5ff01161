"""What a model's routers do, as one HTML file: load, certainty, who is visited together, default vectors, fidelity.

The page has the report's looks and habits (`assets.py`): every figure's numbers are in a table beside it or
under the pointer, and nothing is asked of the network.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from reachlab import __version__
from reachlab.boundary.curve import Curve
from reachlab.moe.fidelity import Fidelity
from reachlab.moe.instruments import Reading, unused_warnings
from reachlab.reporting import assets
from reachlab.reporting.blocks import packed
from reachlab.reporting.data import Data
from reachlab.reporting.figures.plots import Line, layout, name_y, plain
from reachlab.reporting.page import script_json
from reachlab.reporting.styles import Style
from reachlab.runs import write_atomically
from reachlab.storable import encoded

MOST_LAYERS = 12
"""Layers that get a square of experts by experts each; beyond, as many evenly spaced ones."""
CERTAINTY = (Style(1), Style(2))
"""Entropy and top-k mass."""


Draw = Callable[[Reading], go.Figure | None]
"""A layer's square; None where there is nothing to draw."""


@dataclass(frozen=True)
class Square:
    """A figure of experts by experts."""

    id: str
    title: str
    figure: go.Figure


@dataclass(frozen=True)
class NamedStyle:
    """A method's name and look."""

    name: str
    style: Style


def write_routers(
    readings: Sequence[Reading],
    out: str | Path,
    *,
    title: str,
    facts: Sequence[str] = (),
    fidelity: Mapping[str, Sequence[Fidelity]] | None = None,
) -> Path:
    """Write what was heard as one HTML file, and return its path.

    Args:
        readings: a layer each, in the model's order.
        out: the file to write; it appears whole or not at all.
        title: the page's heading.
        facts: what was measured, in short phrases.
        fidelity: by method, a result a layer, as of `reachlab.moe.fidelity.compare`; None: not measured.

    Raises:
        ReachlabError: the file cannot be written.
    """
    names = labels([r.layer for r in readings])
    methods = [NamedStyle(name, Style(at)) for at, name in enumerate(fidelity or {})]
    drawn = {"load": load(readings, names), "entropy": certainty(readings, names)}
    data = {
        "load": Data(("layer", "expert", "times_mean_load"), [
            (name, expert, share * r.experts)
            for name, r in zip(names, readings, strict=True)
            for expert, share in enumerate(r.load)
        ]),
        "entropy": Data(("layer", "entropy_over_log_e", "top_k_mass"), [
            (name, r.entropy_share, r.mass) for name, r in zip(names, readings, strict=True)
        ]),
    }  # fmt: skip
    together = _squares("together", readings, names, coactivation) if any(r.active > 1 for r in readings) else []
    with_vectors = [r for r in readings if r.vectors]
    cosines = _squares("cosines", readings, names, vector_cosines) if with_vectors else []
    if fidelity:
        drawn["fidelity"] = over_layers(
            [_line(m.name, m.style, [one.cosine for one in fidelity[m.name]]) for m in methods],
            names, "cosine with the dense gradient", ".3f",
        )  # fmt: skip
        data["fidelity"] = Data(("method", "layer", "cosine", "length_over_dense"), [
            (method, name, one.cosine, one.ratio)
            for method, found in fidelity.items()
            for name, one in zip(names, found, strict=True)
        ])  # fmt: skip
    data |= {square.id: _pairs(square) for square in (*together, *cosines)}
    drawn |= {square.id: square.figure for square in (*together, *cosines)}
    shell, scripts = assets.read(assets.SHELL), (get_plotlyjs(), *assets.scripts(assets.FIGURES_ONLY))
    html = assets.template("router_page.html").render(
        shell=shell,
        scripts=scripts,
        css=assets.css(),
        policy=assets.policy([shell, *scripts]),
        figures=script_json(drawn),
        data=packed(json.dumps({name: table.csv() for name, table in data.items()})),
        version=__version__,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        title=title,
        facts=facts,
        warnings=unused_warnings(readings),
        layers=list(zip(names, readings, strict=True)),
        together=together,
        cosines=cosines,
        vector_rows=[(name, r, r.vectors) for name, r in zip(names, readings, strict=True) if r.vectors],
        mean=_mean,
        off_diagonal=_off_diagonal,
        certainty_styles=CERTAINTY,
        fidelity=fidelity or {},
        methods=methods,
    )
    write_atomically(Path(out), encoded(html))
    return Path(out)


def labels(layers: Sequence[str]) -> list[str]:
    """Names of layers without what all of them have in common: model.layers.3.mlp is 3."""
    parts = [layer.split(".") for layer in layers]
    if len(parts) == 1 or len({len(p) for p in parts}) > 1:
        return list(layers)
    differ = [at for at, found in enumerate(zip(*parts, strict=True)) if len(set(found)) > 1]
    return [".".join(p[at] for at in differ) for p in parts]


# -- figures --------------------------------------------------------------------------------------------------------


def load(readings: Sequence[Reading], names: Sequence[str]) -> go.Figure:
    """Every layer as a row, every expert as a cell, shaded by its load over the mean one."""
    E = max(r.experts for r in readings)
    times_LE = np.full((len(readings), E), np.nan)
    for row, reading in enumerate(readings):
        times_LE[row, : reading.experts] = np.array(reading.load) * reading.experts
    full = 4.0
    stops = [(0.0, "never"), (1e-9, "never"), (1e-9, "heat-1"), (0.25, "heat-2"), (0.5, "heat-3"), (1.0, "heat-4")]
    figure = layout(go.Figure(), margin={"t": 4, "l": 10, "b": 44})
    figure.add_heatmap(
        z=times_LE.round(4), x=np.arange(E), y=_rows(names), zmin=0, zmax=full, xgap=1, ygap=2,
        colorscale=[(at, f"var(--{name})") for at, name in stops],
        showscale=False,
        hovertemplate="layer %{y}, expert %{x}: %{z:.2f} times the mean load<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, ticks="", ticklabelstandoff=6)
    figure.update_xaxes(showgrid=False, ticks="", title_text="expert", dtick=max(1, E // 16))
    return figure


def certainty(readings: Sequence[Reading], names: Sequence[str]) -> go.Figure:
    """Entropy as a share of log E, and the top-k mass, over layers."""
    lines = [
        _line("entropy / log E", CERTAINTY[0], [r.entropy_share for r in readings]),
        _line("top-k mass", CERTAINTY[1], [r.mass for r in readings]),
    ]
    figure = over_layers(lines, names, "share", ".3f")
    figure.update_yaxes(range=[0, 1.03])
    return figure


def over_layers(lines: Sequence[Line], names: Sequence[str], unit: str, form: str) -> go.Figure:
    """A line a quantity over layers."""
    figure = layout(go.Figure())
    for line in lines:
        figure.add_scatter(
            x=line.curve.x, y=line.curve.values, mode="lines+markers", name=plain(line.name, 28), legendgroup=line.name,
            line={"color": line.style.colour, "dash": line.style.dash, "width": 2},
            marker={"color": line.style.colour, "symbol": line.style.marker, "size": 8},
            hovertemplate=f"%{{fullData.name}}  <b>%{{y:{form}}}</b><extra></extra>",
        )  # fmt: skip
    step = max(1, len(names) // 16)
    at = list(range(0, len(names), step))
    figure.update_xaxes(
        tickvals=at,
        ticktext=[plain(names[i], 12) for i in at],
        range=[-0.4, len(names) - 0.6],
        title_text="layer",
        unifiedhovertitle={"text": "layer %{x}"},
    )
    figure.update_layout(hovermode="x unified")
    name_y(figure, unit)
    return figure


def coactivation(reading: Reading) -> go.Figure:
    """Of the tokens that visit the row's expert, the share that also visit the column's."""
    together_EE = np.array(reading.coactivation)
    visits_E1 = together_EE.diagonal()[:, None]
    shares_EE = np.divide(together_EE, visits_E1, out=np.zeros_like(together_EE), where=visits_E1 > 0)
    np.fill_diagonal(shares_EE, np.nan)
    stops = [(0.0, "never"), (1e-9, "never"), (1e-9, "heat-1"), (0.3, "heat-2"), (0.6, "heat-3"), (1.0, "heat-4")]
    return _square(shares_EE, stops, (0, 1), "%{z:.1%} of expert %{y}'s tokens also visit %{x}")


def vector_cosines(reading: Reading) -> go.Figure | None:
    """Cosines of all pairs of default vectors."""
    if reading.vectors is None:
        return None
    cosines_EE = np.array(reading.vectors.cosines)
    np.fill_diagonal(cosines_EE, np.nan)
    stops = [(0.0, "series-2"), (0.5, "paper"), (1.0, "series-1")]
    return _square(cosines_EE, stops, (-1, 1), "experts %{y} and %{x}: cosine %{z:.2f}")


def _square(
    values_EE: np.ndarray, stops: Sequence[tuple[float, str]], ends: tuple[float, float], hover: str
) -> go.Figure:
    figure = layout(go.Figure(), margin={"t": 4, "l": 28, "b": 26, "r": 4})
    E = len(values_EE)
    figure.add_heatmap(
        z=values_EE.round(4), x=np.arange(E), y=np.arange(E), zmin=ends[0], zmax=ends[1],
        colorscale=[(at, f"var(--{name})") for at, name in stops],
        showscale=False, hoverongaps=False, hovertemplate=f"{hover}<extra></extra>",
    )  # fmt: skip
    axis = {"showgrid": False, "ticks": "", "dtick": max(1, E // 8)}
    figure.update_xaxes(**axis, constrain="domain")
    figure.update_yaxes(**axis, autorange="reversed", scaleanchor="x", constrain="domain")
    return figure


def _squares(kind: str, readings: Sequence[Reading], names: Sequence[str], draw: Draw) -> list[Square]:
    """A figure for each of at most `MOST_LAYERS` layers."""
    chosen = np.unique(np.linspace(0, len(readings) - 1, MOST_LAYERS).round().astype(int))
    found = [(at, draw(readings[at])) for at in chosen.tolist()]
    return [Square(f"{kind}-{at}", f"layer {names[at]}", figure) for at, figure in found if figure is not None]


def _pairs(square: Square) -> Data:
    """Every pair of experts with its value; an expert has none with itself."""
    values_EE = square.figure.data[0].z
    rows = [(i, j, value) for i, row in enumerate(values_EE) for j, value in enumerate(row) if i != j]
    return Data(("expert", "other", "value"), rows)


def _line(name: str, style: Style, values: Sequence[float]) -> Line:
    return Line(name, style, Curve.exact(np.arange(len(values)), np.array(values)))


def _rows(names: Sequence[str]) -> list[str]:
    # A category axis, even where the names are numbers.
    return [f"{plain(name, 18)} " for name in names]


def _mean(values: Sequence[float]) -> float:
    """Of the values that are numbers."""
    real = [v for v in values if v == v]
    return sum(real) / len(real) if real else float("nan")


def _off_diagonal(square: Sequence[Sequence[float]]) -> float:
    return _mean([value for i, row in enumerate(square) for j, value in enumerate(row) if i != j])
