"""Run the stages of a study side by side, each as one `reachlab` command in a process of its own.

A stage starts when what it needs is finished and a core is free. It has one thread: a small model gains little from a
second, two stages side by side gain a whole core. Every command resumes by itself, so a killed study started again
skips what is done and goes on with the rest.
"""

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reachlab.commands.words import words_of
from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.models.pinning import locate
from reachlab.plugins import ENVIRONMENT
from reachlab.progress import EVENTS, LOG_EVERY_S, bars, log_line
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.studies.config import CheckpointsConfig, TemperatureConfig
from reachlab.studies.study import Tell
from reachlab.studies.times import StageTimes

KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""glibc: keep freed memory for the next step instead of giving it back and faulting every page in again."""


def pinned(model: str, out: str, tell: Tell = lambda _: None) -> str:
    """`model` as every stage of the study in `out` is to call it: a model of the hub with its commit, the one that a
    stage began with if there was one. It is fetched once, before the stages."""
    return locate(model, (RunFolder(path.parent) for path in sorted(Path(out).rglob("run.json"))), tell).name


def check_study(out: str, *marks: str) -> None:
    """Refuse a folder that is neither this study's nor new, before anything is loaded. A study's holds a file that one
    of the patterns `marks` names: what it writes, or the run.json of a run of its own.

    Raises:
        ReachlabError: such a folder, or one that is not on a local disk.
    """
    folder = RunFolder(out)
    if not folder.is_local:
        raise ReachlabError(f"{out}: studies live on a local disk; copy them away when they are done")
    if not any(folder.glob(pattern) for pattern in marks):
        folder.check_free()


@dataclass(frozen=True)
class Stage:
    """A command of `reachlab`, with a name and the names of the stages that must be finished first."""

    name: str
    config: Any
    """What the command takes, one of `words.COMMANDS`."""
    needs: tuple[str, ...] = ()
    threads: int = 1
    launch: tuple[str, ...] = ()
    """What starts it in several processes, such as ("accelerate", "launch", ...)."""
    expected: float = 0.0
    """Seconds it should take, where that is known; shown while it waits."""

    @property
    def command(self) -> tuple[str, ...]:
        """The words behind `reachlab`."""
        return words_of(self.config)

    @property
    def words(self) -> list[str]:
        """All of what is run."""
        return [*(self.launch or [sys.executable]), "-m", "reachlab", *self.command]


def sampling_stage(
    config: CheckpointsConfig | TemperatureConfig, name: str, model: str, folder: str, temperature: float | None
) -> Stage:
    """One `reachlab sample` of a study that asks several models the same, into the study's samples/FOLDER."""
    asked = SampleConfig(
        model=model,
        task=config.task,
        out=f"{config.out}/samples/{folder}",
        split=config.split,
        problems=config.problems,
        samples=config.samples,
        ask=config.ask,
        decoding=DecodingChoice(temperature=temperature, max_tokens=config.max_tokens),
        seed=config.seed,
        dtype=config.dtype,
        device=config.device,
    )
    return Stage(f"sample {name}", asked)


@dataclass
class _Running:
    stage: Stage
    process: subprocess.Popen[bytes]
    events: int
    log: "tempfile._TemporaryFileWrapper[bytes]"
    began: float
    pipe: str
    pending: bytes = b""
    last: dict[str, Any] = field(default_factory=dict)
    worked: bool = False
    """Whether it told of something that was still to do."""

    def heard(self) -> bool:
        """Read its events; False when it has closed its pipe, which is when it ends."""
        data = os.read(self.events, 65536)
        *lines, self.pending = (self.pending + data).split(b"\n")
        for event in map(json.loads, lines):
            self.last = event
            self.worked = self.worked or event["done"] < event["total"]
        return bool(data)

    def close(self) -> None:
        """Let go of its pipe and its log."""
        os.close(self.events)
        self.log.close()
        if self.stage.launch:
            shutil.rmtree(Path(self.pipe).parent, ignore_errors=True)


def at_once(device: str = "auto") -> int:
    """How many stages of one thread run side by side on this machine: one a core, or one where they share a GPU."""
    from reachlab.models.devices import choose_device  # with torch, which the demo's parent does without

    return len(os.sched_getaffinity(0)) if choose_device(device).type == "cpu" else 1


