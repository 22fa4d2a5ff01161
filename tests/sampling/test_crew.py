import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.sampling.config import Decoding
from reachlab.sampling.crew import Alone, Finished, pieces_of
from reachlab.sampling.drawing import Drawer, Key
from reachlab.sampling.draws import sample_seed
from reachlab.sampling.engines.engine import Answer
from reachlab.tasks.registry import load_task
from reachlab.types import Prompt


class Slow:
    """An engine whose answers are their seeds; the first piece of each two takes long."""

    name, piece = "slow", 4

    def __init__(self, lanes: int, fail_at: int = 10**9):
        self.lanes, self.fail_at = lanes, fail_at
        self.lock, self.now, self.most, self.asked, self.closed = threading.Lock(), 0, 0, 0, False

    def part_size(self, decoding: Decoding, longest: int) -> int:
        return 16

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Answer]]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            number = self.asked
            self.asked += 1
        time.sleep(0.02 if number % 2 == 0 else 0.001)
        with self.lock:
            self.now -= 1
        if number >= self.fail_at:
            raise ReachlabError("the engine is out")
        assert progress is not None
        progress(sum(map(len, seeds)))
        return [[Answer(str(seed), 1, "stop", None) for seed in row] for row in seeds]

    def close(self) -> None:
        self.closed = True


def crew_of(engine: Any) -> Alone:
    task = load_task("countdown,numbers=3")
    return Alone(Drawer(engine, task, task.problems("test", 6), Decoding(), 7, verify_timeout=5.0))


PARTS = [[(p, s) for s in range(10)] for p in range(6)]


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_every_sample_comes_once_with_its_own_seed(lanes: int) -> None:
    engine = Slow(lanes)
    crew = crew_of(engine)
    told: list[int] = []
    found = list(crew.draw(PARTS, told.append))
    crew.close()
    keys = [key for piece, _ in found for key in piece]
    assert sorted(keys) == sorted(key for part in PARTS for key in part)
    for piece, samples in found:
        for (p, s), drawn in zip(piece, samples, strict=True):
            problem = crew.drawer.problems[p]
            assert (drawn.problem_id, drawn.index) == (problem.id, s)
            assert drawn.text == str(sample_seed(7, problem.id, s))
    assert sum(told) == 60
    assert engine.most == lanes
    assert engine.closed


@pytest.mark.parametrize("lanes", [1, 3])
def test_an_error_ends_the_work_and_not_what_is_done(lanes: int) -> None:
    engine = Slow(lanes, fail_at=6)
    crew = crew_of(engine)
    found: list[Finished] = []
    work = crew.draw(PARTS, lambda n: None)
    with pytest.raises(ReachlabError, match="the engine is out"):
        found.extend(iter(lambda: next(work), None))
    crew.close()
    assert 1 <= len(found) <= 6
    assert engine.now == 0


@given(st.lists(st.integers(1, 20), max_size=6), st.integers(0, 7))
def test_pieces(lengths: list[int], most: int) -> None:
    parts: list[list[Key]] = [[(p, s) for s in range(n)] for p, n in enumerate(lengths)]
    pieces = list(pieces_of(parts, most))
    assert [key for piece in pieces for key in piece] == [key for part in parts for key in part]
    assert all(1 <= len(piece) <= (most or 20) for piece in pieces)
    assert all(len({p for p, _ in piece}) == 1 for piece in pieces)
    if not most:
        assert pieces == parts
