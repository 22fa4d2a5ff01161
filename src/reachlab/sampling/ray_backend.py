"""Workers on many machines: Ray starts an engine and a judge in each, and we hand out pieces.

A worker that dies (its machine gone, its memory full) is replaced, and only the pieces that it had and had not
finished are handed out again. Samples come back to this process, which alone writes the store: workers need the model's
folder, or the way to its servers, and nothing else of ours. A sample is a function of (run seed, problem, index), so it
does not matter who draws it.
"""

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reachlab.engines import engine_kind, open_engine
from reachlab.engines.config import Decoding
from reachlab.engines.engine import Progress
from reachlab.errors import ReachlabError
from reachlab.extras import need
from reachlab.models.dtypes import DTYPES
from reachlab.plugins import ENVIRONMENT
from reachlab.sampling.backend import Finished, pieces_of
from reachlab.sampling.config import Cluster, SampleConfig
from reachlab.sampling.drawing import Drawer, Key
from reachlab.tasks.base import Task
from reachlab.types import Problem, Sample

DEATHS = 3
"""Workers that may die, for each there is, with no piece finished between: then it is not the machines."""


class _Drawing:
    """What runs in a worker's process."""

    def __init__(self, config: SampleConfig, decoding: Decoding, task: Task, problems: Sequence[Problem]):
        self.config, self.decoding, self.task, self.problems = config, decoding, task, problems

    def start(self) -> tuple[int, int, str]:
        """Open the engine; its lanes, how many samples a piece has, and its dtype. Not in __init__: an error there is a
        death."""
        self.drawer = Drawer(
            open_engine(self.config),
            self.task,
            self.problems,
            self.decoding,
            self.config.seed,
            verify_timeout=self.config.verify_timeout,
            verifiers=max(1, int(self.config.cluster.worker_cpus)),
        )
        self.turns = threading.Semaphore(self.drawer.engine.lanes)
        return self.drawer.engine.lanes, self.drawer.engine.piece, self.drawer.engine.dtype

    def part_size(self, longest: int) -> int:
        """See `Engine.part_size`."""
        return self.drawer.engine.part_size(self.decoding, longest)

    def draw(self, piece: Sequence[Key]) -> list[Sample]:
        """See `Drawer.draw`. A call more than the engine has lanes waits here for its turn."""
        with self.turns:
            return self.drawer.draw(piece)


@dataclass
class _Worker:
    """One worker as we see it: its actor, and whether it has started."""

    actor: Any
    ready: bool = False
    has: set[Any] = field(default_factory=set)


