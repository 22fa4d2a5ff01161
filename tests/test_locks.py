"""One holder at a time, between processes and behind URLs; a dead one holds nothing."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from tests.tiny import in_a_fork

from reachlab.errors import ReachlabError
from reachlab.locks import locked
from reachlab.runs import RunFolder


def _hold(folder: Path) -> None:
    with locked(folder):
        (folder / "held").touch()
        time.sleep(60)


def _count(folder: Path) -> None:
    for _ in range(40):
        with locked(folder):
            number = int((folder / "number").read_text())
            time.sleep(0.001)
            (folder / "number").write_text(str(number + 1))


def test_two_processes_are_never_inside_together(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    processes = [in_a_fork(partial(_count, tmp_path)) for _ in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes] == [0, 0]
    assert (tmp_path / "number").read_text() == "80"
    assert not (tmp_path / ".lock").exists()


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    process = in_a_fork(partial(_hold, tmp_path))
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"\.lock: no lock to be had: No such file"), locked(tmp_path / "none"):
        raise AssertionError("not reached")


def test_behind_a_url_others_are_waited_for_unless_they_are_long_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder("memory://locks/run")
    run.fs.pipe_file(f"{run.path}/.lock-5-somebody", b"")  # of long ago
    with run.lock():
        assert len(run.glob(".lock-*")) == 2
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        run.fs.rm(other)

    other = f"{run.path}/.lock-{time.time():.0f}-other"
    run.fs.pipe_file(other, b"")
    monkeypatch.setattr("reachlab.locks.time.sleep", wait)
    with run.lock():
        assert len(waits) == 1
    assert [p.rpartition("/")[2] for p in run.glob(".lock-*")] == [".lock-5-somebody"]
    run.fs.rm("/locks", recursive=True)
