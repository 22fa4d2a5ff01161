import torch

from reachlab.rl.rules.random import random


def test_random_is_independent_for_each_prompt() -> None:
    kept = random(torch.zeros(50, 20), 3, torch.Generator().manual_seed(0))
    assert len({frozenset(row) for row in kept.tolist()}) > 25
