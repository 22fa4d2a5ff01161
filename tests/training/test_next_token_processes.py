"""Pretraining and distilling under `accelerate launch`: two processes compute what one does."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.tiny import ENVIRONMENT, TASK, reachlab, timeless

from reachlab.runs import RunFolder

STEPS = 6
DDP, FSDP = ["--multi_gpu"], ["--use_fsdp", "--fsdp_version", "2"]
LEARN = [
    *("--steps", str(STEPS), "--save-every", "2", "--device", "cpu", "--threads", "1", "--batch", "5"),
    *("--length", "24", "--optimizer", "adamw", "--lr", "1e-3"),
]
SHAPE = ["--hidden", "32", "--layers", "2", "--heads", "4", "--tokenizer", "char", "--positions", "64"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Forty short files."""
    folder = tmp_path / "text"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i:02}.txt").write_text(f"{i} times {i} is {i * i}; " * 6)
    return folder


def launch(folder: Path, launcher: list[str], words: list[str], out: str) -> "subprocess.CompletedProcess[str]":
    """`accelerate launch` in `folder`; two processes on a CPU."""
    command = [sys.executable, "-m", "accelerate.commands.launch", *launcher, "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", "-m", "reachlab", *words, "--out", str(folder / out)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False,
        env={**ENVIRONMENT, "ACCELERATE_USE_CPU": "true", "HF_HOME": str(folder)},
    )  # fmt: skip


def assert_same(folder: Path, launcher: list[str], words: list[str]) -> None:
    """Two processes end where one does, up to rounding."""
    alone = reachlab(*words, "--out", folder / "one", timeout=240)
    assert alone.returncode == 0, alone.stderr
    done = launch(folder, launcher, words, "two")
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout.count("model in") == 1
    one, two = (timeless(RunFolder(folder / name).metrics()) for name in ("one", "two"))
    assert len(one) == len(two) == STEPS
    for row, other in zip(one, two, strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    left, right = (load_file(folder / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert left.keys() == right.keys()
    # Adam's first steps are signs of the gradient: where one is nearly 0, the last bits decide.
    assert all((left[name] - right[name]).abs().max() < 2e-4 for name in left)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "more"),
    [
        (DDP, ["--gradient-accumulation", "2"]),
        (FSDP, ["--gradient-accumulation", "2"]),
        # The balance of a sparse model's load is one of what is computed at the same time.
        (DDP, ["--family", "olmoe", "--experts", "4", "--active-experts", "2"]),
    ],
    ids=["ddp", "fsdp", "ddp olmoe"],
)
def test_two_processes_pretrain_as_one(launcher: list[str], more: list[str], text: Path, tmp_path: Path) -> None:
    more = [*more, "--eval-every", "3", "--held-out", "0.2", "--schedule", "wsd", "--warmup", "1"]
    assert_same(tmp_path, launcher, ["pretrain", "--data", f"text:{text}", *LEARN, *SHAPE, *more])
    assert "val_loss" in RunFolder(tmp_path / "two").metrics()[-1]
    assert not (tmp_path / "two" / "tokens").exists()


@pytest.mark.slow
def test_two_processes_distil_as_one(checkpoint: Path, tmp_path: Path) -> None:
    words = ["distill", "--model", str(checkpoint), "--teacher", "solver", "--task", TASK, *LEARN]
    assert_same(tmp_path, DDP, words)


@pytest.mark.slow
def test_what_only_one_process_finds_ends_both(text: Path, tmp_path: Path) -> None:
    words = ["pretrain", "--data", f"text:{tmp_path / 'nothing'}", *LEARN, *SHAPE]
    done = launch(tmp_path, DDP, words, "two")
    assert done.returncode != 0
    assert "nothing: No such file or folder" in done.stderr
    assert "process 0 of 2 failed" in done.stderr
    few = launch(tmp_path, DDP, ["pretrain", "--data", f"text:{text}", *LEARN[:8], *SHAPE, "--batch", "1"], "two")
    assert few.returncode != 0
    assert "batch=1 cannot be shared by 2 processes in 1 pieces each: raise --batch to 2" in few.stderr
    assert not (tmp_path / "two").exists()
