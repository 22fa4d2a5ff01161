import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.rl.rules.groups import groups, growing
from torch import Tensor

from reachlab.rl.rules import RULES
from reachlab.rl.rules.max_variance import max_variance


def variance(rewards: Tensor) -> float:
    return rewards.double().var(correction=0).item()


@given(groups(), st.integers(0, 99))
def test_max_variance_equals_brute_force(group: tuple[Tensor, int], seed: int) -> None:
    rewards_PN, m = group
    kept_PM = max_variance(rewards_PN, m, torch.Generator().manual_seed(seed))
    for rewards_N, kept_M in zip(rewards_PN, kept_PM, strict=True):
        best = max(variance(rewards_N[list(s)]) for s in itertools.combinations(range(len(rewards_N)), m))
        assert len(set(kept_M.tolist())) == m
        assert variance(rewards_N[kept_M]) == pytest.approx(best, rel=1e-9, abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, torch.nan]), min_size=3, max_size=8), st.data())
def test_max_variance_over_the_scored(rewards: list[float], data: st.DataObject) -> None:
    scored = [i for i, r in enumerate(rewards) if r == r]
    m = data.draw(st.integers(1, len(rewards)))
    kept = max_variance(torch.tensor([rewards]), m)[0].tolist()
    assert sum(i in scored for i in kept) == min(m, len(scored))
    if len(scored) >= m:
        row = torch.tensor(rewards)
        best = max(variance(row[list(s)]) for s in itertools.combinations(scored, m))
        assert variance(row[kept]) == pytest.approx(best, abs=1e-12)


def test_binary_rewards_are_split_in_halves() -> None:
    rewards = (torch.arange(64) % 4 == 0).float().repeat(5, 1)
    kept = max_variance(rewards, 16)
    assert rewards.gather(1, kept).sum(dim=1).tolist() == [8.0] * 5


def test_a_large_offset_does_not_hide_the_spread() -> None:
    rewards = torch.tensor([[1e6, 1e6 + 1, 1e6 + 1, 1e6 + 2, 1e6 + 1]])
    assert sorted(rewards.gather(1, max_variance(rewards, 2))[0].tolist()) == [1e6, 1e6 + 2]


@given(growing())
def test_not_saturated_can_change(grown: tuple[Tensor, Tensor, int, float, float]) -> None:
    """Some rewards to come would change what is kept; for odd M, at least at the second of two ends."""
    first, _, m, low, high = grown
    if m == 1 or first.isnan().any() or RULES["max_variance"].saturated(first, m, low, high):
        return
    kept = first.gather(1, max_variance(first, m))[0]
    # As numbers and not as variances: a reward may be closer to an end than a variance can tell.
    ends_kept, ends_of = ([int((x == end).sum()) for end in (low, high)] for x in (kept, first))
    assert sum(ends_kept) < m or min(ends_kept) < m // 2 or (m % 2 == 1 and min(ends_of) == m // 2)
