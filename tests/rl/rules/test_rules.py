import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.rl.rules.groups import groups, growing
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules import RULES
from reachlab.rl.rules.max_reward import max_reward
from reachlab.rl.rules.max_variance import max_variance
from reachlab.rl.rules.rule import Rule

SELECTING = [rule for rule in RULES.values() if not rule.keeps_all]
every = pytest.mark.parametrize("rule", SELECTING, ids=lambda rule: rule.name)


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


@every
def test_unscored_are_kept_only_for_want_of_others(rule: Rule) -> None:
    nan = torch.nan
    rewards = torch.tensor([[nan, 1.0, nan, 0.0, 0.5], [nan, nan, nan, nan, 2.0], [nan] * 5, [3.0, 1.0, 2.0, 0.0, 4.0]])
    rewards[0, 0] = -rewards[0, 0]  # a NaN with its sign bit set
    kept = rule.keep(rewards, 3, None)
    assert set(kept[0].tolist()) == {1, 3, 4}
    assert 4 in kept[1].tolist()
    assert all(len(set(row)) == 3 for row in kept.tolist())


@every
def test_the_generator_decides(rule: Rule) -> None:
    rewards = torch.zeros(4, 64)
    first, again, other = (rule.keep(rewards, 8, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_refuses_infinite_rewards() -> None:
    with pytest.raises(ReachlabError, match="infinite"):
        max_variance(torch.tensor([[0.0, torch.inf]]), 1)


def test_names() -> None:
    assert [*RULES] == ["none", "max_variance", "max_reward", "random", "percentile"]
    assert all(rule.name == name for name, rule in RULES.items())
    with pytest.raises(ReachlabError, match="down-sampling: no rule 'best'; choose one of none, max_variance"):
        RULES["best"]


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
