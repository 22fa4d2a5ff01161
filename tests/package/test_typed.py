"""Somebody else's module under strict type checkers: what the installed package says of its names, and none of `Any`.

Without `pandas-stubs`, as most have it, mypy knows nothing of a pandas frame, and so nothing of ours.
"""

import json
import re
import sys
from pathlib import Path

import pytest
from tests.package.outside import Outside

pytestmark = [pytest.mark.slow, pytest.mark.package]

CONSUMER = """
from collections.abc import Mapping
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import reachlab as rl
from reachlab import Comparison, ReachlabError, Run

run = rl.Run("runs/base")
assert_type(run, Run)
assert_type(run.correct_P, NDArray[np.int64])
assert_type(run.pass_at_k(8).mean, NDArray[np.float64])
assert_type([sample.text for sample in run.samples()], list[str])

found = rl.compare({"base": run, "rl": "runs/rl"}, seed=1)
assert_type(found, Comparison)
assert_type(found.base, str)
assert_type([verdict.sentence for verdict in found.verdicts.values()], list[str])
assert_type(rl.compare_matrices({"base": [[0, 1]], "rl": [[1, 1]]}).base, str)

assert_type(rl.pass_at_k([3, 0], [64, 64], [1, 8]).per_problem, NDArray[np.float64])
assert_type(rl.verify("math", "so it is 4", "4").reason, str)
rewards_PN: NDArray[np.float64] = np.zeros((2, 8))
assert_type(rl.max_variance(rewards_PN, 4), NDArray[np.float64])
assert_type(rl.__version__, str)


def trained(data: Mapping[str, str]) -> list[rl.Training] | str:
    try:
        return [rl.pretrain(name, out=folder) for name, folder in data.items()]
    except ReachlabError as error:
        return str(error)
"""

TORCH = """
from typing import assert_type

import torch

import reachlab as rl

assert_type(rl.max_variance(torch.zeros(2, 8), 4), torch.Tensor)
"""

FRAMES = """
import pandas as pd

assert_type(rl.load_run("runs/base"), pd.DataFrame)
assert_type(rl.load_run("runs/base", problems=True), pd.DataFrame)
assert_type(rl.Run("runs/base").to_frame(), pd.DataFrame)
assert_type(rl.compare({"base": "runs/base", "rl": "runs/rl"}).to_frame(), pd.DataFrame)
assert_type(rl.pass_at_k([3], [64]).to_frame(), pd.DataFrame)
"""
"""What goes on below, where pandas has types."""

MISTAKEN = """
import reachlab as rl

rl.load_run(3)
rl.comparee({})
rl.Run("runs/base").pass_at_K(8)
rl.compare({})["base"]
"""
"""Each line but the import is a mistake."""
MISTAKES = {4, 5, 6, 7}


@pytest.fixture
def stubbed(plain: Outside, tools: Outside) -> Outside:
    """The plain environment and the types of pandas beside it."""
    environment, stubs = plain.folder / "stubbed", plain.folder / "stubs"
    plain.call("python", "-m", "venv", "--without-pip", environment)
    stubs.mkdir()
    (stubs / "pandas-stubs").symlink_to(packages(tools) / "pandas-stubs")
    user = Outside(environment, plain.folder)
    (packages(user) / "beside.pth").write_text(f"{packages(plain)}\n{stubs}\n", encoding="utf-8")
    return user


def packages(where: Outside) -> Path:
    """Where an environment's packages are."""
    (found,) = (where.environment / "lib").glob("python*/site-packages")
    return found


def mypy(user: Outside, text: str, *, code: int = 0) -> str:
    """What mypy says of a module in the user's environment; it is ours that checks."""
    (user.folder / "consumer.py").write_text(text, encoding="utf-8")
    checker = Outside(Path(sys.prefix), user.folder)
    return checker.call(
        "python", "-m", "mypy", "--strict", "--python-executable", user.python, "consumer.py", code=code
    )


def pyright(user: Outside, tools: Outside, text: str, *, code: int = 0) -> str:
    """What pyright says of it, as strict as it can be."""
    (user.folder / "consumer.py").write_text(text, encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False, "include": ["consumer.py"]}
    (user.folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    return tools.call("basedpyright", "--pythonpath", user.python, "--level", "error", code=code)


def lines_of(said: str) -> set[int]:
    """The lines with an error."""
    return {int(line) for line in re.findall(r"consumer\.py:(\d+):(?:\d+ -)? error", said)}


def test_mypy_with_what_a_plain_environment_has(plain: Outside) -> None:
    assert "no issues" in mypy(plain, CONSUMER)


def test_mypy_knows_frames_with_the_types_of_pandas(stubbed: Outside) -> None:
    assert "no issues" in mypy(stubbed, CONSUMER + FRAMES)


def test_pyright(stubbed: Outside, tools: Outside) -> None:
    assert "0 errors" in pyright(stubbed, tools, CONSUMER + FRAMES)


def test_pyright_knows_tensors(train: Outside, tools: Outside) -> None:
    """mypy reads all of torch for it, which takes most of a minute."""
    assert "0 errors" in pyright(train, tools, TORCH)


def test_mistakes_are_found(plain: Outside, tools: Outside) -> None:
    assert lines_of(mypy(plain, MISTAKEN, code=1)) == MISTAKES
    assert lines_of(pyright(plain, tools, MISTAKEN, code=1)) == MISTAKES
