import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.budgets.all_at_once import AllAtOnce
from reachlab.rl.budgets.budget import Budget
from reachlab.rl.budgets.pilot_commit import PilotCommit
from reachlab.rl.budgets.waves import Waves
from reachlab.rl.rules import RULES
from reachlab.training.rl_config import BudgetConfig

NAN = torch.nan


def spend(budget: Budget, stock_PN: Tensor, m: int) -> tuple[Tensor, list[Tensor]]:
    """Draw from a stock of rewards as the budget says: the rewards drawn, and what was given in each round."""
    n = stock_PN.shape[1]
    drawn_P = torch.zeros(len(stock_PN), dtype=torch.int64)
    rounds: list[Tensor] = []
    while True:
        rewards_PN = stock_PN.masked_fill(torch.arange(n) >= drawn_P[:, None], NAN)
        more_P = budget.more(rewards_PN, drawn_P, m, n)
        assert more_P.dtype == torch.int64
        assert (more_P >= 0).all()
        assert (drawn_P + more_P <= n).all()
        if not more_P.any():
            return rewards_PN, rounds
        rounds.append(more_P)
        drawn_P = drawn_P + more_P


def test_all_at_once() -> None:
    _, rounds = spend(AllAtOnce(), torch.zeros(3, 5), 2)
    assert [r.tolist() for r in rounds] == [[5, 5, 5]]


def test_waves_by_hand() -> None:
    stock_PN = torch.zeros(3, 12)
    stock_PN[0, 1] = 1.0  # done after the first wave of two
    stock_PN[1, 4] = 1.0
    _, rounds = spend(Waves(rule=RULES["max_variance"]), stock_PN, 2)
    # Six slots a wave: for three, then for the two that search, then for the one that is left.
    assert [r.tolist() for r in rounds] == [[2, 2, 2], [0, 3, 3], [0, 0, 6], [0, 0, 1]]


def test_a_prompt_without_room_leaves_its_slots_to_others() -> None:
    rewards_PN = torch.full((3, 10), NAN)
    drawn_P = torch.tensor([9, 2, 2])
    assert Waves(rule=RULES["max_variance"]).more(rewards_PN, drawn_P, 4, 10).tolist() == [1, 6, 5]
    assert Waves(rule=RULES["max_variance"], wave=1).more(rewards_PN, drawn_P, 4, 10).tolist() == [1, 1, 1]
    assert Waves(rule=RULES["max_variance"]).more(rewards_PN[:0], drawn_P[:0], 4, 10).tolist() == []


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
    st.integers(1, 9),
    st.integers(0, 99),
    st.sampled_from([2, 3, 4]),
)
def test_a_wave_is_full_and_even(drawn: list[int], wave: int, seed: int, m: int) -> None:
    n, drawn_P = 20, torch.tensor(drawn)
    rewards_PN = torch.bernoulli(torch.full((len(drawn), n), 0.2), generator=torch.Generator().manual_seed(seed))
    rewards_PN = rewards_PN.masked_fill(torch.arange(n) >= drawn_P[:, None], NAN)
    more_P = Waves(rule=RULES["max_variance"], wave=wave).more(rewards_PN, drawn_P, m, n)
    done_P = RULES["max_variance"].saturated(rewards_PN, m, 0.0, 1.0)
    room_P = (n - drawn_P).masked_fill(done_P, 0)
    assert more_P.sum() == min(wave * len(drawn), int(room_P.sum()))
    assert (more_P <= room_P).all()
    hungry = more_P[more_P < room_P]
    if len(hungry):
        assert hungry.max() - hungry.min() <= 1
        assert more_P.max() <= hungry.min() + 1


@pytest.mark.parametrize("m", [4, 5, 1])
@pytest.mark.parametrize("rule", ["max_variance", "max_reward"])
@given(seed=st.integers(0, 999), levels=st.sampled_from([2, 3, 5]))
def test_waves_keep_the_rewards_that_all_would(rule: str, m: int, seed: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rate_P1 = torch.rand(6, 1, generator=generator)
    stock_PN = (
        (torch.rand(6, 24, generator=generator) < rate_P1)
        * torch.randint(1, levels, (6, 24), generator=generator)
        / (levels - 1)
    )
    drawn_PN, rounds = spend(Waves(rule=RULES[rule]), stock_PN, m)
    early, whole = (r.gather(1, RULES[rule].keep(r, m, generator)).sort(dim=1).values for r in (drawn_PN, stock_PN))
    assert torch.equal(early, whole)
    assert sum(int(r.sum()) for r in rounds) <= stock_PN.numel()


def test_the_kept_subset_has_the_distribution_that_all_would_give_it() -> None:
    """Answers with texts of their own: three right ones and three wrong ones, unequally likely. Counted is which texts
    are kept, as a set with repeats, by waves and by drawing all 8."""
    generator = torch.Generator().manual_seed(0)
    trials, n, m = 6000, 8, 2
    chance_V = torch.tensor([0.05, 0.03, 0.12, 0.4, 0.3, 0.1])
    right_V = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])

    def kept(texts_PN: Tensor, rewards_PN: Tensor) -> Counter[tuple[int, ...]]:
        # Equal rewards of the rows of one call share their order: rows are in a random one here, as draws are.
        kept_PM = RULES["max_variance"].keep(rewards_PN, m, generator)
        return Counter(tuple(sorted(row)) for row in texts_PN.gather(1, kept_PM).tolist())

    def stock() -> Tensor:
        return torch.multinomial(chance_V, trials * n, replacement=True, generator=generator).view(trials, n)

    one, other = stock(), stock()
    by_waves = kept(one, spend(Waves(rule=RULES["max_variance"]), right_V[one], m)[0])
    by_all = kept(other, right_V[other])
    statistic, freedom = 0.0, -1
    for texts in by_waves | by_all:
        a, b = by_waves[texts], by_all[texts]
        statistic, freedom = statistic + (a - b) ** 2 / (a + b), freedom + 1
    # χ² of two samples of one size has mean `freedom` and variance twice that.
    assert freedom > 10
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)


