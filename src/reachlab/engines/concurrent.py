"""Engines that answer many requests at once: an event loop in a thread of its own, and a coroutine a request.

Such an engine batches by itself, continuously. What it needs from us is never to run dry: twice as many requests as it
takes are under way, each followed by the next as soon as it is answered, whoever consumes the answers.
"""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer, K, Progress, Request
from reachlab.errors import ReachlabError
from reachlab.types import Prompt

PIECE = 16
PART = 2048
TICK_S = 1.0
"""How often a stream comes up for air while nothing finishes, and tokens under way are counted."""
GATHER_S = 0.05
"""How long answers are gathered before they are handed over: a thread woken for each would take turns with the loop."""
BACKLOG = 4096
"""Answers, beyond as many again as are under way, that may lie finished before no more are asked for."""
GRACE_S = 30.0
"""How long answers that are under way are waited for when one of them cannot be had: they are paid for."""
T = TypeVar("T")


class SilentError(ReachlabError):
    """Nobody answers any more: what is under way is not worth waiting for."""


class ConcurrentEngine(ABC):
    """A subclass says how one sample is drawn; it may set `dtype`, `seeded` and `at_once` once it knows them.

    Args:
        name: as of any engine.
        at_once: samples that keep the engine busy.
    """

    def __init__(self, name: str, at_once: int):
        self.name, self.piece, self.at_once = name, PIECE, at_once
        self.dtype, self.seeded = "as served", True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"reachlab-{name}", daemon=True)
        self._thread.start()

    @property
    def lanes(self) -> int:
        """Twice what the engine takes: when a piece is done, the next has long been asked for."""
        return max(2, -(-2 * self.at_once // PIECE))

    @abstractmethod
    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        """Draw one sample.

        Args:
            prompt: a text or a chat, with its pictures.
            seed: 63 bits; the answer is a function of it.
            decoding: temperature, truncation, the most tokens, stop strings.
        """

    def tokens_under_way(self) -> int:
        """Tokens of answers that have not finished; 0 where the engine does not know. Called on the loop."""
        return 0

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """Parts are written as samples come in, so they need not fit the engine."""
        return PART

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        """See `Engine.answer`."""

        async def one(prompt: Prompt, seed: int) -> EngineAnswer:
            answer = await self.draw(prompt, seed, decoding)
            if progress is not None:
                progress(1, answer.tokens)
            return answer

        async def all_of_them() -> list[list[EngineAnswer]]:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    [group.create_task(one(prompt, seed)) for seed in row]
                    for prompt, row in zip(prompts, seeds, strict=True)
                ]
            return [[task.result() for task in row] for row in tasks]

        try:
            return self.wait_for(all_of_them())
        except ExceptionGroup as group:
            # One error stops the others; the first is the one to tell.
            raise group.exceptions[0] from group

    def stream(
        self, requests: Iterable[Request[K]], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[list[tuple[K, EngineAnswer]]]:
        """See `Streaming.stream`."""
        work = _Stream(self, requests, decoding, progress)
        self.wait_for(work.start())
        try:
            yield from work.finished()
        finally:
            if self._loop.is_running():
                self.wait_for(work.stop())

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's loop; an interrupted wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what is asked, and end the loop."""
        if not self._loop.is_running():
            return

        async def cancel() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.wait_for(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Stream(Generic[K]):
    """One call of `stream`: requests on the engine's loop, answers in whatever thread consumes them."""

    def __init__(
        self, engine: ConcurrentEngine, requests: Iterable[Request[K]], decoding: Decoding, progress: Progress | None
    ):
        self.engine, self.decoding, self.progress = engine, decoding, progress
        self._requests = iter(requests)
        self._finished: deque[tuple[K, EngineAnswer]] = deque()
        self._over, self._error = threading.Event(), cast(BaseException | None, None)
        self._counted = 0  # tokens of unfinished answers that were told

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Cancel what is under way, if anything is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Answer everything; the end, and an error, are told to the consumer."""
        counting = asyncio.create_task(self._count())
        asking = [asyncio.create_task(self._ask()) for _ in range(2 * self.engine.at_once)]
        try:
            done, others = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
            self._error = next((error for task in done if (error := task.exception())), None)  # nobody asks on
            if others and not isinstance(self._error, SilentError):
                await asyncio.wait(others, timeout=GRACE_S)
        except asyncio.CancelledError as error:
            self._error = error
            raise
        finally:
            for task in (counting, *asking):
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            self._over.set()

    async def _ask(self) -> None:
        """Ask one request after the other, as long as there are any."""
        for key, prompt, seed in self._requests:
            if self._error is not None:
                return
            while len(self._finished) > BACKLOG + 2 * self.engine.at_once:
                await asyncio.sleep(TICK_S / 10)
            answer = await self.engine.draw(prompt, seed, self.decoding)
            self._finished.append((key, answer))
            # Some of its tokens may have been told before, while it was under way.
            counted = min(self._counted, answer.tokens)
            self._counted -= counted
            self._report(1, answer.tokens - counted)

    async def _count(self) -> None:
        """Tell of tokens before their answers have finished."""
        while True:
            await asyncio.sleep(TICK_S)
            more = self.engine.tokens_under_way() - self._counted
            if more > 0:
                self._counted += more
                self._report(0, more)

    def _report(self, samples: int, tokens: int) -> None:
        if self.progress is not None:
            self.progress(samples, tokens)

    def finished(self) -> Iterator[list[tuple[K, EngineAnswer]]]:
        """What has finished, as it comes.

        Raises:
            BaseException: what ended the work.
        """
        yielded = time.monotonic()
        while True:
            over = self._over.wait(GATHER_S)  # asked first: what is found afterwards is all there is
            batch = [self._finished.popleft() for _ in range(len(self._finished))]
            if batch or time.monotonic() - yielded >= TICK_S:
                yielded = time.monotonic()
                yield batch
            if over and self._error is not None:
                raise self._error
            if over:
                return
