"""The real verl, in its own environment (`make verl`): our trainer mode in it, and the example."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-verl" / "bin" / "python"
HERE = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "VERL_USE_EXTERNAL_MODULES": "reachlab.integrations.verl.plugin",
    "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-verl: make verl"),
]


def in_verl(*command: str | Path) -> str:
    found = subprocess.run(
        [PYTHON, *command], cwd=ROOT, env=HERE, capture_output=True, text=True, timeout=200, check=False
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


def test_trainer_advantages_losses_and_metrics() -> None:
    # Options of this repository's pytest are for plugins that verl's environment lacks.
    said = in_verl("-m", "pytest", "-q", "--noconftest", "-o", "addopts=", Path(__file__).with_name("inside.py"))
    assert "14 passed" in said


def test_the_example() -> None:
    said = in_verl(ROOT / "examples" / "verl_pods.py")
    assert "trainer mode down_sampling: DownSamplingTrainer" in said
    assert "kept of 8: [1, 4, 6, 7]" in said
