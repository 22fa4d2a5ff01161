"""The script that compares a GPU with the CPU, tried without a GPU."""

import json
import math
from pathlib import Path

import pytest
import torch

import check_gpu
from check_gpu import Check, Line, compared


def test_what_is_far_or_no_number_does_not_hold() -> None:
    assert Line("loss", 1.00005, 1.0, 1e-4).holds
    assert not Line("loss", 1.0002, 1.0, 1e-4).holds
    assert Line("loss", 1e-8, -1e-8, 1e-4).holds  # both nothing
    assert not Line("loss", math.nan, 1.0, 1e-4).holds
    assert not Line("loss", 1.0, math.inf, 1e-4).holds
    assert str(Line("loss", 2.0, 1.0, 1e-4)).endswith("DIFFERS")


def _run(folder: Path, *rows: dict[str, float | None]) -> str:
    folder.mkdir()
    lines = [json.dumps({"step": t, **row}) + "\n" for t, row in enumerate(rows, 1)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    return str(folder)


def test_runs_are_compared_in_their_first_and_last_step(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", {"loss": 1.0, "grad_norm": 2.0}, {"loss": 0.5})
    two = _run(tmp_path / "two", {"loss": 1.0, "grad_norm": 2.1}, {"loss": None})
    lines = {line.what: line.holds for line in compared(one, two, check_gpu.FIRST)}
    assert lines == {"step 1 loss": True, "step 1 grad_norm": False, "step 2 loss": False}
    with pytest.raises(ValueError, match="2 steps and 1"):
        compared(one, _run(tmp_path / "three", {"loss": 1.0}), check_gpu.FIRST)


def test_a_part_that_fails_ends_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check("cpu", tmp_path)
    check.part("broken", lambda: [Line("x", 1 / 0, 0.0, 0.0)])
    check.part("far", lambda: [Line("x", 1.0, 2.0, 0.1), Line("y", 1.0, 1.0, 0.1)])
    assert check.failed == ["broken", "far: x"]
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_without_a_gpu_it_says_not_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert check_gpu.main([]) == 2
    assert "NOT RUN" in capsys.readouterr().out


@pytest.mark.slow
def test_the_script_agrees_with_itself_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_gpu.main(["--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "all agree" in said
    for part in ("pretraining, sparse", "bfloat16", "distilling", "RL, grpo", "RL, ppo", "decoding, olmoe"):
        assert part in said
    assert "several processes: NOT RUN" in said
