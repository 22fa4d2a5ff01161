import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.curve import Curve
from reachlab.reporting.figures.plots import Line
from reachlab.reporting.figures.training_plots import PHASES, looks, moving_mean, phases, training, window
from reachlab.reporting.styles import Style


def line(values: list[float]) -> Line:
    return Line("m", Style(1), Curve.exact(np.arange(1, len(values) + 1), np.array(values)))


def drawn(figure: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(figure.to_json())
    return found


@pytest.mark.parametrize(("steps", "wide"), [(1, 1), (19, 1), (20, 3), (60, 7), (100, 11), (5000, 51)])
def test_a_curve_is_averaged_over_a_tenth_of_it(steps: int, wide: int) -> None:
    assert window(steps) == wide


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(0, 10))
def test_the_moving_mean_is_centred(values: list[float], half: int) -> None:
    found = moving_mean(np.array(values), 2 * half + 1)
    for at, value in enumerate(found):
        reach = min(half, at, len(values) - 1 - at)
        assert value == pytest.approx(np.mean(values[at - reach : at + reach + 1]), abs=1e-6)
    assert found[[0, -1]] == pytest.approx([values[0], values[-1]], abs=1e-6)


def test_a_line_keeps_its_slope() -> None:
    np.testing.assert_allclose(moving_mean(np.arange(30.0), 7), np.arange(30.0))


def test_the_mean_stands_over_the_steps_that_it_is_of() -> None:
    raw, smooth = drawn(training([(line([0.1, 0.3, 0.2]), np.array([0.1, 0.2, 0.2]))], "mean reward"))["data"]
    assert (raw["meta"], smooth["meta"]) == ({"raw": True}, {"smooth": True})
    assert raw["opacity"] < 1
    assert raw["hoverinfo"] == "skip"
    assert raw["line"]["color"] == smooth["line"]["color"]
    (alone,) = drawn(training([(line([0.1, 0.3]), None)], "mean reward"))["data"]
    assert "meta" not in alone


def test_small_numbers_are_no_metric_prefixes() -> None:
    axis = drawn(training([(line([6e-8, 1e-8]), None)], "loss"))["layout"]["yaxis"]
    assert axis["exponentformat"] == "power"
    assert drawn(training([(line([0.01, 0.02]), None)], "x", share=True))["layout"]["yaxis"]["tickformat"] == "~%"


def test_phases_look_different() -> None:
    assert len(set(PHASES.values())) == len(PHASES) >= 8
    names = ["generate", "verify", "grade", "logprobs", "update", "guard", "other", "upload"]
    found = looks(names)
    assert list(found) == names
    assert len(set(found.values())) == 8
    assert found["generate"] == PHASES["generate"]
    bars = drawn(phases(["a"], {name: [1.0] for name in names}))["data"]
    assert len({(bar["marker"]["color"], bar["marker"]["pattern"]["shape"]) for bar in bars}) == 8
