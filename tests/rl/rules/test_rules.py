import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules import RULES
from reachlab.rl.rules.max_reward import max_reward
from reachlab.rl.rules.max_variance import max_variance
from reachlab.rl.rules.none import none
from reachlab.rl.rules.percentile import percentile
from reachlab.rl.rules.random import random
from reachlab.rl.rules.rule import Rule

SELECTING = [rule for rule in RULES.values() if not rule.keeps_all]
every = pytest.mark.parametrize("rule", SELECTING, ids=lambda rule: rule.name)

binary = st.sampled_from([0.0, 1.0])
tied = st.sampled_from([-1.0, -0.0, 0.0, 0.25, 1.0])
continuous = st.floats(-1e4, 1e4, width=32)
offset = st.integers(0, 40).map(lambda i: 1000.0 + i / 16)


@st.composite
def groups(draw: st.DrawFn) -> tuple[Tensor, int]:
    n, prompts = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    reward = draw(st.sampled_from([binary, tied, continuous, offset]))
    rows = draw(st.lists(st.lists(reward, min_size=n, max_size=n), min_size=prompts, max_size=prompts))
    return torch.tensor(rows), draw(st.integers(1, n))


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


@every
@given(groups(), st.integers(0, 99))
def test_rows_do_not_touch_each_other(rule: Rule, group: tuple[Tensor, int], seed: int) -> None:
    rewards_PN, m = group
    kept_PM = rule.keep(rewards_PN, m, torch.Generator().manual_seed(seed))
    assert kept_PM.shape == (len(rewards_PN), m)
    assert kept_PM.dtype == torch.int64
    assert all(set(row) <= set(range(rewards_PN.shape[1])) and len(set(row)) == m for row in kept_PM.tolist())
    if rule.name != "random":  # draws for all prompts at once
        alone = rule.keep(rewards_PN[:1], m, torch.Generator().manual_seed(seed))
        assert torch.equal(alone, kept_PM[:1])


@given(groups())
def test_max_reward_keeps_the_highest(group: tuple[Tensor, int]) -> None:
    rewards_PN, m = group
    found = rewards_PN.gather(1, max_reward(rewards_PN, m)).sort(dim=1, descending=True).values
    assert torch.equal(found, rewards_PN.topk(m, dim=1).values)


def test_percentile_by_hand() -> None:
    rewards = torch.tensor([[7.0, 0.0, 6.0, 1.0, 5.0, 2.0, 4.0, 3.0]])
    assert rewards.gather(1, percentile(rewards, 4)).tolist() == [[1.0, 3.0, 5.0, 7.0]]
    assert rewards.gather(1, percentile(rewards, 1)).tolist() == [[4.0]]
    assert rewards.gather(1, percentile(rewards, 3)).tolist() == [[1.0, 4.0, 6.0]]


@every
def test_unscored_are_kept_only_for_want_of_others(rule: Rule) -> None:
    nan = torch.nan
    rewards = torch.tensor([[nan, 1.0, nan, 0.0, 0.5], [nan, nan, nan, nan, 2.0], [nan] * 5, [3.0, 1.0, 2.0, 0.0, 4.0]])
    rewards[0, 0] = -rewards[0, 0]  # a NaN with its sign bit set
    kept = rule.keep(rewards, 3, None)
    assert set(kept[0].tolist()) == {1, 3, 4}
    assert 4 in kept[1].tolist()
    assert all(len(set(row)) == 3 for row in kept.tolist())


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


