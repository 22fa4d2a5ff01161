from dataclasses import replace

import numpy as np
import pytest

from reachlab.boundary.crossing import Crossing
from reachlab.boundary.verdict import Difference, surely, verdict

UP, EVEN, DOWN = (0.10, 0.05, 0.15), (0.01, -0.04, 0.06), (-0.24, -0.30, -0.18)
SAME = (0.005, -0.02, 0.029)
Ends = tuple[float, float, float]


def difference(*ends: Ends, p: float = 0.01, level: float = 0.95) -> Difference:
    """A difference whose band is given; the interval at one k, which no word rests on, is narrower."""
    values, low, high = np.array(ends).T
    p_K = np.full(len(ends), p)
    return Difference(
        x=np.arange(len(ends)),
        values=values,
        low=(values + low) / 2,
        high=(values + high) / 2,
        level=level,
        band=(low, high),
        p=p_K,
        differing=np.full(len(ends), 5),
        sign=surely(low, high, p_K, level),
    )


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        (UP, UP, "wider"),
        (UP, EVEN, "sharper"),
        (UP, SAME, "sharper only"),
        (UP, DOWN, "narrower"),
        (EVEN, UP, "wider"),
        (EVEN, EVEN, "undecided"),
        (EVEN, DOWN, "narrower"),
        (DOWN, UP, "wider"),
        (DOWN, EVEN, "blunter"),
        (DOWN, SAME, "blunter only"),
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


def test_only_is_said_of_a_reach_that_is_the_same() -> None:
    ks, crossing = np.array([1, 256]), Crossing(9, 8, 11)
    assert verdict(ks, difference(UP, EVEN), crossing).sentence == (
        "sharper; reach undecided: more often right at k=1 (+10.0 points [+5.0, +15.0]), no sure difference at k=256 "
        "(+1.0 points [−4.0, +6.0]); the base catches up at k=9 [8, 11]"
    )
    assert verdict(ks, difference(UP, SAME), crossing).sentence == (
        "sharper only: more often right at k=1 (+10.0 points [+5.0, +15.0]) but the same within 3 points at k=256 "
        "(+0.5 points [−2.0, +2.9]); the base catches up at k=9 [8, 11]"
    )
    assert verdict(ks, difference(UP, SAME), crossing, same_within=0.02).label == "sharper"
    assert verdict(ks, difference(UP, EVEN), crossing, same_within=0.07).label == "sharper only"


def test_ahead_at_both_ends_is_not_ahead_at_every_k() -> None:
    found = verdict(np.array([1, 16, 256]), difference(UP, EVEN, UP), Crossing(None, 3, None))
    assert found.label == "wider"
    assert "every k" not in found.sentence


def test_what_equal_models_could_show_supports_no_word() -> None:
    ks, crossing = np.array([1, 256]), Crossing(None, None, None)
    unsure = verdict(ks, difference(UP, UP, p=0.0625), crossing)
    assert unsure.label == "undecided"
    assert "[+5.0, +15.0]; only 5 problems differ)" in unsure.sentence
    assert verdict(ks, difference(UP, UP, p=0.05), crossing).label == "wider"
    assert verdict(ks, difference(UP, UP, p=0.02, level=0.99), crossing).label == "undecided"


def test_one_differing_problem_is_one() -> None:
    found = replace(difference(UP, p=0.5), differing=np.array([1]))
    assert found.words(0).endswith("; only 1 problem differs")


def test_why_there_is_no_word_is_true() -> None:
    """It was "only 67 problems differ" whatever the reason: few, a family of many, or no test at all."""
    many = replace(difference(UP, p=0.0812), differing=np.array([67]))
    assert many.words(0).endswith("+15.0]; but equal models could be so far apart, p = 0.081")
    assert replace(many, tested=False).words(0).endswith("; sampled by different rules, which no test can be exact for")
    few = replace(many, differing=np.array([2]), unit="cluster")
    assert few.words(0).endswith("; only 2 clusters differ")
    assert replace(difference(UP), differing=np.array([67])).words(0).endswith("+15.0]")


def test_one_sample_a_problem_says_nothing_about_reach() -> None:
    found = verdict(np.array([1]), difference(DOWN), Crossing(1, 1, 1))
    assert found.label == "blunter"
    assert "nothing about reach" in found.sentence


def test_zero_has_no_negative_sign() -> None:
    nothing = (-0.0, -0.0001, 0.0)  # points are shown with one decimal
    found = verdict(np.array([1, 8]), difference(nothing, nothing), Crossing(1, 1, 1))
    assert found.sentence == (
        "undecided: no sure difference at k=1 (+0.0 points [+0.0, +0.0]) and the same within 3 points at k=8 "
        "(+0.0 points [+0.0, +0.0]); the same within 3 points at every k"
    )


def test_a_difference_nobody_would_notice_is_none() -> None:
    saturated = (1e-9, 1e-10, 1e-8)
    assert verdict(np.array([1, 8]), difference(saturated, saturated), Crossing(1, 1, 1)).label == "undecided"
