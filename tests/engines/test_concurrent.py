import asyncio
import threading

import pytest

from reachlab.engines import concurrent
from reachlab.engines.concurrent import PIECE, ConcurrentEngine
from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer
from reachlab.errors import ReachlabError
from reachlab.types import Prompt


class Echo(ConcurrentEngine):
    """Answers with its seed, the larger the sooner; seed 13 fails."""

    def __init__(self, at_once: int = 8):
        super().__init__("echo", at_once)
        self.cancelled = self.ended = 0

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        try:
            if seed == 13:
                raise ReachlabError("thirteen")
            await asyncio.sleep(60 if seed == 99 else 0.05 / (seed + 1))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        return EngineAnswer(f"{prompt!s} {seed}", 1, "stop", None)


def test_answers_stand_where_they_were_asked() -> None:
    engine, told = Echo(), list[tuple[int, int]]()
    found = engine.answer(["a", "b", "c"], [[1, 2, 3], [], [4]], Decoding(), lambda *more: told.append(more))
    assert [[a.text for a in row] for row in found] == [["a 1", "a 2", "a 3"], [], ["c 4"]]
    assert told == [(1, 1)] * 4
    engine.close()
    engine.close()


def test_several_threads_ask_at_once() -> None:
    engine = Echo()
    found: dict[int, list[str]] = {}

    def ask(n: int) -> None:
        (row,) = engine.answer([str(n)], [list(range(10))], Decoding())
        found[n] = [a.text for a in row]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [f"{n} {s}" for s in range(10)] for n in range(6)}
    engine.close()


def test_one_error_stops_the_others() -> None:
    engine = Echo()
    with pytest.raises(ReachlabError, match="thirteen"):
        engine.answer(["a"], [[99, 13, 99]], Decoding())
    assert (engine.cancelled, engine.ended) == (2, 0)
    engine.close()


def test_closing_cancels_what_is_asked() -> None:
    engine = Echo()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            engine.answer(["a"], [[99]], Decoding())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not engine._loop.call_soon_threadsafe(lambda: None):  # until the loop turns
        pass
    threading.Event().wait(0.2)
    engine.close()
    thread.join(5)
    assert not thread.is_alive()
    assert engine.cancelled == 1
    assert len(failed) == 1


def test_lanes_keep_the_engine_busy() -> None:
    for at_once in (1, 8, 100, 256):
        engine = Echo(at_once)
        # Even with one piece in each lane all but done, as many samples as it takes are still asked.
        assert (engine.lanes - 1) * PIECE >= at_once or engine.lanes * PIECE >= 2 * at_once
        engine.close()


class Gated(ConcurrentEngine):
    """Answers odd seeds at once, and even ones when the gate opens; five tokens each, two of them drawn by then."""

    def __init__(self, at_once: int = 4, gated: bool = True):
        super().__init__("gated", at_once)
        self.gate = asyncio.Event()
        self.waiting = self.most = self.now = 0
        if not gated:
            self.open()

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self.gate.set)

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        self.now += 1
        self.most = max(self.most, self.now)
        if seed % 2 == 0:
            self.waiting += 1
            try:
                await self.gate.wait()
            finally:
                self.waiting -= 1
        else:
            await asyncio.sleep(0)
        self.now -= 1
        return EngineAnswer(str(seed), 5, "stop", None)

    def tokens_under_way(self) -> int:
        return 2 * self.waiting


def asked(n: int) -> list[tuple[int, Prompt, int]]:
    return [(key, "p", key) for key in range(n)]


def test_a_stream_has_what_is_finished_while_the_rest_goes_on() -> None:
    engine = Gated()
    found: list[int] = []
    for batch in engine.stream(asked(10), Decoding()):
        found += [key for key, answer in batch if answer.text == str(key)]
        if len(found) == 5:  # the even ones wait for us, who have had the odd ones
            assert sorted(found) == [1, 3, 5, 7, 9]
            engine.open()
    assert sorted(found) == list(range(10))
    engine.close()


def test_a_stream_keeps_twice_what_the_engine_takes_under_way() -> None:
    engine = Gated(at_once=3, gated=False)
    assert sum(len(batch) for batch in engine.stream(asked(100), Decoding())) == 100
    assert engine.most == 6
    engine.close()


def test_a_stream_tells_every_token_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of unfinished answers before, and the rest when they have finished."""
    monkeypatch.setattr(concurrent, "TICK_S", 0.005)
    engine, told = Gated(), list[tuple[int, int]]()
    for _ in engine.stream(asked(8), Decoding(), lambda *more: told.append(more)):
        if (0, 8) in told:  # four answers wait, with two tokens each
            engine.open()
    engine.close()
    assert sum(samples for samples, _ in told) == 8
    assert sum(tokens for _, tokens in told) == 40
    assert (0, 8) in told


def test_an_error_ends_a_stream_after_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrent, "GRACE_S", 0.2)
    engine = Echo()
    stream = engine.stream([(1, "a", 1), (13, "a", 13), (99, "a", 99)], Decoding())
    found: list[int] = []
    with pytest.raises(ReachlabError, match="thirteen"):
        found.extend(key for batch in stream for key, _ in batch)
    engine.close()
    assert found == [1]  # which was under way
    assert engine.cancelled == 1  # the one that would have taken long


def test_a_stream_that_nobody_reads_on_is_cancelled() -> None:
    engine = Gated()
    stream = engine.stream(asked(10), Decoding())
    assert next(batch for batch in stream if batch)
    stream.close()  # type: ignore[attr-defined]
    assert engine.waiting == 0
    engine.close()
