"""Runs that a server shows, and one that is really there, in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.reporting.conftest import draw, samples, training
from tests.tiny import ENVIRONMENT

from reachlab.comparing.config import CompareConfig
from reachlab.comparing.models import compare_models
from reachlab.serving.states import Compare
from reachlab.serving.still import StillFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Sample, Verdict


def comparing(resamples: int = 200) -> Compare:
    """As the command compares."""

    def compare(ready: tuple[str, ...]):  # type: ignore[no-untyped-def]
        found = compare_models(CompareConfig(runs=ready, resamples=resamples), lambda said: None, StillFolder)
        return *found, []

    return compare


def more(folder: Path, start: int, end: int, *, right: bool, problems: int = 6) -> None:
    """Further samples of every problem, as one part."""
    rows = [
        Sample(
            problem_id=f"p{p}", index=n, text=f"again {n}", tokens=3, finish="stop", logprob=None, seed=n,
            engine="transformers", verdict=Verdict.correct() if right else Verdict.wrong(),
        )
        for p in range(problems)
        for n in range(start, end)
    ]  # fmt: skip
    from reachlab.runs import RunFolder

    SampleStore(RunFolder(folder)).write_part(rows)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with `base` and `rl`, 6 problems of 30 samples each, and `train`, an RL run of 12 steps."""
    rate_P = np.array([0.9, 0.6, 0.4, 0.2, 0.05, 0.0])
    for name, rates_P, seed in (("base", rate_P, 0), ("rl", np.sqrt(rate_P), 1)):
        samples(tmp_path / name, draw(rates_P, 30, seed))
    training(tmp_path / "train", "rl", 12)
    return tmp_path


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """The address of a server as the command starts it; interrupted, it ends by itself and says nothing else."""
    command = [sys.executable, "-m", "reachlab", "serve", *words, "--port", "0", "--resamples", "200"]
    environment = {**ENVIRONMENT, "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=60)
    assert server.returncode == 130
    assert "Traceback" not in said
    assert "stopped" in said
