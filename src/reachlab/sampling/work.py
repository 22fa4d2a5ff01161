"""A run's work: what draws its samples, how they are cut into parts, and when they are stored."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from reachlab.engines import open_engine
from reachlab.engines.engine import Engine
from reachlab.errors import ReachlabError
from reachlab.limits import MOST
from reachlab.progress import Advance
from reachlab.sampling.backend import Backend, Finished, LocalBackend
from reachlab.sampling.drawing import Drawer, Key
from reachlab.sampling.pace import Pace
from reachlab.sampling.ray_backend import RayBackend
from reachlab.sampling.settling import SettledRun
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore
from reachlab.types import Sample

STORE_EVERY_S = 30.0
"""Where samples come a few at a time: about the longest that finished ones wait to be stored with others."""


class SamplingWork:
    """A run's work: who does it, and where it is put. The backend is opened when there is something to do."""

    def __init__(
        self,
        run: SettledRun,
        store: SampleStore,
        notify: Callable[[str], None],
        *,
        engine: Engine | None = None,
        label: str = "sample",
        verifiers: int | None = None,
    ):
        """Nothing is opened yet.

        Args:
            run: what it is.
            store: of its folder.
            notify: hears remarks.
            engine: what draws, where it is open already; else the one that the configuration names.
            label: what progress is called; empty shows none.
            verifiers: processes that judge; None is one a core.
        """
        self.config, self.task, self.problems = run.config, run.task, run.problems
        self.decoding, self.longest = run.decoding, run.longest
        self.folder, self.store, self.notify = store.folder, store, notify
        self.engine, self.label, self.verifiers = engine, label, verifiers

    def open(self) -> None:
        """Open the backend now.

        Raises:
            ReachlabError: it cannot; a model or a device that cannot be used, a server that does not answer.
        """
        _ = self.backend

    @cached_property
    def backend(self) -> Backend:
        """What the configuration names: this process, or a Ray cluster."""
        config, task, problems = self.config, self.task, self.problems
        if config.cluster.ray:
            return RayBackend(config, self.decoding, task, problems, self.notify)
        engine = self.engine or open_engine(config)
        limit, judges = config.verify_timeout, self.verifiers
        return LocalBackend(
            Drawer(engine, task, problems, self.decoding, config.seed, verify_timeout=limit, verifiers=judges)
        )

    @cached_property
    def part_size(self) -> int:
        """Samples a part: what the run's first worker found fit for its machine, so that all cut the work alike."""
        if self.config.part:
            return self.config.part
        if not self.folder.exists("part.json"):
            size = self.backend.part_size(self.decoding, self.longest)
            self.folder.write("part.json", f'{{"samples": {size}}}\n')
        kept = self.folder.read_json("part.json").get("samples")
        if not isinstance(kept, int) or not 1 <= kept <= MOST:
            raise ReachlabError(f"{self.folder.file('part.json')}: says no number of samples; delete it")
        return kept

    def draw(self, parts: Sequence[Sequence[Key]], advance: Advance) -> Iterator[Finished]:
        """Draw these samples, and store them as they come: a part at once, or smaller pieces a few together."""
        waiting: list[Sample] = []
        if not parts:
            return
        self.open()  # its start is none of the pace
        note_judged(self.folder, self.task, self.config.verify_timeout)
        pace, stored = Pace(sum(map(len, parts)), self.decoding.max_tokens), time.monotonic()

        def progress(samples: int, tokens: int) -> None:
            pace.add(samples, tokens)
            eta, rate = pace.words()
            advance(samples, eta=eta, note=rate)

        try:
            for piece, samples in self.backend.draw(parts, progress):
                waiting.extend(samples)
                late = time.monotonic() - stored >= STORE_EVERY_S
                if waiting and (self.backend.whole_parts or late or len(waiting) >= self.part_size):
                    self.store.write_part(waiting)
                    waiting, stored = [], time.monotonic()
                if samples:
                    yield piece, samples
        finally:
            # Also after an error: what is drawn is paid for.
            if waiting:
                self.store.write_part(waiting)

    def close(self) -> None:
        """Close the backend, if it was opened."""
        if "backend" in vars(self):
            self.backend.close()