def run_stages(stages: Sequence[Stage], cores: int, times: StageTimes | None = None) -> dict[str, float]:
    """Run all stages; returns the seconds each took now. `times` keeps them over all sittings.

    Raises:
        ReachlabError: a stage failed; its last line says why. The others are stopped, and go on when started again.
        ValueError: stages that need each other, or one that is not there.
    """
    waiting, running, seconds = list(stages), dict[int, _Running](), dict[str, float]()
    with selectors.DefaultSelector() as selector, _Board(stages) as board:
        try:
            while waiting or running:
                for stage in [s for s in waiting if set(s.needs) <= set(seconds)]:
                    if sum(r.stage.threads for r in running.values()) + stage.threads <= max(cores, stage.threads):
                        started = _start(stage)
                        running[started.events] = started
                        selector.register(started.events, selectors.EVENT_READ)
                        waiting.remove(stage)
                        board.start(stage.name)
                        if times is not None:
                            times.begin(stage.name)
                if not running:
                    raise ValueError(f"stages that can never start: {', '.join(s.name for s in waiting)}")
                for key, _ in selector.select(timeout=0.5):
                    run = running[key.fd]
                    if run.heard():
                        board.show(run)
                        continue
                    selector.unregister(key.fd)
                    del running[key.fd]
                    _keep(times, run)
                    _finish(run)
                    seconds[run.stage.name] = time.monotonic() - run.began
                    board.finish(run, seconds[run.stage.name])
                board.log(running.values())
                if times is not None:
                    for run in running.values():
                        times.tick(run.stage.name, time.monotonic() - run.began)
        finally:
            for run in running.values():
                run.process.terminate()
            for run in running.values():
                run.process.wait()
                run.close()
                _keep(times, run)
    return seconds


class _Board:
    """A bar a stage on a terminal; elsewhere a line a stage now and then."""

    def __init__(self, stages: Sequence[Stage]):
        self.live, self.told = sys.stderr.isatty(), time.monotonic()
        self.progress = bars()
        self.tasks = {s.name: self.progress.add_task(s.name, total=None, start=False, info=_wait(s)) for s in stages}

    def __enter__(self) -> "_Board":
        if self.live:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.progress.stop()

    def start(self, name: str) -> None:
        self.progress.start_task(self.tasks[name])
        self.progress.update(self.tasks[name], info="starting")

    def show(self, run: _Running) -> None:
        if run.last:
            done, total, info, eta = (run.last[key] for key in ("done", "total", "info", "eta"))
            self.progress.update(self.tasks[run.stage.name], completed=done, total=total, info=info, eta=eta)

    def finish(self, run: _Running, seconds: float) -> None:
        total = run.last.get("total") or 1
        info = run.last.get("info", "was done already")
        self.progress.update(self.tasks[run.stage.name], completed=total, total=total, info=info, eta="")
        if not self.live:
            print(f"{run.stage.name}: done in {seconds:.0f} s", file=sys.stderr, flush=True)

    def log(self, running: Iterable[_Running]) -> None:
        now = time.monotonic()
        if self.live or now - self.told < LOG_EVERY_S:
            return
        self.told = now
        for run in running:
            if run.last:
                done, total, info, eta = (run.last[key] for key in ("done", "total", "info", "eta"))
                line = log_line(run.stage.name, done, total, now - run.began, done, info, eta)
                print(line, file=sys.stderr, flush=True)


def _wait(stage: Stage) -> str:
    return f"waiting, then about {stage.expected:.0f} s" if stage.expected else "waiting"


def _start(stage: Stage) -> _Running:
    read, write, events = _pipe(named=bool(stage.launch))
    threads = str(stage.threads)
    environment = {
        **os.environ,
        **KEEP_MEMORY,
        EVENTS: events,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if os.environ.get(ENVIRONMENT):  # modules that a stage imports first, from where this process has them
        environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    log = tempfile.NamedTemporaryFile(prefix=f"reachlab-{stage.name.replace(' ', '-')}-", suffix=".log")  # noqa: SIM115
    process = subprocess.Popen(
        stage.words,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        pass_fds=(write,),
    )
    os.close(write)
    return _Running(stage, process, read, log, time.monotonic(), events)


def _pipe(named: bool) -> tuple[int, int, str]:
    """Both ends of a pipe, and what a child is told of it: a descriptor that it inherits, or a path.

    A launcher hands no descriptor on to the processes it starts; they open the pipe by its name. Its own is what tells
    that it has ended.
    """
    if not named:
        read, write = os.pipe()
        return read, write, str(write)
    path = Path(tempfile.mkdtemp(prefix="reachlab-events-")) / "pipe"
    os.mkfifo(path)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write = os.open(path, os.O_WRONLY)
    os.set_blocking(read, True)
    return read, write, str(path)


def _keep(times: StageTimes | None, run: _Running) -> None:
    """Have the time of a stage that has ended on the disk."""
    if times is not None:
        times.end(run.stage.name, time.monotonic() - run.began, run.worked)


def _finish(run: _Running) -> None:
    """Reap a stage whose pipe closed."""
    code = run.process.wait()
    run.log.seek(0)
    said = run.log.read().decode(errors="replace").strip()
    run.close()
    if code:
        launched = [*run.stage.launch, "-m"] if run.stage.launch else []
        command = " ".join([*launched, "reachlab", *run.stage.command])
        last = said.splitlines()[-1].removeprefix("error: ") if said else f"exit code {code}"
        if code != 2:
            print(said, file=sys.stderr)
        raise ReachlabError(f"stage {run.stage.name!r} failed: {last} (command: {command})")