@every
def test_equal_rewards_are_chosen_alike(rule: Rule) -> None:
    # 4 ones and 8 zeros, 6 kept: rollouts of one reward must be kept equally often.
    generator = torch.Generator().manual_seed(0)
    rewards = torch.tensor([[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])
    trials = 1000
    kept = torch.cat([rule.keep(rewards, 6, generator) for _ in range(trials)])
    share_N = torch.bincount(kept.flatten(), minlength=12) / trials
    for value in (0.0, 1.0):
        alike = share_N[rewards[0] == value]
        assert alike.max() - alike.min() < 6 * (0.25 / trials) ** 0.5


def test_binary_rewards_are_split_in_halves() -> None:
    rewards = (torch.arange(64) % 4 == 0).float().repeat(5, 1)
    kept = max_variance(rewards, 16)
    assert rewards.gather(1, kept).sum(dim=1).tolist() == [8.0] * 5


def test_a_large_offset_does_not_hide_the_spread() -> None:
    rewards = torch.tensor([[1e6, 1e6 + 1, 1e6 + 1, 1e6 + 2, 1e6 + 1]])
    assert sorted(rewards.gather(1, max_variance(rewards, 2))[0].tolist()) == [1e6, 1e6 + 2]


def test_random_is_independent_for_each_prompt() -> None:
    kept = random(torch.zeros(50, 20), 3, torch.Generator().manual_seed(0))
    assert len({frozenset(row) for row in kept.tolist()}) > 25


@every
def test_the_generator_decides(rule: Rule) -> None:
    rewards = torch.zeros(4, 64)
    first, again, other = (rule.keep(rewards, 8, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_none_keeps_all() -> None:
    assert none(torch.zeros(2, 3), 3).tolist() == [[0, 1, 2], [0, 1, 2]]
    with pytest.raises(ReachlabError, match="keeps all 3 rollouts, not 2"):
        none(torch.zeros(2, 3), 2)


@every
def test_refuses(rule: Rule) -> None:
    for m in (0, 4):
        with pytest.raises(ReachlabError, match=f"cannot keep {m} of 3"):
            rule.keep(torch.zeros(1, 3), m, None)


def test_refuses_infinite_rewards() -> None:
    with pytest.raises(ReachlabError, match="infinite"):
        max_variance(torch.tensor([[0.0, torch.inf]]), 1)


def test_names() -> None:
    assert [*RULES] == ["none", "max_variance", "max_reward", "random", "percentile"]
    assert all(rule.name == name for name, rule in RULES.items())
    with pytest.raises(ReachlabError, match="down-sampling: no rule 'best'; choose one of none, max_variance"):
        RULES["best"]


ends = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.1, 0.7)])


@st.composite
def growing(draw: st.DrawFn) -> tuple[Tensor, Tensor, int, float, float]:
    """Rewards so far and more of them, all in [low, high] and often at its ends."""
    low, high = draw(ends)
    inside = st.one_of(st.just(low), st.just(high), st.floats(0.0, 1.0).map(lambda u: low + u * (high - low)))
    reward = draw(st.sampled_from([st.sampled_from([low, high]), inside, st.one_of(inside, st.just(torch.nan))]))
    first = draw(st.lists(reward, min_size=1, max_size=9))
    more = draw(st.lists(reward, max_size=6))
    m = draw(st.integers(1, len(first)))
    return torch.tensor([first]).clamp(low, high), torch.tensor([more]).clamp(low, high), m, low, high


@pytest.mark.parametrize("name", ["max_variance", "max_reward"])
@given(growing())
def test_saturated_is_final(name: str, grown: tuple[Tensor, Tensor, int, float, float]) -> None:
    first, more, m, low, high = grown
    if not RULES[name].saturated(first, m, low, high):
        return
    both = torch.cat([first, more.view(1, -1)], dim=1)
    kept, later = (
        rewards.gather(1, RULES[name].keep(rewards, m, None)).sort(dim=1).values for rewards in (first, both)
    )
    assert torch.equal(kept, later)


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


def test_saturated_by_hand() -> None:
    nan = torch.nan
    rewards = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0], [1.0, 0.5, 0.0, nan], [nan, nan, nan, nan]])

    def saturated(rule: str, m: int, high: float = 1.0) -> list[bool]:
        return RULES[rule].saturated(rewards, m, 0.0, high).tolist()

    assert saturated("max_variance", 4) == [True, False, False, False]
    assert saturated("max_variance", 2) == [True, True, True, False]
    assert saturated("max_variance", 3) == [True, False, False, False]
    assert saturated("max_variance", 2, high=2.0) == [False] * 4
    assert saturated("max_reward", 2) == [True, True, False, False]
    for rule in ("random", "none"):
        assert saturated(rule, 4) == [True, True, False, False]
        assert saturated(rule, 3) == [True, True, True, False]
    assert saturated("percentile", 1) == [False] * 4


def test_a_rule_that_says_nothing_is_never_saturated() -> None:
    rule = Rule(name="mine", keep=max_reward)
    assert not rule.saturated(torch.ones(3, 8), 1, 0.0, 1.0).any()


@pytest.mark.parametrize("offset", [2.0**24, -(2.0**40), 1e12])
@pytest.mark.parametrize("rule", ["max_variance", "max_reward", "percentile"])
def test_rewards_that_float32_would_not_tell_apart_are_sorted(rule: str, offset: float) -> None:
    near = torch.tensor([[3.0, 0.0, torch.nan, 1.0, 2.0, 7.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]], dtype=torch.float64)
    for m in (1, 2, 3, 5):
        found = RULES[rule].keep(near + offset, m, torch.Generator().manual_seed(m))
        assert torch.equal(found, RULES[rule].keep(near, m, torch.Generator().manual_seed(m)))
