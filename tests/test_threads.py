import time
from collections.abc import Iterator

import pytest

from reachlab.threads import ahead


def test_items_come_in_order_and_one_is_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(5):
            made.append(i)
            yield i

    found = ahead(items())
    assert next(found) == 0
    for _ in range(200):
        if len(made) == 2:
            break
        time.sleep(0.01)
    time.sleep(0.02)
    assert made == [0, 1]
    assert list(found) == [1, 2, 3, 4]
    assert list(ahead(iter([]))) == []


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_whoever_stops_early_leaves_no_work_behind() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    for item in ahead(items()):
        if item == 2:
            break
    assert len(made) <= 4
