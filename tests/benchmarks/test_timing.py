import math

import numpy as np
import pytest

from timing import median_interval


@pytest.mark.parametrize(("rounds", "j"), [(6, 1), (8, 1), (9, 2), (15, 4), (20, 6)])
def test_ends_are_those_of_the_sign_tests_tables(rounds: int, j: int) -> None:
    values = np.random.default_rng(0).permutation(rounds).tolist()
    assert median_interval(values) == ((rounds - 1) / 2, j - 1, rounds - j)


def test_few_rounds_have_no_interval() -> None:
    middle, low, high = median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert middle == 3.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_it_covers_what_it_promises() -> None:
    rng, simulations, held = np.random.default_rng(0), 4000, 0
    for _ in range(simulations):
        _, low, high = median_interval(rng.exponential(size=15).tolist())
        held += low <= math.log(2) <= high
    assert held / simulations == pytest.approx(0.965, abs=0.012)
