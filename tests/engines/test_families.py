"""Sampler and packer against the model's own forward pass, in every family: what docs/families.md says."""

from pathlib import Path

import pytest
from tests.families import NAMES, trial

DOC = Path(__file__).parents[2] / "docs" / "families.md"
ROWS = {
    cells[1]: cells[2:-1]
    for line in DOC.read_text().splitlines()
    if line.startswith("| ") and (cells := [cell.strip() for cell in line.split("|")])[1] in NAMES
}
TRAINED = ["Llama", "GPT2", "deepseek_v2", "gpt_oss", "olmoe"]
"""Families that are also trained for a step and densified here; all are under the marker `slow`."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_and_scored_is_the_models_own(name: str) -> None:
    found = trial(name, whole=False)
    assert (None if found is None else [found.sample, found.score]) == (ROWS[name][:2] if name in ROWS else None)


@pytest.mark.parametrize("name", [n if n in TRAINED else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_and_after_a_step(name: str) -> None:
    found = trial(name)
    assert (None if found is None else [found.sample, found.score, found.rl, found.densify]) == ROWS.get(name)
