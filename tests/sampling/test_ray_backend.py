import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from tests.tiny import ENVIRONMENT, TASK, reachlab, rows_of, tiny_model, tiny_tokenizer

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.sampling.config import Cluster
from reachlab.sampling.ray_backend import RayBackend, _room, _Worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(folder, tiny_model(), tiny_tokenizer())
    return folder


def words(checkpoint: Path, out: Path, *more: str) -> list[str]:
    common = ("sample", "--model", checkpoint, "--task", TASK, "--problems", "12", "--samples", "400")
    return [*map(str, common), "--max-tokens", "20", "--rows", "16", "--part", "50", "--out", str(out), *more]


RAY = ("--ray", "local", "--workers", "2", "--worker-cpus", "0.5")


def test_a_killed_worker_is_replaced_and_the_run_is_an_undisturbed_one(checkpoint: Path, tmp_path: Path) -> None:
    alone = reachlab(*words(checkpoint, tmp_path / "alone"))
    assert alone.returncode == 0, alone.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "reachlab", *words(checkpoint, tmp_path / "spread", *RAY)],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    killed = _kill_a_worker(process, tmp_path / "spread")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert killed
    assert "2 workers on a Ray cluster of 1 machine" in err
    assert "4800 samples stored, 4800 drawn now" in out
    assert rows_of(tmp_path / "spread") == rows_of(tmp_path / "alone")
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(checkpoint) in " ".join(p.info["cmdline"] or [])]


def _kill_a_worker(process: "subprocess.Popen[str]", out: Path) -> bool:
    """Kill one of Ray's workers once some parts are stored, while others are not."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if len(list(out.glob("samples/*.parquet"))) >= 4:
            for child in psutil.Process(process.pid).children(recursive=True):
                if "ray::_Drawing" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGKILL)
                    return True
        time.sleep(0.01)
    return False


def test_an_error_in_a_worker_is_one_line(checkpoint: Path, tmp_path: Path) -> None:
    found = reachlab(*words(checkpoint, tmp_path / "run", *RAY, "--device", "cuda:7"))
    assert found.returncode == 2
    assert found.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "run").exists()
    found = reachlab(*words(checkpoint, tmp_path / "run", "--ray", "127.0.0.1:9"))
    assert found.returncode == 2
    assert "--ray local starts a cluster on this machine" in found.stderr


def test_rooms() -> None:
    asked = Cluster(ray="local")
    assert _room({"CPU": 8.0}, asked) == (0.0, 8)
    assert _room({"CPU": 64.0, "GPU": 8.0}, asked) == (1.0, 8)
    assert _room({"CPU": 64.0, "GPU": 8.0}, Cluster(ray="local", worker_gpus=2, workers=3)) == (2, 3)
    assert _room({"CPU": 64.0, "GPU": 8.0}, Cluster(ray="local", worker_gpus=0, worker_cpus=4)) == (0, 16)
    with pytest.raises(ReachlabError, match="room for 4 workers of 1 cores and 2 GPUs, 5 wanted"):
        _room({"CPU": 64.0, "GPU": 8.0}, Cluster(ray="local", worker_gpus=2, workers=5))
    with pytest.raises(ReachlabError, match="room for 0 workers"):
        _room({"CPU": 2.0}, Cluster(ray="local", worker_cpus=4))


class Mortal:
    """Stands for Ray where the order of events is the point: a dead actor's calls fail, draws come first."""

    class exceptions:  # noqa: N801 (Ray's own name)
        class RayActorError(Exception):
            pass

        class RayTaskError(Exception):
            pass

    def __init__(self, deaths: int):
        self.deaths, self.made = deaths, 0

    def hire(self) -> Any:
        self.made += 1
        dies = self.made <= self.deaths

        def call(kind: str) -> Any:
            return SimpleNamespace(remote=lambda *args: (kind, dies, *map(tuple, args), object()))

        return _Worker(SimpleNamespace(start=call("start"), draw=call("draw")))

    def wait(self, refs: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        first = next((ref for ref in refs if ref[0] == "draw"), refs[0])
        return [first], [ref for ref in refs if ref is not first]

    def get(self, ref: Any) -> Any:
        kind, dies, *args, _ = ref
        if kind == "start":
            return 1, 4, "float32"
        if dies:
            raise self.exceptions.RayActorError
        return [SimpleNamespace(tokens=1) for _ in args[0]]


@pytest.mark.parametrize("deaths", [0, 1, 2, 3])
def test_workers_that_die_before_others_have_started(deaths: int) -> None:
    ray = Mortal(deaths)
    backend = RayBackend.__new__(RayBackend)
    backend._ray, backend._count, backend._lanes, backend._piece, backend._workers, backend._deaths = (
        ray,
        2,
        1,
        4,
        [],
        0,
    )
    backend._hire = lambda: backend._workers.append(ray.hire()) or backend._workers[-1]  # type: ignore[method-assign, func-returns-value]
    backend._hire().ready = True
    parts = [[(p, s) for s in range(10)] for p in range(3)]
    found = [key for piece, _ in backend.draw(parts, lambda samples, tokens: None) for key in piece]
    assert sorted(found) == sorted(key for part in parts for key in part)
    backend._workers, backend._deaths, ray.deaths, ray.made = [], 0, 10**9, 0
    with pytest.raises(ReachlabError, match="workers died with no piece finished between"):
        list(backend.draw(parts, lambda samples, tokens: None))
