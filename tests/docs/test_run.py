"""Every command and every program that a document shows, run from the top of its page to the end.

A page is run in a folder of its own that holds what a reader has after `make demo`: `runs/demo` (made with less
training) and `examples`. A command that would take minutes gets further words that make it short (`SHORTER`);
one that cannot be run here says so in its block, and is parsed in `test_parsed.py`.
"""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import Command
from tests.docs.blocks import PAGES, ROOT, Block, blocks, words_of
from tests.docs.prepared import NAMES
from tests.tiny import ENVIRONMENT

from reachlab.cli import main
from reachlab.studies.config import DemoConfig
from reachlab.studies.demo import demo_recipe
from reachlab.studies.recipe import run_recipe
from reachlab.studies.stages import Stage
from reachlab.studies.times import StageTimes

STEPS = {"base": 192, "pods": 2, "distilled": 60, "grpo": 2}
"""Enough for a base that is right now and then."""
SHORTER = {
    "rl --model runs/": "--prompts 2",
    "rl --advise": "--prompts 2 --rollouts 16 --keep 4",
    "sample --model runs/demo/base --task countdown --problems 100": "--problems 20",
    "sample --model runs/demo/pods --task countdown --problems 100": "--problems 20",
    "study own --model runs/demo/base --task countdown --hours": "--problems 4 --samples 4 --max-tokens 14 --steps 2 "
    "--pods-steps 2 --distill-steps 2 --prompts 2 --rollouts 4",
    "study own --model runs/demo/base --task countdown --max-tokens": "--steps 2 --pods-steps 2 --distill-steps 2",
    "study visual": "--scale 0.01 --problems 8 --samples 8",
    "study demo --routing default": "--scale 0.004",
    "study rollouts": "--prompts 2",
    "study kl": "--prompts 2",
    "study checkpoints": "--samples 16 --problems 20",
    "study temperature": "--samples 16 --problems 20 --entropy-problems 10",
    "pretrain --data stdlib": "--cache tokens-of-stdlib",
    "pretrain --data stdlib --eval-every 100": "--steps 4 --batch 4",
    "distill --model runs/base --teacher solver": "--steps 4 --batch 8",
    "distill --model runs/demo/base": "--steps 4 --batch 8",
    "pretrain --data programs": "--steps 20",
    "pretrain --data scenes": "--steps 2 --batch 8",
    "moe inspect": "--tokens 2048 --warm-up 2",
}
"""A command that begins so, and what is added to it. The same option again is what counts."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make demo` makes, with next to no training: one for all workers. REACHLAB_DEMO names one that is there."""
    if made := os.environ.get("REACHLAB_DEMO"):
        return Path(made).resolve()
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "report.html").exists():
            config = DemoConfig(out=str(folder), problems=200, samples=64)
            run_recipe(replace(demo_recipe(config), steps=STEPS), config, "Demo")
    return folder


def one_after_the_other(stages: Sequence[Stage], cores: int, times: StageTimes | None = None) -> dict[str, float]:
    """What `run_stages` does, in this process: most of a short stage's time is a process's start."""
    seconds = {}
    for stage in stages:
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["reachlab", *stage.command])
            main()  # what fails exits, and so does the study
        seconds[stage.name] = time.monotonic() - began
        if times is not None:
            times.begin(stage.name)
            times.end(stage.name, seconds[stage.name], worked=True)
    return seconds


@pytest.fixture
def home(tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch, nothing_registered: None) -> Iterator[Path]:
    """The folder in which a reader stands after `make demo`."""
    threads = torch.get_num_threads()
    for study in ("recipe", "sweep", "checkpoints", "temperature", "own.run", "own.measure"):
        monkeypatch.setattr(f"reachlab.studies.{study}.run_stages", one_after_the_other)
    shutil.copytree(demo, tmp_path / "runs" / "demo")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    yield tmp_path
    torch.set_num_threads(threads)


def shortened(command: str) -> str:
    """The command with what makes it short."""
    line, arrow, file = command.partition(" > ")
    for begins, words in SHORTER.items():
        if f"reachlab {begins}" in line:
            line = f"{line} {words}"
    return f"{line}{arrow}{file}"


def in_this_process(line: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `reachlab` command, with its environment and where its output goes."""
    with monkeypatch.context() as patch:
        for word in shlex.split(line.partition("reachlab ")[0]):
            patch.setenv(*word.split("=", 1))
        code, out, err = command(*words_of(line))
    assert code == 0, f"{line}\n{err}"
    if file := line.partition(" > ")[2]:
        Path(file.strip()).write_text(out)


@contextlib.contextmanager
def serving(line: str) -> Iterator[None]:
    """A server as a command starts it, on a port that is free, until its page ends."""
    port = int((re.findall(r"--port (\d+)", line) or ["8765"])[0])  # the default of `reachlab serve`
    path = "" if line.startswith("reachlab ") else "health"
    with socket.socket() as free:
        if free.connect_ex(("127.0.0.1", port)) == 0:
            pytest.skip(f"port {port} is taken, and {line!r} names it")
    server = subprocess.Popen(shlex.split(line), start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert server.poll() is None, line
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1)
                break
            time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def run_program(block: Block, names: dict[str, Any]) -> None:
    """A block of Python: a file where the line before names it, else run, with the names that it takes as given."""
    before = block.page.read_text(encoding="utf-8").splitlines()[: block.line - 1]
    if named := re.search(r"`(\w+\.py)`:$", "\n".join(before).rstrip()):
        Path(named[1]).write_text(block.text)
    else:
        exec(compile(block.text, block.place, "exec"), names)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_from_top_to_end(page: Path, home: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.name == "CONTRIBUTING.md":
        pytest.skip("its recipes are run where they are tested")
    names = NAMES.get(page.name, dict)()
    with contextlib.ExitStack() as servers:
        for block in blocks(page):
            if block.needs:
                continue
            if block.language == "python":
                run_program(block, names)
            for line in map(shortened, block.commands):
                if line.startswith(("make ", "pip install ")):
                    continue
                with Path("commands.log").open("a", encoding="utf-8") as log:
                    log.write(f"{time.strftime('%X')} {block.place}: {line}\n")
                if line.startswith("transformers serve "):
                    servers.enter_context(serving(line))
                elif line.startswith("reachlab serve "):
                    with serving(line):  # it answers, and makes place for the next
                        pass
                elif words_of(line) and "accelerate " not in line:
                    in_this_process(line, command, monkeypatch)
                else:
                    done = subprocess.run(
                        ["bash", "-c", line], env={**ENVIRONMENT, "PATH": os.environ["PATH"]}, capture_output=True,
                        text=True, timeout=600, check=False,
                    )  # fmt: skip
                    assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_what_is_made_shorter_is_there() -> None:
    lines = [command for page in PAGES for block in blocks(page) for command in block.commands]
    for begins in SHORTER:
        assert any(begins in line for line in lines), f"no document shows {begins!r}: take it out of SHORTER"
