import numpy as np
import pytest

from reachlab.reporting.figures.neighbours import merged, said


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 2001])
def test_columns_are_means_of_neighbours(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    (columns,), width = merged([values], most=8)
    assert len(columns) == -(-count // width) <= 8
    assert columns == pytest.approx([values[at : at + width].mean() for at in range(0, count, width)])
    assert bool(said(width)) == (count > 8)


def test_never_solved_stays_never_solved_and_no_other_becomes_it() -> None:
    (columns,), width = merged([np.array([0.0, 0.0, 0.0, 1e-6, 1.0])], most=3)
    assert width == 2
    assert (columns > 0).tolist() == [False, True, True]
