import numpy as np
import pytest

from reachlab.boundary.crossing import Crossing
from reachlab.boundary.verdict import Difference, surely, verdict

UP, EVEN, DOWN = (0.10, 0.05, 0.15), (0.01, -0.04, 0.06), (-0.24, -0.30, -0.18)
Ends = tuple[float, float, float]


def difference(*ends: Ends, differing: int = 50, level: float = 0.95) -> Difference:
    values, low, high = np.array(ends).T
    count = np.full(len(ends), differing)
    return Difference(values, low, high, count, surely(low, high, count, level))


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        (UP, UP, "wider"),
        (UP, EVEN, "sharper"),
        (UP, DOWN, "narrower"),
        (EVEN, UP, "wider"),
        (EVEN, EVEN, "undecided"),
        (EVEN, DOWN, "narrower"),
        (DOWN, UP, "wider"),
        (DOWN, EVEN, "blunter"),
        (DOWN, DOWN, "narrower"),
    ],
)
def test_label_follows_the_intervals(first: Ends, last: Ends, label: str) -> None:
    found = verdict(np.array([1, 256]), difference(first, last), Crossing(9, 8, 11))
    assert found.label == label
    assert found.sentence.startswith(label)
    assert ("at every k" in found.sentence) == (first == last != EVEN)
    assert ("catches up at k=9 [8, 11]" in found.sentence) == (first == UP and last != UP)


def test_the_whole_sentence() -> None:
    found = verdict(np.array([1, 256]), difference(UP, DOWN), Crossing(9, 8, None))
    assert found.sentence == (
        "narrower: more often right at k=1 (+10.0 points [+5.0, +15.0]) but solves fewer problems at k=256 "
        "(−24.0 points [−30.0, −18.0]); the base catches up at k=9 [8, beyond 256]"
    )


def test_ahead_at_both_ends_is_not_ahead_at_every_k() -> None:
    found = verdict(np.array([1, 16, 256]), difference(UP, EVEN, UP), Crossing(None, 3, None))
    assert found.label == "wider"
    assert "every k" not in found.sentence


def test_few_differing_problems_support_no_word() -> None:
    ks, crossing = np.array([1, 256]), Crossing(None, None, None)
    five = verdict(ks, difference(UP, UP, differing=5), crossing)
    assert five.label == "undecided"
    assert "[+5.0, +15.0]; only 5 problems differ)" in five.sentence
    assert verdict(ks, difference(UP, UP, differing=6), crossing).label == "wider"
    assert verdict(ks, difference(UP, UP, differing=7, level=0.99), crossing).label == "undecided"
    assert verdict(ks, difference(UP, UP, differing=8, level=0.99), crossing).label == "wider"


def test_one_sample_a_problem_says_nothing_about_reach() -> None:
    found = verdict(np.array([1]), difference(DOWN), Crossing(1, 1, 1))
    assert found.label == "blunter"
    assert "nothing about reach" in found.sentence


def test_zero_has_no_negative_sign() -> None:
    nothing = (-0.0, -0.0001, 0.0)  # points are shown with one decimal
    found = verdict(np.array([1, 8]), difference(nothing, nothing), Crossing(1, 1, 1))
    assert found.sentence == (
        "undecided: no sure difference at k=1 (+0.0 points [+0.0, +0.0]) "
        "and no sure difference at k=8 (+0.0 points [+0.0, +0.0])"
    )


def test_a_difference_nobody_would_notice_is_none() -> None:
    saturated = (1e-9, 1e-10, 1e-8)
    assert verdict(np.array([1, 8]), difference(saturated, saturated), Crossing(1, 1, 1)).label == "undecided"
