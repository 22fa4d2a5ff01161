"""The weights undo the selection: by summing over everything that chance can do, and by simulation of a gradient."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules import RULES
from reachlab.rl.weighting import select_weighted

NAN = torch.nan
SELECTING = ["max_variance", "max_reward", "random", "percentile"]
REWARDS = {
    "binary": [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
    "partial": [0.5, 0.0, 1.0, 0.5, 0.25, 0.5],
    "noisy": [0.13, -0.02, 1.11, 0.94, 0.05, 0.51],
    "unscored": [1.0, NAN, 0.0, 0.0, NAN, 0.0],
}
every_reward = pytest.mark.parametrize("rewards", REWARDS.values(), ids=REWARDS.keys())
every_rule = pytest.mark.parametrize("rule", SELECTING)


def chances(rule: str, rewards: list[float], m: int, random_keep: int) -> list[float]:
    """P(rollout is kept), from scratch: the rule's choice by value, all ways to break ties, all draws."""
    scored = [i for i, r in enumerate(rewards) if r == r]
    by_rule = m - random_keep
    if rule == "random":
        choices = list(itertools.combinations(scored, by_rule))
    else:
        chosen = RULES[rule].keep(torch.tensor([rewards]), by_rule, None)[0].tolist() if by_rule else []
        wanted = sorted(rewards[i] for i in chosen)
        choices = [s for s in itertools.combinations(scored, by_rule) if sorted(rewards[i] for i in s) == wanted]
    kept = [0.0] * len(rewards)
    for choice in choices:
        rest = [i for i in scored if i not in choice]
        draws = list(itertools.combinations(rest, random_keep))
        for extra in draws:
            for i in (*choice, *extra):
                kept[i] += 1 / len(choices) / len(draws)
    return kept


@pytest.mark.parametrize(("m", "random_keep"), [(3, 1), (4, 1), (4, 3), (3, 3), (1, 1)])
@every_rule
@every_reward
def test_weights_are_the_inverse_of_enumerated_chances(
    rewards: list[float], rule: str, m: int, random_keep: int
) -> None:
    scored = sum(r == r for r in rewards)
    expected = [m / scored / chance if chance else 0.0 for chance in chances(rule, rewards, m, random_keep)]
    seen = set()
    for seed in range(30):
        kept_PM, weights_PM = select_weighted(
            RULES[rule], torch.tensor([rewards]), m, random_keep, torch.Generator().manual_seed(seed)
        )
        assert len(set(kept_PM[0].tolist())) == m
        assert weights_PM[0].tolist() == pytest.approx([expected[i] for i in kept_PM[0].tolist()])
        seen |= set(kept_PM[0].tolist())
    if m > 1:
        assert seen == {i for i, r in enumerate(rewards) if r == r}  # every scored rollout has its chance