def test_waves_save() -> None:
    """Half right: a prompt needs little more than a wave. Never right: all n are spent, as they would be."""
    generator = torch.Generator().manual_seed(0)
    stock_PN = torch.bernoulli(torch.tensor([0.5] * 8 + [0.0] * 2)[:, None].expand(10, 64), generator=generator)
    drawn_PN, _ = spend(Waves(rule=RULES["max_variance"]), stock_PN, 16)
    drawn_P = (~drawn_PN.isnan()).sum(dim=1)
    assert (drawn_P[:8] < 48).all()
    assert drawn_P[8:].tolist() == [64, 64]


def test_pilot_and_commit() -> None:
    stock_PN = torch.zeros(4, 16)
    stock_PN[1, :1] = 1.0
    stock_PN[2, :3] = 1.0
    stock_PN[3, :4] = 1.0
    _, rounds = spend(PilotCommit(), stock_PN, 4)
    assert [r.tolist() for r in rounds] == [[4] * 4, [0, 12, 12, 0]]
    _, rounds = spend(PilotCommit(pilot=2, band=(0.0, 0.5)), stock_PN, 4)
    assert [r.tolist() for r in rounds] == [[2] * 4, [14, 14, 0, 0]]


def test_an_unscored_pilot_rollout_is_no_failure() -> None:
    stock_PN = torch.tensor([[1.0, NAN, NAN, 0.0], [NAN, NAN, 0.0, 1.0]]).repeat(1, 4)
    _, rounds = spend(PilotCommit(pilot=2, band=(0.9, 1.0)), stock_PN, 4)
    assert [r.tolist() for r in rounds] == [[2, 2], [14, 0]]


def test_refuses() -> None:
    rewards_PN, drawn_P = torch.zeros(1, 4), torch.tensor([2])
    with pytest.raises(ReachlabError, match="a wave of 0"):
        Waves(rule=RULES["random"], wave=0)
    with pytest.raises(ReachlabError, match="must be the lower"):
        Waves(rule=RULES["random"], low=1.0)
    with pytest.raises(ReachlabError, match=r"outside \[0.0, 0.5\]"):
        Waves(rule=RULES["max_variance"], high=0.5).more(rewards_PN + 1, drawn_P, 2, 4)
    with pytest.raises(ReachlabError, match="a pilot of 5 of 4"):
        PilotCommit(pilot=5).more(rewards_PN, drawn_P, 2, 4)
    with pytest.raises(ReachlabError, match="is empty"):
        PilotCommit(band=(0.8, 0.2))


def test_names() -> None:
    assert [*BUDGETS] == ["all", "waves", "pilot_commit"]
    assert all(budget.name == name for name, budget in BUDGETS.items())


def test_settings_are_the_users() -> None:
    said, rule = BudgetConfig(rollouts=16, wave=3, band=(0.2, 0.4), reward_range=(-1.0, 1.0)), RULES["max_variance"]
    assert BUDGETS["waves"].of(said, rule, 4) == Waves(rule=rule, low=-1.0, high=1.0, wave=3)
    assert BUDGETS["waves"].of(replace(said, wave=0), rule, 4) == Waves(rule=rule, low=-1.0, high=1.0, wave=8)
    assert BUDGETS["waves"].of(replace(said, wave=0), rule, 12) == Waves(rule=rule, low=-1.0, high=1.0, wave=16)
    assert BUDGETS["pilot_commit"].of(said, rule, 4) == PilotCommit(pilot=3, band=(0.2, 0.4))
    assert BUDGETS["pilot_commit"].of(replace(said, wave=0), rule, 4) == PilotCommit(band=(0.2, 0.4))
    assert BUDGETS["all"].of(said, rule, 4) == AllAtOnce()
