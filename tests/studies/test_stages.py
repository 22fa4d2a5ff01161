import json
import os
import re
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.tiny import names

from reachlab.errors import ReachlabError
from reachlab.studies import stages as stages_module
from reachlab.studies.stages import Stage, at_once, run_stages
from reachlab.studies.times import StageTimes

COMMAND = """#!/bin/sh
# Called as `python -m reachlab NAME SCRIPT`: note the beginning and the end of SCRIPT.
echo "start $3" >> "$LOG"
eval "$4" || exit $?
echo "end $3" >> "$LOG"
"""


@dataclass(frozen=True)
class Script:
    """A stage's configuration here."""

    name: str
    text: str


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of what the stages did; their command is a shell script."""
    script = tmp_path / "command"
    script.write_text(COMMAND)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(stages_module, "words_of", lambda script: (script.name, script.text))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return tmp_path / "log"


def stage(name: str, script: str = "true", *needs: str, threads: int = 1) -> Stage:
    return Stage(name, Script(name, script), needs, threads)


def test_a_stage_waits_for_what_it_needs(log: Path) -> None:
    stages = [
        stage("report", "true", "sample a", "sample b"),
        stage("sample a", "sleep 0.1", "base"),
        stage("sample b", "true", "base"),
        stage("base", "sleep 0.1"),
    ]
    seconds = run_stages(stages, cores=4)
    lines = log.read_text().splitlines()
    assert lines[:2] == ["start base", "end base"]
    assert lines[-2:] == ["start report", "end report"]
    assert sorted(lines[2:-2]) == ["end sample a", "end sample b", "start sample a", "start sample b"]
    assert set(seconds) == {"report", "sample a", "sample b", "base"}
    assert seconds["base"] >= 0.1


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 2)])
def test_no_more_stages_run_than_there_are_cores(log: Path, cores: int, most: int) -> None:
    run_stages([stage(f"s{i}", "sleep 0.1") for i in range(5)], cores)
    running = [0]
    for line in log.read_text().splitlines():
        running.append(running[-1] + (1 if line.startswith("start") else -1))
    assert max(running) == most
    assert running[-1] == 0


def test_a_stage_of_many_threads_runs_alone_where_cores_are_few(log: Path) -> None:
    run_stages([stage("a", "sleep 0.1"), stage("wide", "sleep 0.1", threads=3), stage("b", "sleep 0.1")], cores=2)
    lines = log.read_text().splitlines()
    at = lines.index("start wide")
    assert lines[at + 1] == "end wide"


def test_a_stage_has_the_threads_it_was_given(log: Path) -> None:
    run_stages([stage("a", 'echo "$OMP_NUM_THREADS $MKL_NUM_THREADS" >> "$LOG"', threads=3)], cores=8)
    assert "3 3" in log.read_text()


def test_a_failed_stage_says_why_and_stops_the_others(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    stages = [
        stage("long", "exec sleep 60"),
        stage("base", "sleep 0.2; echo noise; echo 'error: runs/base: no such model folder' >&2; exit 2"),
        stage("after", "true", "base"),
    ]
    with pytest.raises(ReachlabError) as error:
        run_stages(stages, cores=2)
    says = str(error.value)
    assert says.startswith("stage 'base' failed: runs/base: no such model folder (command: reachlab base ")
    assert "\n" not in says
    assert time.monotonic() - began < 30
    assert "end long" not in log.read_text()
    assert "start after" not in log.read_text()
    assert "Traceback" not in capfd.readouterr().err


def test_a_defect_shows_all_it_said(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ReachlabError, match="stage 'a' failed: ValueError: oops"):
        run_stages([stage("a", "echo 'Traceback (most recent call last):'; echo 'ValueError: oops'; exit 1")], cores=1)
    assert "Traceback (most recent call last):\nValueError: oops" in capfd.readouterr().err
    with pytest.raises(ReachlabError, match="stage 'a' failed: exit code -9"):
        run_stages([stage("a", "kill -9 $$")], cores=1)


def test_what_is_done_when_a_study_starts_again(log: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"test -e {done} || {{ touch {done}; exit 2; }}"
    stages = [stage("first", f"echo work >> {tmp_path / 'work'}"), stage("second", script, "first")]
    with pytest.raises(ReachlabError, match="stage 'second' failed: exit code 2"):
        run_stages(stages, cores=1)
    assert set(run_stages(stages, cores=1)) == {"first", "second"}


def test_progress_of_a_stage_is_read(
    log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_module, "LOG_EVERY_S", 0.0)
    event = json.dumps({"label": "x", "done": 3, "total": 4, "info": "loss 1.5", "eta": ""})
    torn = f"printf '%s\\n%s' '{event}' '{event[:10]}' > /proc/self/fd/$REACHLAB_PROGRESS_FD; sleep 0.2"
    run_stages([stage("a", torn)], cores=1)
    said = capfd.readouterr().err
    assert re.search(r"a: 3/4  0s  eta 0s  loss 1\.5\n", said)
    assert "a: done in 0 s" in said


def test_stages_that_can_never_start(log: Path) -> None:
    with pytest.raises(ValueError, match="stages that can never start: a, b"):
        run_stages([stage("a", "true", "b"), stage("b", "true", "a")], cores=1)
    with pytest.raises(ValueError, match="stages that can never start: a"):
        run_stages([stage("a", "true", "nothing"), stage("c")], cores=1)
    assert run_stages([], cores=1) == {}


def test_nothing_stays_open(log: Path) -> None:
    before = len(names("/proc/self/fd"))
    run_stages([stage("a"), stage("b")], cores=2)
    with pytest.raises(ReachlabError):
        run_stages([stage("long", "exec sleep 60"), stage("b", "exit 1")], cores=2)
    assert len(names("/proc/self/fd")) == before


def test_stages_that_would_share_a_gpu_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_once("cpu") == len(os.sched_getaffinity(0))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert at_once() == 1


def test_progress_through_a_launcher_that_hands_no_descriptor_on(
    log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_module, "LOG_EVERY_S", 0.0)
    event = json.dumps({"label": "x", "done": 1, "total": 4, "info": "", "eta": ""})
    said = f"printf '%s\\n' '{event}' > \"$REACHLAB_PROGRESS_FD\"; echo $REACHLAB_PROGRESS_FD >> $LOG; sleep 0.2"
    before = len(names("/proc/self/fd"))
    run_stages([Stage("a", Script("a", said), launch=(sys.executable,)), stage("b", "true", "a")], cores=1)
    assert re.search(r"a: 1/4 ", capfd.readouterr().err)
    (pipe,) = [Path(line) for line in log.read_text().splitlines() if line.startswith("/")]
    assert not pipe.parent.exists()
    assert len(names("/proc/self/fd")) == before


def test_a_launched_stage_that_fails_says_how_it_was_started(log: Path) -> None:
    with pytest.raises(ReachlabError, match=r"failed: no \(command: .* -m reachlab a "):
        run_stages([Stage("a", Script("a", "echo 'error: no' >&2; exit 2"), launch=(sys.executable,))], cores=1)


def test_times_are_kept_over_a_failure_and_a_second_start(log: Path, tmp_path: Path) -> None:
    event = '{"label": "x", "done": 1, "total": 2, "info": "", "eta": ""}'
    works = f"echo '{event}' > /dev/fd/$REACHLAB_PROGRESS_FD; sleep 0.1"
    done = tmp_path / "done"
    stages = [
        stage("base", f"test -e {done} || {{ {works}; touch {done}; }}"),
        stage("rl", f"{works}; test -e {tmp_path}/mended", "base"),
    ]
    with pytest.raises(ReachlabError, match="stage 'rl' failed"):
        run_stages(stages, 1, StageTimes(tmp_path))
    (tmp_path / "mended").touch()
    times = StageTimes(tmp_path)
    run_stages(stages, 1, times)
    assert [len(times.sittings[name]) for name in ("base", "rl")] == [1, 2]
    assert times.words("rl").endswith(" s in 2 sittings")
    assert min(times.sittings["rl"]) > 0
