"""Figures of single problems, and where in them each problem is: the strip, and the histogram of accuracy.

Both lead on. The `meta` of their first trace has, as `leads`, what the page's address asks of the problem browser for
each column or bar: one problem, or those of a bar. `figures.js` follows a click there, and offers the same by keyboard.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go

from reachlab.reporting.figures.plots import layout, name_y, plain
from reachlab.reporting.styles import Style

BARS = 10
"""Of the histogram between never and always."""


def strip(names: Sequence[str], accuracies_P: Sequence[np.ndarray], ids: Sequence[str], width: int = 1) -> go.Figure:
    """Every problem (or `width` neighbours) as a thin column, every model as a row, shaded by its accuracy there.

    Problems stand in the given order; `ids` are those of the columns' first ones. Zero has a colour of its own: one
    right sample in many is not none.
    """
    never = 1e-9
    stops = [
        (0.0, "never"),
        (never, "never"),
        (never, "heat-1"),
        (0.15, "heat-2"),
        (0.5, "heat-3"),
        (1.0, "heat-4"),
    ]
    figure = layout(go.Figure(), margin={"t": 4, "l": 10, "b": 8})
    figure.add_heatmap(
        z=np.stack(accuracies_P).round(6 if width > 1 else 4),
        y=[plain(name, 18) for name in names],
        x=1 + width * np.arange(len(accuracies_P[0])),
        zmin=0,
        zmax=1,
        ygap=4,
        colorscale=[(at, f"var(--{name})") for at, name in stops],
        showscale=False,
        meta={"leads": [urlencode({"problem": i}) for i in ids], "names": list(ids)},
        hovertemplate="%{y}: right in %{z:.1%}<br>problem %{x} "
        f"{f'and the next {width - 1} ' if width > 1 else ''}from the base's easiest; click to read<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, ticks="", ticklabelstandoff=6)
    figure.update_xaxes(showgrid=False, showticklabels=False, ticks="")
    return figure


def bars(name: str) -> list[tuple[str, str]]:
    """Each bar of a model's histogram in words, and what the page's address asks for its problems."""
    ranges = [(100 * i // BARS, 100 * (i + 1) // BARS) for i in range(BARS)]
    return [
        ("never right", urlencode({"of": name, "to": 0})),
        *(
            (
                f"right in more than {low}%, {'less than' if high == 100 else 'at most'} {high}%",
                urlencode({"of": name, "from": low, "to": high}),
            )
            for low, high in ranges
        ),
        ("always right", urlencode({"of": name, "from": 100})),
    ]


def histogram(name: str, style: Style, counts: Sequence[int], tallest: int) -> go.Figure:
    """How many problems are answered right how often: never, ten bins, always; `tallest` sets the y axis."""
    figure = layout(go.Figure(), margin={"b": 40})
    last = BARS + 1
    words, leads = zip(*bars(name), strict=True)
    figure.add_bar(
        x=list(range(last + 1)),
        y=list(counts),
        customdata=words,
        meta={"leads": leads, "names": [f"{count:,} {said}" for count, said in zip(counts, words, strict=True)]},
        width=0.84,
        marker={
            "color": [style.band, *[style.colour] * last],
            "line": {"width": [1.5, *[0] * last], "color": style.colour},
        },
        hovertemplate="%{y} problems %{customdata}; click to list them<extra></extra>",
    )
    figure.update_xaxes(
        tickvals=[0, last / 2, last],
        ticktext=["never", "50%", "always"],
        showgrid=False,
        title_text="accuracy",
    )
    figure.update_yaxes(range=[0, tallest * 1.06 or 1], **({"dtick": 1} if tallest < 5 else {"nticks": 5}))
    name_y(figure, "problems")
    figure.update_layout(hovermode="x")
    return figure
