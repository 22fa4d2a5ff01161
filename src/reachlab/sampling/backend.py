"""What draws a run's parts: this process alone, or workers elsewhere (`ray_backend.py`)."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from reachlab.engines.config import Decoding
from reachlab.engines.engine import Progress, Request, Streaming
from reachlab.sampling.drawing import Drawer, Key
from reachlab.types import Sample

Finished = tuple[Sequence[Key], list[Sample]]
"""A piece of the work, and its samples; both empty now and then, where a backend has nothing yet to show."""

JUDGED_TOGETHER, JUDGED_AT_ONCE = 16, 8
"""Answers that are judged as one batch, and batches side by side, while others are drawn: a slow verdict holds up no
more than its own batch."""


class Backend(Protocol):
    """Draws pieces, several at a time. `whole_parts` says that a piece is a part, to be stored as it comes; `dtype` is
    what it computes in, as of `Engine`."""

    whole_parts: bool
    dtype: str

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """See `Engine.part_size`."""
        ...

    def draw(self, parts: Iterable[Sequence[Key]], progress: Progress) -> Iterator[Finished]:
        """The parts' samples, piece by piece, in the order in which they are finished.

        Raises:
            ReachlabError: the work cannot go on; what was yielded is done.
        """
        ...

    def close(self) -> None:
        """End what draws."""
        ...


def pieces_of(parts: Iterable[Sequence[Key]], most: int) -> Iterator[Sequence[Key]]:
    """The parts, cut into pieces of at most `most` samples; 0 leaves them whole."""
    for part in parts:
        for start in range(0, len(part), most or len(part)):
            yield part[start : start + (most or len(part))]


class LocalBackend:
    """This process: one engine, and one judge."""

    def __init__(self, drawer: Drawer):
        self.drawer, self.dtype = drawer, drawer.engine.dtype
        self.whole_parts = drawer.engine.piece == 0

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """The engine's own."""
        return self.drawer.engine.part_size(decoding, longest)

    def draw(self, parts: Iterable[Sequence[Key]], progress: Progress) -> Iterator[Finished]:
        """See `Backend.draw`."""
        engine, lock = self.drawer.engine, threading.Lock()

        def locked(samples: int, tokens: int) -> None:
            with lock:
                progress(samples, tokens)

        if isinstance(engine, Streaming):
            yield from self._stream(engine, parts, locked)
            return
        for part in parts:
            yield part, self.drawer.draw(part, locked)

    def _stream(self, engine: Streaming, parts: Iterable[Sequence[Key]], progress: Progress) -> Iterator[Finished]:
        """Judge answers as they finish, while the engine draws on."""
        drawer = self.drawer

        def requests() -> Iterator[Request[Key]]:
            for part in parts:
                for key in part:
                    yield key, drawer.problems[key[0]].asked, drawer.seed_of(key)

        judging: dict[Future[list[Sample]], list[Key]] = {}

        def judged(at_most: int) -> Iterator[Finished]:
            """Batches that are judged; waits until no more than `at_most` are not."""
            while judging:
                done = [future for future in judging if future.done()]
                if not done and len(judging) <= at_most:
                    return
                for future in done or wait(judging, return_when="FIRST_COMPLETED").done:
                    yield judging.pop(future), future.result()

        try:
            with ThreadPoolExecutor(JUDGED_AT_ONCE, thread_name_prefix="reachlab-judged") as pool:
                try:
                    try:
                        for finished in engine.stream(requests(), drawer.decoding, progress):
                            for at in range(0, len(finished), JUDGED_TOGETHER):
                                some = finished[at : at + JUDGED_TOGETHER]
                                keys, answers = [key for key, _ in some], [answer for _, answer in some]
                                judging[pool.submit(drawer.judged, keys, answers)] = keys
                            yield from judged(JUDGED_AT_ONCE)
                            yield (), []
                    except Exception:
                        yield from judged(0)  # what was drawn before the engine failed is paid for
                        raise
                    yield from judged(0)
                except BaseException:
                    # Ctrl-C, or the judge's error: what is being judged would be waited for, and nobody wants it now.
                    for future in judging:
                        future.cancel()
                    drawer.close()
                    raise
        except BaseException:
            # A batch that was just taken up may have opened the judge again, which would outlive the command.
            drawer.close()
            raise

    def close(self) -> None:
        """End the engine and the judge."""
        self.drawer.close()
