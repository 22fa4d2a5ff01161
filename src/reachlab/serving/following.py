"""Follows runs: one thread looks at the disk every few seconds, another compares again when something has changed.

To compare takes seconds to minutes and as much of the processor as there is, on a machine that may be training what is
being watched. So it waits after each comparison for three times as long as it took, and for `REST_S` at least.
"""

import hashlib
import itertools
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.pairing.compared import Given, parse_model
from reachlab.serving.looking import Looker, RunStanding
from reachlab.serving.rows import RowsReader
from reachlab.serving.states import Compare, Learners, ServedState, of_samples, of_training_runs

LOOK_S = 2.0
"""Seconds between two looks."""
REST_S = 3.0
"""Seconds between two comparisons, at least."""
KEPT = 3
"""States of which blocks and samples are still to be had; a page of an older one gets the newest."""


@dataclass(frozen=True, kw_only=True)
class Glance:
    """All models at one moment: `standings` has those of each one's runs."""

    texts: tuple[str, ...]
    models: tuple[Given, ...]
    standings: tuple[tuple[RunStanding, ...], ...]
    time: float

    @property
    def ready(self) -> tuple[str, ...]:
        """The models with samples in all of their runs; none as long as the first, the base, is not among them."""
        found = [i for i, runs in enumerate(self.standings) if all(run.kind == "samples" for run in runs)]
        sampled = [i for i, runs in enumerate(self.standings) if not any(run.trains for run in runs)]
        return tuple(self.texts[i] for i in found) if found and found[0] == sampled[0] else ()

    @property
    def every(self) -> list[tuple[str, RunStanding]]:
        """Every run with the name of its model."""
        both = zip(self.models, self.standings, strict=True)
        return [(model.name or run.folder.name, run) for model, runs in both for run in runs]

    @property
    def mark(self) -> str:
        """Differs when anything does that a page shows."""
        marks = repr([(run.kind, run.mark) for _, run in self.every])
        return hashlib.blake2b(marks.encode(errors="replace"), digest_size=8).hexdigest()

    def said(self) -> list[str]:
        """What is waited for."""
        return [f"Waiting for {run.folder.url}: {run.missing}" for _, run in self.every if run.missing]


class Follower:
    """What a server knows of the runs, newest first; `start` begins to look, `stop` ends it."""

    def __init__(self, texts: Sequence[str], compare: Compare, title: str):
        """Nothing is looked at yet.

        Raises:
            ReachlabError: no model, or as of `parse_model`.
        """
        if not texts:
            raise ReachlabError("name at least one run folder")
        self._texts = tuple(texts)
        self._compare, self._title = compare, title
        self._looker, self._reader = Looker(), RowsReader()
        self._changed = threading.Condition()
        self._begun, self._numbers = uuid.uuid4().hex[:8], itertools.count()
        self._snapshots: list[ServedState] = []
        self._composed = ""
        self._comparing: float | None = None
        self._failed: list[str] = []
        self._blind: list[str] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("looking", self._keep_looking), ("comparing", self._keep_comparing))
        ]
        for text in self._texts:
            parse_model(text)
        self._look = self._look_now()
        self._publish(of_training_runs(self._version(), title, (), self._first_words()))

    def start(self) -> None:
        """Glance and compare, in threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 2.0) -> bool:
        """End both threads; whether they have ended. What is being compared is not interrupted."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def newest(self) -> ServedState:
        """The state that a page shows that is opened now."""
        return self._snapshots[0]

    def snapshot(self, version: str) -> ServedState | None:
        """A state by its name, as long as it is kept."""
        return next((one for one in self._snapshots if one.version == version), None)

    def state(self) -> dict[str, Any]:
        """What a page asks for every few seconds: which state is the newest, and how the runs stand."""
        look, newest = self._look, self.newest
        return {
            "version": newest.version,
            "comparing": self._comparing,
            "said": [*self._blind, *self._failed, *self._gone(look), *look.said()],
            "runs": [run.to_dict() | {"name": name} for name, run in look.every],
        }

    @property
    def looked(self) -> float:
        """When the runs were last looked at."""
        return self._look.time

    # -- the threads --------------------------------------------------------------------------------------------------

    def _keep_looking(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                look, self._blind = self._look_now(), []
            except (ReachlabError, OSError) as error:  # such as a disk that is away for a while
                self._blind = [f"The runs cannot be looked at: {' '.join(str(error).split())}"]
                continue
            with self._changed:
                self._look = look
                self._changed.notify_all()

    def _keep_comparing(self) -> None:
        while not self._stopped.is_set():
            with self._changed:
                while self._look.mark == self._composed and not self._stopped.is_set():
                    self._changed.wait()
                look = self._look
            if self._stopped.is_set():
                return
            began = time.monotonic()
            self._comparing = time.time()
            self._compose(look)
            self._comparing = None
            self._stopped.wait(max(REST_S, 3 * (time.monotonic() - began)))

    def _compose(self, look: Glance) -> None:
        """Make the page of what was seen. Where that fails, the page before stays, and says so."""
        try:
            self._publish(self._snapshot(look))
            self._failed = []
        except ReachlabError as error:
            self._failed = [" ".join(str(error).split())]
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._failed = [f"An error inside Reachlab, which its terminal shows: {type(error).__name__}"]
        if self._failed and not self.newest.models:
            self._publish(of_training_runs(self._version(), self._title, self._learners(look), self._failed))
        self._composed = look.mark

    def _snapshot(self, look: Glance) -> ServedState:
        learners = self._learners(look)
        # A run that was taken away leaves what was shown of it.
        if not look.ready or (self.newest.models and self._gone(look)):
            if self.newest.models:
                return self.newest
            return of_training_runs(self._version(), self._title, learners, look.said())
        stamps = {part: stamp for _, run in look.every for part, stamp in run.stamps.items()}
        return of_samples(self._version(), self._title, self._compare, look.ready, learners, self._reader, stamps)

    def _learners(self, look: Glance) -> Learners:
        return [(name, run.folder) for name, run in look.every if run.kind == "training"]

    def _publish(self, snapshot: ServedState) -> None:
        if not self._snapshots or snapshot is not self.newest:
            self._snapshots = [snapshot, *self._snapshots[: KEPT - 1]]

    def _look_now(self) -> Glance:
        models = tuple(map(parse_model, self._texts))
        standings = tuple(tuple(self._looker.look(run) for run in model.runs) for model in models)
        return Glance(texts=self._texts, models=models, standings=standings, time=time.time())

    def _gone(self, look: Glance) -> list[str]:
        """Runs that were shown and are not there any more."""
        shown = {run.store.folder.path for model in self.newest.models for run in model.runs}
        return [
            f"{run.folder.url} is not there any more; this is what it held"
            for _, run in look.every
            if run.folder.path in shown and run.kind in ("gone", "empty")
        ]

    def _first_words(self) -> list[str]:
        ready = self._look.ready
        return (
            [f"Comparing {len(ready)} models" if len(ready) > 1 else "Reading the samples"]
            if ready
            else self._look.said()
        )

    def _version(self) -> str:
        return f"{self._begun}-{next(self._numbers)}"
