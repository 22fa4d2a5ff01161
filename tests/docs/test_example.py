import re
from runpy import run_path

import pytest
import torch
from tests.docs.blocks import ROOT

FILE = ROOT / "examples" / "grpo_one_page.py"


def test_it_is_one_page_of_our_mathematics_and_torch() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    modules = set(re.findall(r"^from (\S+)|^import (\S+)", text, re.MULTILINE))
    taken = {
        name.split(".")[0] if not name.startswith("reachlab") else name for pair in modules for name in pair if name
    }
    ours = {name for name in taken if name.startswith("reachlab")}
    assert all(name.startswith("reachlab.rl.") for name in ours - {"reachlab.models.token_logprobs"})
    assert taken - ours == {"collections", "dataclasses", "math", "torch", "transformers"}


def test_right_answers_become_likelier() -> None:
    page = run_path(str(FILE))
    ones = [one for _, one, many in page["train"](page["Settings"](steps=24, rollouts=32, keep=8)) if one <= many]
    assert len(ones) == 25
    first, last = sum(ones[:3]) / 3, sum(ones[-3:]) / 3
    assert last > 1.5 * first
    assert page["pass_at_k"](torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]), 2) == pytest.approx(0.25)
