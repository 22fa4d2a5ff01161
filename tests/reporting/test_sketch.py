import re

import numpy as np
import pytest

from reachlab.boundary.curve import Curve
from reachlab.reporting.figures import plots
from reachlab.reporting.figures.plots import Line, Mark
from reachlab.reporting.sketch import HEIGHT, WIDTH, sketch
from reachlab.reporting.styles import Style


def line(index: int, y: list[float]) -> Line:
    values = np.array(y)
    x = np.arange(1, len(y) + 1)
    return Line(f"m{index}", Style(index), Curve(x, values, values - 0.1, values + 0.1, 0.95))


def points(path: str) -> np.ndarray:
    return np.array([float(number) for number in re.findall(r"-?[\d.]+", path)]).reshape(-1, 2)


def test_the_sketch_stands_where_the_figure_does() -> None:
    lines, marks = [line(0, [0.1, 0.2, 0.3, 0.4]), line(1, [0.3] * 4)], [Mark(name="m1", style=Style(1), k=3)]
    drawn, plotted = sketch(lines, marks, 4), plots.passk(lines, marks, 4)
    left, right = plotted.layout.xaxis.range
    bottom, top = plotted.layout.yaxis.range
    areas, mark, curves = drawn.strokes[:2], drawn.strokes[2], drawn.strokes[3:]
    for stroke, trace in zip((*areas, *curves), plotted.data, strict=True):
        x = (np.log10(np.array(trace.x, float)) - left) / (right - left) * WIDTH
        y = (top - np.array(trace.y)) / (top - bottom) * HEIGHT
        np.testing.assert_allclose(points(stroke.path), np.stack([x, y], axis=1), atol=0.051)
        assert stroke.colour == trace.line.color
        assert stroke.name == trace.legendgroup
    assert [stroke.dash for stroke in (*areas, *curves)] == [None, None, *(e.style.dash for e in lines)]
    assert points(mark.path)[:, 0] == pytest.approx((np.log10(3) - left) / (right - left) * WIDTH, abs=0.051)
    assert [tick.text for tick in drawn.k_ticks] == list(plotted.layout.xaxis.ticktext)
    assert drawn.share_ticks[-1].at == pytest.approx(100 / top)


def test_one_k_stands_in_the_middle() -> None:
    (tick,) = sketch([line(0, [0.5])], [], 1).k_ticks
    assert tick.text == "1"
    assert tick.at == pytest.approx(50)
