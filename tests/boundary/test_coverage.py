import numpy as np

from reachlab.boundary.coverage import Coverage, coverage


def test_every_problem_is_in_its_set() -> None:
    found = coverage(("a", "b", "c", "d", "e"), np.array([1, 0, 7, 0, 2]), np.array([3, 4, 0, 0, 1]))
    assert found == Coverage(both=("a", "e"), gained=("b",), lost=("c",), neither=("d",))
