"""Who draws a run's parts: this process alone, or workers elsewhere (`ray_crew.py`)."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Protocol

from reachlab.sampling.config import Decoding
from reachlab.sampling.drawing import Drawer, Key
from reachlab.types import Sample

Finished = tuple[Sequence[Key], list[Sample]]
"""A piece of the work, and its samples."""


class Crew(Protocol):
    """Draws pieces, several at a time. `whole_parts` says that a piece is a part, to be stored as it comes."""

    whole_parts: bool

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """See `Engine.part_size`."""
        ...

    def draw(self, parts: Iterable[Sequence[Key]], advance: Callable[[int], None]) -> Iterator[Finished]:
        """The parts' samples, piece by piece, in the order in which they are finished.

        Raises:
            ReachlabError: the work cannot go on; what was yielded is done.
        """
        ...

    def close(self) -> None:
        """Send everyone home."""
        ...


def pieces_of(parts: Iterable[Sequence[Key]], most: int) -> Iterator[Sequence[Key]]:
    """The parts, cut into pieces of at most `most` samples; 0 leaves them whole."""
    for part in parts:
        for start in range(0, len(part), most or len(part)):
            yield part[start : start + (most or len(part))]


class Alone:
    """This process: one engine, as many threads as it has lanes."""

    def __init__(self, drawer: Drawer):
        self.drawer = drawer
        self.whole_parts = drawer.engine.piece == 0

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """The engine's own."""
        return self.drawer.engine.part_size(decoding, longest)

    def draw(self, parts: Iterable[Sequence[Key]], advance: Callable[[int], None]) -> Iterator[Finished]:
        """See `Crew.draw`."""
        lanes = self.drawer.engine.lanes
        pieces = pieces_of(parts, self.drawer.engine.piece)
        if lanes == 1:
            for piece in pieces:
                yield piece, self.drawer.draw(piece, advance)
            return
        lock = threading.Lock()

        def tell(n: int) -> None:
            with lock:
                advance(n)

        with ThreadPoolExecutor(lanes, thread_name_prefix="reachlab-lane") as pool:
            under_way: dict[Future[list[Sample]], Sequence[Key]] = {}
            try:
                while True:
                    for piece in islice(pieces, lanes - len(under_way)):
                        under_way[pool.submit(self.drawer.draw, piece, tell)] = piece
                    if not under_way:
                        return
                    for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                        yield under_way.pop(done), done.result()
            except BaseException:
                # An error, or Ctrl-C: the other lanes would wait for answers that nobody wants any more.
                self.drawer.engine.close()
                raise

    def close(self) -> None:
        """End the engine and the judge."""
        self.drawer.close()
