from types import SimpleNamespace
from typing import Any

import pytest

from reachlab.reporting.titles import title_of


def entry(name: str, task: str, trained: bool) -> Any:
    config = {"task": task} if task else {}
    return SimpleNamespace(name=name, trainings=["rl"] * trained, part=lambda key: config)


def entries(names: str, *tasks: str, trained: bool = True) -> Any:
    return [entry(name, tasks[at % len(tasks)], trained and at > 0) for at, name in enumerate(names.split())]


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (entries("base grpo pods", "countdown,division=0.2"), "base, grpo and pods on countdown: what training added"),
        (entries("base", "gym:chain_sum,max_terms=2"), "base on chain_sum: what is within reach"),
        (entries("a b", "math:data/test.jsonl", trained=False), "a and b on math, test.jsonl: what each can solve"),
        (entries("a b c d e", "math"), "a and 4 others on math: what training added"),
        (entries("a b", "math", "code"), "a and b on math and code: what training added"),
        (entries("a b c", "math", "code", "arc"), "a, b and c on 3 tasks: what training added"),
        (entries("a b", "", trained=False), "a and b: what each can solve"),
    ],
)
def test_a_title_names_models_and_task(found: Any, title: str) -> None:
    assert title_of(found) == title


def test_a_long_name_is_cut_in_its_middle() -> None:
    title = title_of(entries(f"base org-{'x' * 80}-7b", "math"))
    assert title.startswith("base and org-xxx")
    assert "…" in title
    assert "-7b on math" in title
    assert len(title) < 80
