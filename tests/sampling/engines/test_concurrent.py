import asyncio
import threading

import pytest

from reachlab.errors import ReachlabError
from reachlab.sampling.config import Decoding
from reachlab.sampling.engines.concurrent import PIECE, ConcurrentEngine
from reachlab.sampling.engines.engine import Answer
from reachlab.types import Prompt


class Echo(ConcurrentEngine):
    """Answers with its seed, the larger the sooner; seed 13 fails."""

    def __init__(self, at_once: int = 8):
        super().__init__("echo", at_once)
        self.cancelled = self.ended = 0

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> Answer:
        try:
            if seed == 13:
                raise ReachlabError("thirteen")
            await asyncio.sleep(60 if seed == 99 else 0.05 / (seed + 1))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        return Answer(f"{prompt!s} {seed}", 1, "stop", None)


def test_answers_stand_where_they_were_asked() -> None:
    engine, told = Echo(), list[int]()
    found = engine.answer(["a", "b", "c"], [[1, 2, 3], [], [4]], Decoding(), told.append)
    assert [[a.text for a in row] for row in found] == [["a 1", "a 2", "a 3"], [], ["c 4"]]
    assert told == [1] * 4
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
