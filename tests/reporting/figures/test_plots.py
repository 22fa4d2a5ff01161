import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.curve import Curve
from reachlab.measures.measure import Check
from reachlab.reporting.figures import plots, problem_plots, training_plots
from reachlab.reporting.figures.plots import MAX_POINTS, Line, Mark, plain, powers_of_two, thin
from reachlab.reporting.styles import Style, shorten


def line(index: int, y: list[float], *, band: bool = True) -> Line:
    values = np.array(y)
    x = np.arange(1, len(y) + 1)
    curve = Curve(x, values, values - 0.1, values + 0.1, 0.95) if band else Curve.exact(x, values)
    return Line(f"m{index}", Style(index), curve)


def drawn(figure: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(figure.to_json())
    return found


@pytest.mark.parametrize(
    ("n", "ticks"),
    [
        (1, [1]),
        (2, [1, 2]),
        (4, [1, 2, 4]),
        (5, [1, 2, 4]),
        (6, [1, 2, 4, 6]),
        (61, [1, 2, 4, 8, 16, 32, 61]),
    ],
)
def test_ticks_are_powers_of_two_and_the_end(n: int, ticks: list[int]) -> None:
    assert powers_of_two(n) == ticks


@pytest.mark.parametrize("n", [1, 5, 64, 1024, 1025, 4096, 100_000])
def test_labels_have_room(n: int) -> None:
    labels = [text for _, text in plots.k_ticks(n)]
    assert [k for k, _ in plots.k_ticks(n)] == powers_of_two(n)
    assert labels[-1] == str(powers_of_two(n)[-1])
    assert len([text for text in labels if text]) <= 11
    assert n > 1024 or "" not in labels


@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_thinning_keeps_the_ends_the_ticks_and_the_crossing(n: int, crossing: int) -> None:
    crossing = min(crossing, n)
    ks = np.arange(1, n + 1)
    at = thin(ks, [crossing])
    assert len(at) <= MAX_POINTS
    assert (np.diff(at) > 0).all()
    assert {1, n, crossing, *powers_of_two(n)} <= set(ks[at].tolist())


def test_thinning_keeps_every_value_where_there_are_few() -> None:
    assert thin(np.arange(1, 51)).tolist() == list(range(50))
    assert thin(np.array([1, 10, 100])).tolist() == [0, 1, 2]


def test_thinning_is_even_on_a_log_axis() -> None:
    ks = np.arange(1, 100_001)
    gaps = np.diff(np.log(ks[thin(ks)][50:]))
    assert gaps.max() < 2 * np.log(1e5) / MAX_POINTS


def test_names_stay_text() -> None:
    assert plain("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"
    assert plain("<" * 50, 3) == "&lt;…&lt;"


@given(st.text(), st.integers(3, 40))
def test_shortening_keeps_both_ends(name: str, longest: int) -> None:
    short = shorten(name, longest)
    assert len(short) == min(len(name), longest)
    if len(name) > longest:
        head = (longest - 1) // 2
        assert short[head] == "…"
        assert name.startswith(short[:head])
        assert name.endswith(short[head + 1 :])


def test_passk_has_a_band_and_a_line_a_model_and_marks_crossings() -> None:
    mark = Mark(name="m1", style=Style(1), k=3)
    found = drawn(plots.passk([line(0, [0.1, 0.2, 0.3, 0.4]), line(1, [0.3] * 4)], [mark], 4))
    assert [trace.get("fill") for trace in found["data"]] == ["toself", "toself", None, None]
    assert {trace["legendgroup"] for trace in found["data"]} == {"m0", "m1"}
    assert found["layout"]["xaxis"]["type"] == "log"
    assert found["layout"]["xaxis"]["tickvals"] == [1, 2, 4]
    (shape,) = found["layout"]["shapes"]
    assert (shape["x0"], shape["x1"], shape["name"]) == (3, 3, "m1")
    texts = [a for a in found["layout"]["annotations"] if "k = 3" in a["text"]]
    assert len(texts) == 1
    assert texts[0]["x"] == pytest.approx(np.log10(3))


def test_crossing_labels_stand_in_rows_of_their_own() -> None:
    marks = [Mark(name=f"m{i}", style=Style(i), k=8 + i) for i in range(1, 6)]
    found = drawn(plots.passk([line(0, [0.1] * 64)], marks, 64))
    heights = [a["y"] for a in found["layout"]["annotations"] if "k = " in a["text"]]
    assert len(set(heights)) == 5
    assert "k = 9</b> ■" in str(found["layout"]["annotations"])


def test_models_differ_without_colour() -> None:
    looks = {(Style(i).dash, Style(i).marker) for i in range(16)}
    assert len(looks) == 16


def test_every_colour_is_a_name_that_the_page_knows() -> None:
    from reachlab.reporting import assets

    css = assets.css()
    every = [
        plots.passk([line(i, [0.1, 0.2]) for i in range(9)], [Mark(name="a", style=Style(1), k=2)], 2),
        plots.difference([line(1, [0.1, -0.2])], 2),
        problem_plots.strip(["a"], [np.array([0.0, 1.0])], ["p", "q"]),
        problem_plots.histogram("a", Style(2), [1] * 12, 3),
        training_plots.training([(line(1, [0.1], band=False), np.array([0.1]))], "loss"),
        training_plots.phases(["a"], {str(i): [1.0] for i in range(9)}),
    ]

    def colours(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set().union(*(colours(inner) for inner in value.values()))
        if isinstance(value, list):
            return set().union(*(colours(inner) for inner in value))
        return {value[4:-1]} if isinstance(value, str) and value.startswith("var(") else set()

    names = set().union(*(colours(drawn(figure)) for figure in every))
    assert len(names) > 12
    assert [name for name in names if f"{name.removesuffix('-band').removesuffix('-faint')}:" not in css] == []


def test_difference_is_in_points() -> None:
    found = plots.difference([line(1, [0.25, -0.5])], 2)
    assert found.data[1].y.tolist() == [25, -50]
    np.testing.assert_allclose(found.data[1].customdata, [[15, 35], [-60, -40]])


def test_one_k_has_error_bars_instead_of_bands() -> None:
    found = plots.passk([line(0, [0.5])], [], 1).data[1]
    assert found.error_y.array.tolist() == pytest.approx([0.1])
    assert found.error_y.arrayminus.tolist() == pytest.approx([0.1])
    assert plots.passk([line(0, [0.5, 0.6])], [], 2).data[1].error_y.array is None


def test_an_unsure_crossing_is_drawn_differently() -> None:
    marks = [Mark(name=f"m{i}", style=Style(i), k=2 + i, sure=i == 1) for i in (1, 2)]
    found = drawn(plots.passk([line(0, [0.1] * 8)], marks, 8))["layout"]
    assert {shape["name"]: shape["line"]["dash"] for shape in found["shapes"]} == {"m1": "2px,3px", "m2": "2px,8px"}
    texts = {a["name"]: a["text"] for a in found["annotations"] if "k = " in a["text"]}
    assert texts == {"m1": "<b>k = 3</b> m1", "m2": "k = 4? m2"}


def test_axes_have_as_many_decimals_as_they_need() -> None:
    """Ticks at 0.5% and 1% must not both read 1%: d3 writes as many digits as there are, without trailing zeros."""
    small = line(0, [0.01, 0.02])
    assert drawn(plots.over_k([small], 2, "x"))["layout"]["yaxis"]["tickformat"] == "~%"
    assert drawn(plots.passk([small], [], 2))["layout"]["yaxis"]["tickformat"] == "~%"
    assert drawn(plots.difference([small], 2))["layout"]["yaxis"]["tickformat"] == "+~f"
    assert "tickformat" not in {
        k for k, v in drawn(plots.over_k([small], 2, "x", ".3g"))["layout"]["yaxis"].items() if v
    }


def test_predictions_stand_over_what_was_observed() -> None:
    check = Check(
        title="t", caption="", words=("from 4 samples to k = 8",), predicted=(0.502,), observed=(0.494,), error=(0.027,)
    )
    (trace,) = plots.predicted([("a<b", Style(1), check)]).data
    assert (trace.x, trace.y, trace.error_y.array) == ((0.494,), (0.502,), (0.027,))
    assert list(trace.customdata[0]) == ["from 4 samples to k = 8", 2.7]
    assert trace.name == "a&lt;b"