@every_rule
@every_reward
def test_the_weighted_gradient_is_that_of_all_rollouts(rewards: list[float], rule: str) -> None:
    """A policy's gradient, Σ A ∇ log π, from what is kept: its mean over many selections, with and without weights."""
    generator = torch.Generator().manual_seed(0)
    trials, m, random_keep = 4000, 3, 1
    rewards_N = torch.tensor(rewards, dtype=torch.float64)
    logits_V = torch.randn(5, generator=generator, dtype=torch.float64)
    answers_N = torch.tensor([4, 1, 2, 3, 0, 1])
    advantages_N = (rewards_N - rewards_N.nanmean()).nan_to_num(0.0)
    # ∇ log softmax at the answer.
    gradients_NV = advantages_N[:, None] * (torch.eye(5)[answers_N] - logits_V.softmax(dim=0))
    scored_N = ~rewards_N.isnan()
    exact_V = gradients_NV[scored_N].mean(dim=0)

    weighted, plain = [], []
    for _ in range(20):  # equal rewards of the rows of one call share their order, so call more than once
        batch = rewards_N.repeat(trials // 20, 1)
        order = torch.rand(batch.shape, generator=generator).argsort(dim=1)  # rows in orders of their own
        kept_PM, weights_PM = select_weighted(RULES[rule], batch.gather(1, order), m, random_keep, generator)
        kept_PMV = gradients_NV[order.gather(1, kept_PM)]
        weighted.append((weights_PM[..., None] * kept_PMV).mean(dim=1))
        plain.append(kept_PMV.mean(dim=1))
    found_SV, plain_SV = torch.cat(weighted), torch.cat(plain)
    error_V = found_SV.std(dim=0) / math.sqrt(trials)
    assert ((found_SV.mean(dim=0) - exact_V).abs() <= 4.5 * error_V + 1e-9).all()
    if rule == "max_reward":
        plain_error_V = plain_SV.std(dim=0) / math.sqrt(trials)
        assert ((plain_SV.mean(dim=0) - exact_V).abs() > 10 * plain_error_V + 1e-9).any()


def expectation(rule: str, rewards: list[float], m: int, x_N: Tensor, random_keep: int) -> float:
    """Of the unweighted mean of x over the kept."""
    return float(torch.tensor(chances(rule, rewards, m, random_keep)) @ x_N) / m


@every_rule
def test_without_weights_selection_biases(rule: str) -> None:
    """Two of six answers are right. Of two that a rule keeps, how many? A third only if it does not look."""
    rewards = REWARDS["binary"]
    right_N = torch.tensor(rewards)
    biased = expectation(rule, rewards, 2, right_N, random_keep=0)
    by_rule = {"max_variance": 1 / 2, "max_reward": 1.0, "random": 1 / 3, "percentile": 1 / 2}
    assert biased == pytest.approx(by_rule[rule])


@given(
    st.lists(st.one_of(st.sampled_from([0.0, 1.0, NAN]), st.floats(-1, 1, width=32)), min_size=1, max_size=7),
    st.sampled_from(SELECTING),
    st.data(),
)
def test_exact_expectation_is_the_mean_over_the_scored(rewards: list[float], rule: str, data: st.DataObject) -> None:
    """E[1/M Σ w x] = Σ_i P_i w_i x_i / M, with P enumerated and w ours."""
    scored = sum(r == r for r in rewards)
    if not scored:
        return
    m = data.draw(st.integers(1, scored))
    random_keep = data.draw(st.integers(1, m))
    chance_N = chances(rule, rewards, m, random_keep)
    x_N = torch.linspace(-1, 2, len(rewards)).tolist()
    weight_N: dict[int, float] = {}
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):  # of 16 selections, whose draws are their own
        kept, weights = select_weighted(RULES[rule], torch.tensor([rewards] * 16), m, random_keep, generator)
        weight_N |= dict(zip(kept.flatten().tolist(), weights.flatten().tolist(), strict=True))
    known = [i for i in weight_N if rewards[i] == rewards[i]]
    found = sum(chance_N[i] * weight_N[i] * x_N[i] for i in known) / m
    assert found == pytest.approx(sum(x_N[i] for i in known) / scored, rel=1e-4, abs=1e-5)


def test_more_kept_than_scored() -> None:
    rewards = torch.tensor([[1.0, NAN, 0.0, NAN], [NAN, NAN, NAN, NAN], [NAN, 0.5, NAN, NAN]])
    for rule, random_keep in itertools.product(SELECTING, (0, 1, 3)):
        kept_PM, weights_PM = select_weighted(RULES[rule], rewards, 3, random_keep, None)
        assert all(len(set(row)) == 3 for row in kept_PM.tolist())
        unscored_PM = rewards.gather(1, kept_PM).isnan()
        assert unscored_PM.sum(dim=1).tolist() == [1, 3, 2]
        assert not weights_PM[unscored_PM].any()
        # All that is scored is kept, so the mean over three has to weigh as that over two, and one.
        assert weights_PM[~unscored_PM].tolist() == pytest.approx([1.5, 1.5, 3.0])


def test_everything_kept_weighs_one() -> None:
    kept_PM, weights_PM = select_weighted(RULES["none"], torch.tensor([[0.0, 1.0, 0.5]]), 3, 0)
    assert kept_PM.tolist() == [[0, 1, 2]]
    assert weights_PM.tolist() == [[1.0, 1.0, 1.0]]


def test_refuses() -> None:
    rewards = torch.tensor([[1.0, 1.0, 0.0, 0.5]])
    with pytest.raises(ReachlabError, match="never keeps some of the rewards"):
        select_weighted(RULES["max_reward"], rewards, 2, 0)
    for random_keep in (-1, 3):
        with pytest.raises(ReachlabError, match=f"random_keep = {random_keep} of 2"):
            select_weighted(RULES["random"], rewards, 2, random_keep)
    with pytest.raises(ReachlabError, match="cannot keep 5 of 4"):
        select_weighted(RULES["random"], rewards, 5, 1)
