from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.histogram import LABELS, accuracy_histogram


def test_labels() -> None:
    assert LABELS[:3] == ("0", "(0, 0.1]", "(0.1, 0.2]")
    assert LABELS[-2:] == ("(0.9, 1)", "1")


@given(st.integers(1, 300), st.data())
def test_each_problem_falls_into_the_bin_of_its_label(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    found = accuracy_histogram(np.array([n]), np.array([c]))
    label = found.labels[found.counts.index(1)]
    assert sum(found.counts) == 1
    share = Fraction(c, n)
    if share in (0, 1):
        assert label == str(share)
    else:
        low, high = (Fraction(end) for end in label.strip("(])").split(", "))
        assert low < share <= high


def test_counts_add_up() -> None:
    found = accuracy_histogram(np.full(5, 10), np.array([0, 0, 1, 9, 10]))
    assert (found.counts[0], found.counts[1], found.counts[-3], found.counts[-1]) == (2, 1, 1, 1)
    assert sum(found.counts) == 5
