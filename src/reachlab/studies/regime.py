"""The regime map: over which costs and which n/m does down-sampling (PODS, arXiv 2504.13818) reach an accuracy sooner?

Simulated with `regime/cost_model.py`, which says what is assumed. The map is as good as that; so measured runs can be
given, and are drawn into it and set beside what the model says at their own place.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from rich.console import Console

from reachlab.errors import ReachlabError
from reachlab.regime.cost_model import Costs, Plan, RegimeMap, Schedule, World, race, regime_map
from reachlab.reporting import assets, page
from reachlab.reporting.figures.plots import plain
from reachlab.runs import write_atomically
from reachlab.studies.config import RegimeConfig
from reachlab.studies.stages import check_study
from reachlab.studies.study import Tell


@dataclass(frozen=True, kw_only=True)
class Point:
    """A measured run, and what the model says at its place."""

    name: str
    ratio: float
    width: int
    speedup: float
    low: float | None = None
    high: float | None = None
    predicted: float
    predicted_low: float
    predicted_high: float


def run_regime(config: RegimeConfig, tell: Tell = lambda _: None) -> Path:
    """Simulate the map, write regime.json and regime.html, print what they say; returns the page's path.

    Raises:
        ReachlabError: settings out of range, or a file of measured runs that cannot be read.
    """
    check_study(config.out, "regime.json")
    world = World(alpha=config.alpha, beta=config.beta, noise=config.noise)
    schedule = Schedule(prompts=config.prompts, steps=config.steps, seeds=config.seeds, seed=config.seed)
    rows = _read_measured(Path(config.measured)) if config.measured else []
    found = regime_map(
        world, schedule, keep=config.keep, widths=config.widths, ratios=config.ratios, waves=config.waves
    )
    points = [_predict(row, world, schedule, config) for row in rows]
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    document = {"config": asdict(config), "map": _numbers(found), "measured": [asdict(point) for point in points]}
    write_atomically(out / "regime.json", (json.dumps(document, indent=2) + "\n").encode())
    sentences = describe(found)
    shell, scripts = assets.read(assets.SHELL), (get_plotlyjs(), *assets.scripts(assets.FIGURES_ONLY))
    text = assets.template("regime.html").render(
        shell=shell,
        scripts=scripts,
        css=assets.css(),
        policy=assets.policy([shell, *scripts]),
        figures=page.script_json({"map": heat_map(found, points)}),
        sentences=sentences,
        points=points,
        settings={name: value for name, value in asdict(config).items() if name not in ("out", "measured")},
    )
    write_atomically(out / "regime.html", text.encode())
    for sentence in sentences:
        Console().print(sentence, highlight=False)
    return out / "regime.html"


def describe(found: RegimeMap) -> list[str]:
    """A sentence a width: from which cost ratio on PODS is sooner than both plain GRPOs, surely, and by how much."""
    sentences = []
    best_WR = found.over_better()
    for w, width in enumerate(found.widths_W.tolist()):
        name = f"PODS {found.keep * width} → {found.keep}"
        surely = np.flatnonzero(found.low_WR[w] > 1)
        most = int(best_WR[w].argmax())
        where = f"u/g = {_number(found.ratios_R[most])}"
        if len(surely):
            first = _number(found.ratios_R[surely[0]])
            sentences.append(f"{name} surely pays from u/g = {first}; most at {where}, {best_WR[w, most]:.2f} times.")
        else:
            sentences.append(f"{name} never surely pays; the most is {best_WR[w, most]:.2f} times, at {where}.")
    return sentences


def heat_map(found: RegimeMap, points: list[Point]) -> go.Figure:
    """Speed-up over the better GRPO, over u/g and n/m; grey below 1, blue above, every cell with its number."""
    best_WR = found.over_better()
    x_R, y_W = np.log2(found.ratios_R), np.log2(found.widths_W)
    # One unit of colour is a doubling; the scale's middle is 1, where nothing is gained or lost.
    stops = ((0.0, "never"), (0.5, "paper"), (0.75, "heat-1"), (1.0, "heat-2"))
    figure = go.Figure()
    figure.add_heatmap(
        z=np.log2(best_WR.clip(2.0**-8, 2.0**8)),
        x=x_R,
        y=y_W,
        zmid=0,
        zmin=-1,
        zmax=1,
        xgap=2,
        ygap=2,
        text=[[f"{value:.2f}" for value in row] for row in best_WR],
        customdata=np.stack([found.low_WR, found.high_WR, found.over_few_WR, found.over_many_WR], axis=2),
        texttemplate="%{text}",
        colorscale=[(at, f"var(--{name})") for at, name in stops],
        showscale=False,
        name="simulated",
        hovertemplate=(
            "<b>%{text}</b> over the better (%{customdata[0]:.2f} to %{customdata[1]:.2f})<br>"
            "over GRPO m %{customdata[2]:.2f}, over GRPO n %{customdata[3]:.2f}<extra></extra>"
        ),
    )
    if points:
        figure.add_scatter(
            x=np.log2([point.ratio for point in points]),
            y=np.log2([point.width for point in points]),
            mode="markers+text",
            text=[f"<b>{point.speedup:.2f}</b> {plain(point.name, 24)}" for point in points],
            textposition="top center",
            textfont={"color": "var(--ink)", "size": 12},
            marker={"color": "var(--series-2)", "symbol": "diamond", "size": 10},
            customdata=[[point.predicted] for point in points],
            name="measured",
            hovertemplate="measured %{text}<br>the model says %{customdata[0]:.2f}<extra></extra>",
        )
    axis = {"fixedrange": True, "zeroline": False, "showgrid": False, "title": {"font": {"size": 13}, "standoff": 8}}
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "var(--ink)", "size": 12},
        margin={"l": 56, "r": 14, "t": 14, "b": 52},
        showlegend=False,
        dragmode=False,
        hoverlabel={"bgcolor": "var(--paper)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}},
    )
    figure.update_xaxes(
        **axis,
        tickvals=x_R,
        ticktext=[_number(ratio) for ratio in found.ratios_R],
        title_text="u/g: training on a rollout costs this many generated ones",
    )
    figure.update_yaxes(
        **axis,
        tickvals=y_W,
        ticktext=[str(width) for width in found.widths_W],
        title_text="n/m",
    )
    return figure


def _read_measured(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of measured runs, checked field by field."""
    try:
        rows = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ReachlabError(f"{path}: not readable: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReachlabError(f"{path}: not JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ReachlabError(f"{path}: must be a list of objects, one a measured run")
    for at, row in enumerate(rows):
        for name in ("ratio", "width", "speedup", *(n for n in ("low", "high") if row.get(n) is not None)):
            value = row.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ReachlabError(f"{path}: entry {at}: {name} is {value!r}; it must be a number above 0")
        if row["width"] != int(row["width"]) or row["width"] < 2:
            raise ReachlabError(f"{path}: entry {at}: width is {row['width']}; n/m must be a whole number from 2 on")
        if not isinstance(row.get("name"), str):
            raise ReachlabError(f"{path}: entry {at}: name is {row.get('name')!r}; it must be text")
        unknown = set(row) - {"name", "ratio", "width", "speedup", "low", "high"}
        if unknown:
            raise ReachlabError(f"{path}: entry {at}: unknown field {min(unknown)!r}")
    return rows


def _predict(row: dict[str, Any], world: World, schedule: Schedule, config: RegimeConfig) -> Point:
    plan = Plan(rollouts=config.keep * int(row["width"]), keep=config.keep, waves=config.waves)
    simulated = race(world, plan, schedule)
    costs = Costs(generate=1.0, train=row["ratio"])
    ((low, high),) = simulated.intervals([costs]).tolist()
    predicted = simulated.over_better(costs)
    return Point(**{**row, "width": int(row["width"])}, predicted=predicted, predicted_low=low, predicted_high=high)


def _numbers(found: RegimeMap) -> dict[str, Any]:
    """The map as lists; JSON has no infinity, and what a plan never reaches is null."""
    arrays = {**vars(found), "over_better_WR": found.over_better()}
    return {name: _finite(value.tolist()) if isinstance(value, np.ndarray) else value for name, value in arrays.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value if np.isfinite(value) else None


def _number(ratio: float) -> str:
    """8 as 8, an eighth as 1/8, the rest in three digits."""
    inverse = 1 / ratio
    if ratio < 1 and abs(inverse - round(inverse)) < 1e-9:
        return f"1/{round(inverse)}"
    return f"{ratio:.3g}"
