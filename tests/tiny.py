"""Models and tokenizers small enough to test with, and the command line as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TASK = "countdown,numbers=3"


def tiny_config(family: Literal["qwen3", "olmoe"] = "qwen3") -> ModelConfig:
    """Width 32, two layers, two query heads a key head."""
    return ModelConfig(
        family=family,
        hidden=32,
        layers=2,
        heads=4,
        kv_heads=2,
        intermediate=48,
        experts=4,
        active_experts=2,
        positions=64,
        tokenizer="char",
    )


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """A token a character, for the prompts and answers of the arithmetic tasks."""
    task = load_task(TASK)
    texts = [f"{p.prompt}{task.solve(p, Random(0))}" for p in task.problems("all", 20)]
    return train_tokenizer("char", [*texts, task.alphabet() or ""])


def loud(model: PreTrainedModel, scale: float = 0.3) -> PreTrainedModel:
    """The model with larger weights: a new model's own are so small that all its answers are alike."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=scale, generator=generator)
    return model.eval()


def tiny_model(family: Literal["qwen3", "olmoe"] = "qwen3") -> PreTrainedModel:
    """A tiny model whose answers differ from prompt to prompt."""
    return loud(build_model(tiny_config(family), tiny_tokenizer(), seed=0))


def reachlab(*words: str | Path, timeout: float = 120, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "reachlab", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**ENVIRONMENT, **environment},
        check=False,
    )


def rows_of(folder: str | Path) -> list[dict[str, Any]]:
    """All samples of a run, sorted, as plain rows."""
    rows: list[dict[str, Any]] = SampleStore(RunFolder(folder)).read().to_pylist()
    return sorted(rows, key=lambda row: (row["problem_id"], row["sample"]))


def names(folder: str | Path) -> list[str]:
    """What lies in a folder, hidden files too, in name order."""
    return sorted(p.name for p in Path(folder).iterdir())


def timeless(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metrics without what a clock said, and without the number of the sitting."""
    return [
        {k: v for k, v in row.items() if not k.startswith("seconds") and "per_second" not in k and k != "sitting"}
        for row in rows
    ]


def same_run(a: str | Path, b: str | Path) -> bool:
    """Whether two runs' folders hold the same files and bytes; of metrics, all but what a clock said."""
    left, right = ({str(p.relative_to(run)): p for p in sorted(Path(run).rglob("*")) if p.is_file()} for run in (a, b))
    clocked = left.pop("metrics.jsonl"), right.pop("metrics.jsonl")
    found, wanted = (timeless([json.loads(line) for line in file.read_bytes().splitlines()]) for file in clocked)
    assert found == wanted
    assert left.keys() == right.keys()
    different = [name for name, file in left.items() if file.read_bytes() != right[name].read_bytes()]
    assert not different
    return True


def in_a_fork(work: Callable[[], object]) -> int:
    """Do `work` in a copy of this process, which has everything imported; returns its process id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


class Touches:
    """Counts what this process does to files: opens one for writing, renames, removes, makes a folder."""

    def __init__(self) -> None:
        self.count, self._at, self._on = 0, 0, True
        self._do: Callable[[], object] = int
        sys.addaudithook(self._heard)  # which stays as long as the process does

    def after(self, count: int, do: Callable[[], object]) -> None:
        """Do something at the count-th touch from now on."""
        self.count, self._at, self._do = 0, count, do

    def stop(self) -> int:
        """Count no more; how many there were."""
        self._on = False
        return self.count

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        if event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
            return
        self.count += 1
        if self.count == self._at:
            self._do()


def touches(work: Callable[[], object]) -> int:
    """Do `work`; how often it touches a file."""
    seen = Touches()
    work()
    return seen.stop()


def kill_again_and_again(work: Callable[[], object], most: int, kills: int, seed: int) -> int:
    """Kill `work` with SIGKILL at random ones of the `most` moments at which it touches a file, or shortly after, then
    let it end; how often it was hit. Nothing goes by the clock: how fast a machine is must not decide what is tested.
    """
    rng, hits = Random(seed), 0
    for attempt in range(1, kills + 1):
        # Not up to the end, and sooner each time: where an attempt ends by itself, nothing is left to kill.
        last = rng.randint(1, max(1, int(0.6 * most / attempt)))
        process = in_a_fork(partial(_killed, work, last, rng.uniform(0, 0.01)))
        _, status = os.waitpid(process, 0)
        hits += os.WIFSIGNALED(status)
    _, status = os.waitpid(in_a_fork(work), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return hits


def _killed(work: Callable[[], object], last: int, pause: float) -> None:
    kill = partial(os.kill, os.getpid(), signal.SIGKILL)
    # Half of the kills come at once, before the file is touched; the others find it half written.
    Touches().after(last, Timer(pause, kill).start if pause > 0.005 else kill)
    work()
