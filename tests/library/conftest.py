"""Runs to compare, and a command's JSON beside what the library says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Command
from tests.reporting.conftest import draw, samples

Said = Callable[..., Any]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with `base`, `rl` and `rl2`, 6 problems of 12 samples each; of `base` two samples are unscored."""
    rate_P = np.array([0.9, 0.6, 0.4, 0.2, 0.05, 0.0])
    samples(tmp_path / "base", draw(rate_P, 12, 0), unscored=2)
    samples(tmp_path / "rl", draw(np.sqrt(rate_P), 12, 1))
    samples(tmp_path / "rl2", draw(np.sqrt(rate_P), 12, 2))
    return tmp_path


@pytest.fixture
def said(command: Command) -> Said:
    """What a command prints with --json."""

    def run(*words: str | Path) -> Any:
        code, out, err = command(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return run
