import json
import os
import sys
import time
from pathlib import Path

import pytest

from reachlab.progress import EVENTS, describe, duration, track


def test_a_parent_process_gets_events(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(EVENTS, str(write))
    with track("work", 10, 4) as advance:
        advance(2, loss=0.123456)
        advance(4, loss=0.1)
    os.close(write)
    with os.fdopen(read) as pipe:
        events = [json.loads(line) for line in pipe]
    assert events[0] == {"label": "work", "done": 4, "total": 10, "info": "", "eta": ""}
    assert events[-1] == {"label": "work", "done": 10, "total": 10, "info": "loss 0.1", "eta": ""}


def test_the_work_goes_on_when_the_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setenv(EVENTS, str(write))
    done = 0
    with track("work", 3) as advance:
        for _ in range(3):
            done += 1
            advance()
    os.close(write)
    assert done == 3


def test_a_log_gets_a_line_at_the_end_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 5.0, 20.0, 22.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with track("rl", 8, 2) as advance:
        advance(1)
        advance(2, reward=0.25)
        advance(3, reward=0.5)
    lines = capsys.readouterr().err.splitlines()
    # Two of eight were done before: three more in 20 s leave three for another 20 s.
    assert lines == ["rl: 5/8  20s  eta 20s  reward 0.25", "rl: 8/8  22s  eta 0s  reward 0.5"]


def test_work_that_knows_its_end_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 130.0, 131.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with track("sample", 4096) as advance:
        advance(120, eta="14m00s", note="812 tok/s")
        advance(0, eta="14m00s", note="812 tok/s")
    assert capsys.readouterr().err == "sample: 120/4096  2m10s  eta 14m00s  812 tok/s\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with track("pretrain", 4, 1) as advance:
        advance(3, loss=1.5, eta="at most 3h05m")
    shown = capsys.readouterr().err
    assert "pretrain" in shown
    assert "4/4" in shown
    assert "loss 1.5" in shown
    assert "at most 3h05m" in shown


def test_numbers_are_short() -> None:
    assert describe({"loss": 1.23456, "step": 1234567, "name": "x"}) == "loss 1.23  step 1234567  name x"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (130, "2m10s"), (11_100, "3h05m"), (353_000, "4d02h")],
)
def test_durations(seconds: float, says: str) -> None:
    assert duration(seconds) == says


def test_a_pipe_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv(EVENTS, str(pipe))
    with track("nobody reads", 1) as advance:  # it does not wait for somebody who does
        advance()
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with track("work", 2) as advance:
        advance(2)
    assert json.loads(os.read(read, 1000).splitlines()[-1])["done"] == 2
    os.close(read)
