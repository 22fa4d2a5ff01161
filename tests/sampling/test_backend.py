import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.engines.concurrent import ConcurrentEngine
from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer, Progress
from reachlab.engines.rng import sample_seed
from reachlab.errors import ReachlabError
from reachlab.sampling.backend import Finished, LocalBackend, pieces_of
from reachlab.sampling.drawing import Drawer, Key
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Prompt, Verdict


class Whole:
    """An engine whose answers are their seeds, a part at a time; it fails at one of them."""

    name, dtype, seeded, lanes, piece = "whole", "float32", True, 1, 0

    def __init__(self, fail_at: int = 10**9):
        self.fail_at, self.asked, self.closed = fail_at, 0, False

    def part_size(self, decoding: Decoding, longest: int) -> int:
        return 16

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        self.asked += 1
        if self.asked > self.fail_at:
            raise ReachlabError("the engine is out")
        assert progress is not None
        progress(sum(map(len, seeds)), sum(map(len, seeds)))
        return [[EngineAnswer(str(seed), 1, "stop", None) for seed in row] for row in seeds]

    def close(self) -> None:
        self.closed = True


class Steady(ConcurrentEngine):
    """The same, a sample at a time; it fails at one of them."""

    def __init__(self, at_once: int, fail_at: int = 10**9, seeded: bool = True):
        super().__init__("steady", at_once)
        self.asked, self.fail_at, self.seeded, self.closed = 0, fail_at, seeded, False

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0)
        if number > self.fail_at:
            raise ReachlabError("the engine is out")
        return EngineAnswer(str(seed), 1, "stop", None)

    def close(self) -> None:
        self.closed = True
        super().close()


def backend_of(engine: Any) -> LocalBackend:
    task = load_task("countdown,numbers=3")
    return LocalBackend(Drawer(engine, task, task.problems("test", 6), Decoding(), 7, verify_timeout=5.0))


PARTS = [[(p, s) for s in range(10)] for p in range(6)]
ENGINES = [lambda: Whole(), lambda: Steady(1), lambda: Steady(8)]


@pytest.mark.parametrize("make", ENGINES)
def test_every_sample_comes_once_with_its_own_seed(make: Any) -> None:
    engine = make()
    backend = backend_of(engine)
    told: list[tuple[int, int]] = []
    found = list(backend.draw(PARTS, lambda *more: told.append(more)))
    backend.close()
    keys = [key for piece, _ in found for key in piece]
    assert sorted(keys) == sorted(key for part in PARTS for key in part)
    for piece, samples in found:
        for (p, s), drawn in zip(piece, samples, strict=True):
            problem = backend.drawer.problems[p]
            assert (drawn.problem_id, drawn.index) == (problem.id, s)
            assert drawn.text == str(sample_seed(7, problem.id, s)) == str(drawn.seed)
    assert [sum(column) for column in zip(*told, strict=True)] == [60, 60]
    assert engine.closed


def test_a_sample_drawn_without_a_seed_has_none() -> None:
    backend = backend_of(Steady(4, seeded=False))
    found = [sample for _, samples in backend.draw(PARTS, lambda samples, tokens: None) for sample in samples]
    backend.close()
    assert {sample.seed for sample in found} == {None}
    assert len(found) == 60


@pytest.mark.parametrize("make", [lambda: Whole(fail_at=3), lambda: Steady(4, fail_at=20)])
def test_an_error_ends_the_work_and_not_what_is_done(make: Any) -> None:
    engine = make()
    backend = backend_of(engine)
    found: list[Finished] = []
    work = backend.draw(PARTS, lambda samples, tokens: None)
    with pytest.raises(ReachlabError, match="the engine is out"):
        found.extend(iter(lambda: next(work), None))
    backend.close()
    assert sum(len(samples) for _, samples in found) <= 30


def test_a_slow_verdict_holds_up_no_other() -> None:
    """One answer's verifier waits until the others are through."""
    others = threading.Event()

    class Waits(type(load_task("countdown,numbers=3").task)):  # type: ignore[misc]
        def verify(self, problem: Problem, text: str) -> Verdict:
            if text == slow:
                assert others.wait(60)
            return Verdict.wrong()

    backend = backend_of(Steady(4))
    slow = str(backend.drawer.seed_of((0, 0)))
    backend.drawer.judge.task = Waits(numbers=3)
    seen = 0
    for _, samples in backend.draw([[(0, 0)], *PARTS[1:]], lambda samples, tokens: None):
        seen += len(samples)
        if seen >= 30:
            others.set()
    backend.close()
    assert seen == 51


@given(st.lists(st.integers(1, 20), max_size=6), st.integers(0, 7))
def test_pieces(lengths: list[int], most: int) -> None:
    parts: list[list[Key]] = [[(p, s) for s in range(n)] for p, n in enumerate(lengths)]
    pieces = list(pieces_of(parts, most))
    assert [key for piece in pieces for key in piece] == [key for part in parts for key in part]
    assert all(1 <= len(piece) <= (most or 20) for piece in pieces)
    assert all(len({p for p, _ in piece}) == 1 for piece in pieces)
    if not most:
        assert pieces == parts


def test_nothing_is_judged_when_nobody_wants_it_any_more() -> None:
    """Ctrl-C while the consumer has a batch: the backend is closed first, and the draw is closed behind it."""
    backend, others = backend_of(Steady(4)), set(threading.enumerate())
    drawn = backend.draw(PARTS, lambda samples, tokens: None)
    next(drawn)
    backend.close()
    drawn.close()  # type: ignore[attr-defined]
    assert not [thread.name for thread in set(threading.enumerate()) - others if thread.is_alive()]
