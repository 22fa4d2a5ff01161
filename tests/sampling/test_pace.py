import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.sampling.pace import Pace


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pace_of(left: int, max_tokens: int) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(left, max_tokens, clock), clock


def test_nothing_is_known_before_the_first_token() -> None:
    pace, clock = pace_of(10, 100)
    assert pace.words() == ("unknown", "")
    clock.now += 60
    assert pace.words() == ("unknown", "")


def test_before_the_first_answer_the_most_is_said() -> None:
    pace, clock = pace_of(64, 1000)
    clock.now += 10
    pace.add(0, 8000)
    # 56,000 of at most 64,000 tokens are left, at 800 a second.
    assert pace.seconds() == pytest.approx(70)
    assert pace.words() == ("at most 1m10s", "800 tok/s")


def test_the_first_short_answer_does_not_speak_for_all() -> None:
    """256 answers of 1,000 tokens are under way, 100 tokens each, and one of 100 has finished: the mean is not 100."""
    pace, clock = pace_of(4096, 1000)
    clock.now += 20
    pace.add(0, 25_500)
    pace.add(1, 100)
    assert pace.seconds() == pytest.approx((4095 * 1000 - 24_600) / 1280)


def test_equal_answers_in_waves() -> None:
    """Eight at a time of exactly 50 tokens, a step a second: the estimate is right from the first answers on."""
    pace, clock = pace_of(80, 50)
    for step in range(1, 501):
        clock.now += 1
        pace.add(8 if step % 50 == 0 else 0, 8)
        if step >= 50:
            assert pace.seconds() == pytest.approx(500 - step)
    assert pace.words() == ("0s", "8 tok/s")


@given(lengths=st.lists(st.integers(1, 60), min_size=8, max_size=40), rows=st.integers(1, 8))
def test_any_lengths_end_at_zero_and_never_beyond_the_most(lengths: list[int], rows: int) -> None:
    pace, clock = pace_of(len(lengths), 60)
    waiting, under_way = list(lengths), list[int]()
    drawn = 0
    while waiting or under_way:
        while waiting and len(under_way) < rows:
            under_way.append(waiting.pop())
        drawn += len(under_way)
        clock.now += len(under_way)
        under_way = [n - 1 for n in under_way]
        ended = under_way.count(0)
        pace.add(ended, len(under_way))
        under_way = [n for n in under_way if n]
        left = len(waiting) + len(under_way)
        assert 0 <= pace.seconds() <= 60 * left
    assert pace.seconds() == 0
