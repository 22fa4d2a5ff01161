"""Engines that answer many requests at once: an event loop in a thread of its own, and a coroutine a sample.

Such an engine batches by itself, continuously. What it needs from us is never to run dry: several pieces are asked
at a time (`lanes`), so that the slowest answers of one are waited for while the others go on.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from reachlab.sampling.config import Decoding
from reachlab.sampling.engines.engine import Answer
from reachlab.types import Prompt

PIECE = 16
PART = 2048
T = TypeVar("T")


class ConcurrentEngine(ABC):
    """A subclass says how one sample is drawn.

    Args:
        name: as of any engine.
        at_once: samples that keep the engine busy.
    """

    def __init__(self, name: str, at_once: int):
        self.name, self.piece = name, PIECE
        # Twice what the engine takes: when a piece is done, the next has long been asked for.
        self.lanes = max(2, -(-2 * at_once // PIECE))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"reachlab-{name}", daemon=True)
        self._thread.start()

    @abstractmethod
    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> Answer:
        """Draw one sample."""

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """Parts are written as pieces come in, so they need not fit the engine."""
        return PART

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Answer]]:
        """See `Engine.answer`."""

        async def one(prompt: Prompt, seed: int) -> Answer:
            answer = await self.draw(prompt, seed, decoding)
            if progress is not None:
                progress(1)
            return answer

        async def all_of_them() -> list[list[Answer]]:
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