class RayBackend:
    """Workers of a Ray cluster, started one after the other as they are needed.

    Raises:
        ReachlabError: Ray is not installed, the cluster cannot be reached, or has no room for a worker.
    """

    def __init__(
        self,
        config: SampleConfig,
        decoding: Decoding,
        task: Task,
        problems: Sequence[Problem],
        notify: Callable[[str], None],
    ):
        need("ray", what="--ray")
        import ray

        self._ray: Any = ray
        _join(ray, config.cluster.ray)
        self.whole_parts = engine_kind(config).embedded
        try:
            self._gpus, self._count = _room(self._ray.cluster_resources(), config.cluster)
            machines = sum(node["Alive"] for node in self._ray.nodes())
            notify(
                f"{self._count} workers on a Ray cluster of {machines} machine{'s' * (machines > 1)}, "
                f"{config.cluster.worker_cpus:g} cores and {self._gpus:g} GPUs each"
            )
            # Calls wait in the worker, so that it never waits for us.
            self._actor = ray.remote(_Drawing).options(
                num_cpus=config.cluster.worker_cpus, num_gpus=self._gpus, max_concurrency=1024, max_restarts=0
            )
            self._arguments = [ray.put(value) for value in (config, decoding, task, problems)]
            self._workers: list[_Worker] = []
            self._deaths = 0
            self._first = self._hire()
            self._lanes, self._piece, self.dtype = self._get(self._first.actor.start.remote())
            # The others compute in what the first does, whatever they would choose on their machines.
            if config.dtype == "auto" and self.dtype in DTYPES:
                self._arguments[0] = ray.put(replace(config, dtype=self.dtype))
            self._first.ready = True
        except BaseException:
            self.close()
            raise

    def _hire(self) -> _Worker:
        worker = _Worker(self._actor.remote(*self._arguments))
        self._workers.append(worker)
        return worker

    def _get(self, ref: Any) -> Any:
        """What a call returned; an error of ours is raised as it is.

        Raises:
            ReachlabError: as raised in the worker.
        """
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, ReachlabError) else error) from None

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """The engine's own, as the first worker says."""
        return int(self._get(self._first.actor.part_size.remote(longest)))

    def draw(self, parts: Iterable[Sequence[Key]], progress: Progress) -> Iterator[Finished]:
        """See `Backend.draw`."""
        pieces = pieces_of(parts, self._piece)
        again: deque[Sequence[Key]] = deque()
        under_way: dict[Any, tuple[_Worker, Sequence[Key] | None]] = {}
        while True:
            while len(self._workers) < self._count:
                self._hire()
            # Nothing handed out may also mean that nobody is ready: workers may die before others have started.
            done_with_new = self._hand_out(again, pieces, under_way)
            if done_with_new and not again and all(piece is None for _, piece in under_way.values()):
                return
            (done,), _ = self._ray.wait(list(under_way), num_returns=1)
            worker, piece = under_way.pop(done)
            worker.has.discard(done)
            try:
                samples = self._get(done)
            except self._ray.exceptions.RayActorError as error:
                if piece is not None:
                    again.append(piece)
                self._bury(worker, error)
                continue
            if piece is None:
                worker.ready = True
                continue
            self._deaths = 0
            progress(len(piece), sum(sample.tokens for sample in samples))
            yield piece, samples

    def _hand_out(
        self,
        again: deque[Sequence[Key]],
        pieces: Iterator[Sequence[Key]],
        under_way: dict[Any, tuple[_Worker, Sequence[Key] | None]],
    ) -> bool:
        """Start who has not started, and give everyone a piece more than it has lanes; the least busy first. Whether
        there was no new piece to give."""
        for worker in self._workers:
            if not worker.ready and not worker.has:
                ref = worker.actor.start.remote()
                under_way[ref] = worker, None
                worker.has.add(ref)
        while True:
            ready = [worker for worker in self._workers if worker.ready]
            if not ready:
                return False
            worker = min(ready, key=lambda w: len(w.has))
            if len(worker.has) > self._lanes:
                return False
            piece = again.popleft() if again else next(pieces, None)
            if piece is None:
                return True
            ref = worker.actor.draw.remote(piece)
            under_way[ref] = worker, piece
            worker.has.add(ref)

    def _bury(self, worker: _Worker, error: Exception) -> None:
        """Strike a dead worker off.

        Raises:
            ReachlabError: they die and nothing is finished.
        """
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._deaths += 1
        if self._deaths > DEATHS * self._count:
            raise ReachlabError(
                f"{self._deaths} Ray workers died with no piece finished between; the last: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error

    def close(self) -> None:
        """Leave the cluster; the workers end with us."""
        self._ray.shutdown()


def _join(ray: Any, address: str) -> None:
    """Join a cluster, or start one on this machine.

    Raises:
        ReachlabError: there is none at that address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if host and port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if named := os.environ.get(ENVIRONMENT):  # files and modules of one's own, which lie there at the same place
            setup = "reachlab.plugins.load_plugins"
            options["runtime_env"] = {"env_vars": {ENVIRONMENT: named}, "worker_process_setup_hook": setup}
        if address == "local":
            ray.init(address="local", include_dashboard=False, **options)
        else:
            ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise ReachlabError(
            f"--ray {address}: {' '.join(str(error).split())[:300]}; --ray local starts a cluster on this machine"
        ) from error


def _room(resources: dict[str, float], cluster: Cluster) -> tuple[float, int]:
    """(GPUs a worker, workers) for a cluster of these resources.

    Raises:
        ReachlabError: not one fits.
    """
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    each = (1.0 if gpus else 0.0) if cluster.worker_gpus is None else cluster.worker_gpus
    most = int(cpus // cluster.worker_cpus)
    if each:
        most = min(most, int(gpus // each))
    if most < max(cluster.workers, 1):
        raise ReachlabError(
            f"the Ray cluster has {cpus:g} cores and {gpus:g} GPUs: room for {most} workers of {cluster.worker_cpus:g} "
            f"cores and {each:g} GPUs, {cluster.workers or 1} wanted"
        )
    return each, cluster.workers or most
