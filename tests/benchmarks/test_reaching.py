import numpy as np
import pytest

from reaching import Reached, first, last, reached
from reachlab.boundary import student

X = np.array([1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("lacking", "begun", "stays"),
    [
        ([3.0, 1.0, -1.0, -3.0], 2.5, 2.5),
        ([-1.0, -2.0, -3.0, -4.0], 1.0, 1.0),
        ([3.0, 2.0, 1.0, 0.5], np.inf, np.inf),
        ([1.0, -1.0, 1.0, -1.0], 1.5, 3.5),
        ([1.0, -1.0, -1.0, 1.0], 1.5, np.inf),
        ([2.0, 0.0, -1.0, -1.0], 2.0, 2.0),
    ],
)
def test_places_on_a_straight_line(lacking: list[float], begun: float, stays: float) -> None:
    assert (first(X, np.array(lacking)), last(X, np.array(lacking))) == (begun, stays)


def test_ends_are_where_the_t_interval_leaves_zero() -> None:
    """Seeds that differ by a constant: the ends are the mean's place moved by the t-interval's half."""
    offsets_S = np.array([-0.2, 0.1, 0.4])
    found = reached(X, 2.0 - X + offsets_S[:, None])
    mean, low, high = student.interval(offsets_S)
    assert (found.at, found.low, found.high) == pytest.approx((2.0 + mean, 2.0 + low, 2.0 + high))


def test_what_may_have_been_before_the_first_measurement() -> None:
    found = reached(X, 1.5 - X + np.array([-0.2, 0.1, 0.4])[:, None])
    assert found.low == 0
    assert found.at == pytest.approx(1.6)


def test_seeds_that_never_arrive_leave_the_end_open() -> None:
    found = reached(X, np.array([[1.0, 0.5, -1.0, -2.0], [1.0, 0.8, 0.5, 0.2], [1.0, 0.6, -0.8, -1.9]]))
    assert np.isfinite(found.at)
    assert found.high == np.inf


def test_one_seed_has_a_place_and_no_interval() -> None:
    found = reached(X, np.array([[3.0, 1.0, -1.0, -3.0]]))
    assert found.at == 2.5
    assert np.isnan([found.low, found.high]).all()


def test_it_covers_what_it_promises() -> None:
    """Three seeds, each with a slope, an offset and measurements of its own: 2.6 is the true place."""
    rng = np.random.default_rng(0)
    x_E, held, simulations = np.linspace(0, 10, 21), 0, 2000
    for _ in range(simulations):
        slope_S1, offset_S1 = rng.normal(-1, 0.1, (3, 1)), rng.normal(0, 0.5, (3, 1))
        found = reached(x_E, 2.6 + slope_S1 * x_E + offset_S1 + rng.normal(0, 0.1, (3, 21)))
        held += found.low <= 2.6 <= found.high
    assert held / simulations >= 0.95 - 3 * (0.95 * 0.05 / simulations) ** 0.5


def test_equal_curves_are_equally_soon() -> None:
    lacking_SE = np.tile([2.0, 1.0, -1.0, -2.0], (3, 1))
    assert reached(X, lacking_SE) == Reached(2.5, 2.5, 2.5)
    assert reached(X, -1 - lacking_SE**2) == Reached(1.0, 0.0, 1.0)
