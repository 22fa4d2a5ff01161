import json

import numpy as np
import pytest

from reachlab.boundary.cover import CoverDifference
from reachlab.boundary.curve import Curve, plain

X, Y = np.array([1, 2, 8]), np.array([0.1, 0.2, 0.4])


def test_points_are_taken_and_scaled_with_both_intervals() -> None:
    curve = Curve(X, Y, Y - 0.1, Y + 0.1, 0.9, band=(Y - 0.2, Y + 0.2))
    found = curve.take(np.array([0, 2])).times(100)
    assert found.x.tolist() == [1, 8]
    assert found.values == pytest.approx([10, 40])
    assert [end.tolist() for end in found.intervals()] == [
        pytest.approx(ends) for ends in ([0, 30], [20, 50], [-10, 20], [30, 60])
    ]
    assert (found.level, curve.last, type(curve.last)) == (0.9, 8, int)


def test_what_was_counted_has_no_interval() -> None:
    curve = Curve.exact(X, Y)
    assert curve.intervals() == []
    assert curve.to_dict() == {"ks": [1, 2, 8], "values": Y.tolist(), "low": Y.tolist(), "high": Y.tolist(), "level": 0}


def test_json_has_what_a_kind_of_curve_knows_besides() -> None:
    found = CoverDifference(X / 10, Y, Y, Y, 0.95, name="rl", base="base", problems=3, smoothed=Y).to_dict()
    assert found["taus"] == [0.1, 0.2, 0.8]
    assert found["measured"] == found["values"] == found["smoothed"]
    assert (found["name"], found["base"], found["problems"], found["level"]) == ("rl", "base", 3, 0.95)
    assert json.loads(json.dumps(found)) == found


def test_plain_is_what_json_can_hold() -> None:
    curve = Curve(X, Y, Y, Y, 0.5, band=(Y, Y))
    found = plain({"curve": curve, "pair": (np.float64(1), np.int64(2)), "none": None})
    assert found["curve"]["band_low"] == Y.tolist()
    assert found["pair"] == [1, 2]
    assert json.loads(json.dumps(found)) == found
