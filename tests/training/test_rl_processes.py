"""The whole command under `accelerate launch`: two processes compute what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.tiny import ENVIRONMENT, TASK, names, reachlab, timeless

from reachlab.runs import RunFolder

REWARDS = """
def digits(problem, answer):
    return sum(c.isdigit() for c in answer) / max(1, len(answer))
"""
STEPS = 3


@pytest.fixture
def words(checkpoint: Path, tmp_path: Path) -> list[str]:
    """A command that learns something; its reward is a module in the current folder."""
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    return [
        *("rl", "--model", str(checkpoint), "--task", TASK, "--reward", "my_rewards:digits", "--threads", "1"),
        *("--prompts", "5", "--rollouts", "8", "--keep", "4", "--rule", "max_variance", "--max-tokens", "6"),
        *("--steps", str(STEPS), "--eval-every", str(STEPS), "--eval-problems", "6", "--device", "cpu"),
        *("--keep-every", "2"),
    ]


def launch(folder: Path, launcher: list[str], words: list[str], out: str) -> "subprocess.CompletedProcess[str]":
    """`accelerate launch` in `folder`; two processes on a CPU."""
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        *launcher,
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "reachlab"]
    return subprocess.run(
        [*command, *words, "--out", out],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False,
        env={**ENVIRONMENT, "ACCELERATE_USE_CPU": "true", "HF_HOME": str(folder)},
    )  # fmt: skip


def alone(folder: Path, words: list[str], out: str) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = reachlab(*words, "--out", out, timeout=240)
    finally:
        os.chdir(before)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "more"),
    [
        (["--multi_gpu"], ["--algorithm", "reinforce_pp", "--kl-coef", "0.1", "--minibatches", "5"]),
        (["--use_fsdp", "--fsdp_version", "2"], ["--algorithm", "ppo", "--kl-coef", "0.1"]),
    ],
    ids=["ddp reinforce++", "fsdp ppo"],
)
def test_two_processes_train_as_one(words: list[str], tmp_path: Path, launcher: list[str], more: list[str]) -> None:
    alone(tmp_path, [*words, *more], "one")
    done = launch(tmp_path, launcher, [*words, *more], "two")
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (timeless(RunFolder(tmp_path / name).metrics()) for name in ("one", "two"))
    assert len(one) == len(two) == STEPS
    # The first step sees the same rollouts; from then on Adam makes steps of its own out of the last bits.
    for name, value in one[0].items():
        assert two[0][name] == pytest.approx(value, rel=2e-4, abs=1e-5), name
    for model in ("model", "checkpoints/step-000002"):
        weights = [load_file(tmp_path / name / model / "model.safetensors") for name in ("one", "two")]
        assert weights[0].keys() == weights[1].keys()
        assert all((weights[0][k] - weights[1][k]).abs().max() < 5e-3 for k in weights[0])
    assert names(tmp_path / "two" / "checkpoints") == ["step-000002"]


UNEVEN = """
def digits(problem, answer):
    return float(sum(map(ord, problem.id)) % 3 == 0) * (answer[:1] < "5")
"""


@pytest.mark.slow
def test_processes_that_draw_unequally_do_not_wait_for_each_other(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "my_rewards.py").write_text(UNEVEN)
    more = [
        "--budget",
        "waves",
        "--wave",
        "2",
        "--redraws",
        "2",
        "--minibatches",
        "5",
        "--eval-every",
        "1",
        "--eval-problems",
        "1",
    ]
    done = launch(tmp_path, ["--use_fsdp", "--fsdp_version", "2"], [*words, *more], "two")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("model in two/model") == 1
    assert len(RunFolder(tmp_path / "two").metrics()) == STEPS


@pytest.mark.slow
def test_an_error_of_one_process_ends_both(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "my_rewards.py").write_text("def digits(problem, answer):\n    return float('nan')\n")
    done = launch(tmp_path, ["--multi_gpu"], words, "two")
    assert done.returncode != 0
    assert "error: not one of 40 rollouts" in " ".join(done.stderr.split())
