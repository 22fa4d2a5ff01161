from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.rl.advantages import (
    agree,
    centred,
    discounted_sums,
    gae,
    shaped_rewards,
    slight,
    standardised,
    token_rewards,
    whiten,
)
from reachlab.rl.algorithm import Normalise, Scored
from reachlab.rl.algorithms import ALGORITHMS

NAN = torch.nan


def group(rewards: Tensor, kept_PM: Tensor | None = None, normalise: Normalise = "kept") -> Scored:
    """Whole groups unless told what is kept; answers of one token."""
    if kept_PM is None:
        kept_PM = torch.arange(rewards.shape[1]).repeat(len(rewards), 1)
    mask_PMT = torch.ones(*kept_PM.shape, 1).bool()
    return Scored(rewards_PN=rewards, kept_PM=kept_PM, mask_PMT=mask_PMT, normalise=normalise)


def test_by_hand() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [2.0, 4.0, 6.0, 8.0]], dtype=torch.float64)
    root3, root5 = 3**0.5, 5**0.5
    expected = [[root3, -1 / root3, -1 / root3, -1 / root3], [-3 / root5, -1 / root5, 1 / root5, 3 / root5]]
    assert standardised(group(rewards)).tolist() == [pytest.approx(row, rel=1e-5) for row in expected]
    assert centred(group(rewards)).tolist() == [[0.75, -0.25, -0.25, -0.25], [-3.0, -1.0, 1.0, 3.0]]


@given(st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=9).filter(lambda r: len(set(r)) > 1))
def test_standardised_has_mean_zero_and_deviation_one(row: list[float]) -> None:
    found = standardised(group(torch.tensor([row], dtype=torch.float64)))
    assert found.mean().item() == pytest.approx(0.0, abs=1e-9)
    assert found.std(correction=0).item() == pytest.approx(1.0, abs=1e-5)


def test_within_the_kept_or_over_all() -> None:
    rewards = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]])
    kept = torch.tensor([[0, 3], [2, 3]])
    assert standardised(group(rewards, kept)).tolist() == [pytest.approx([-1.0, 1.0], abs=1e-5), [0.0, 0.0]]
    over_all = standardised(group(rewards, kept, "all"))
    assert torch.allclose(over_all, standardised(group(rewards)).gather(1, kept))
    assert over_all[1, 0] > 0.5
    assert centred(group(rewards, kept, "all")).tolist() == [[-0.25, 0.75], [0.25, 0.25]]


@given(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=2, max_size=70))
def test_right_and_wrong_are_divided_by_their_own_deviation_bit_for_bit(row: list[float]) -> None:
    rewards = torch.tensor([row])
    plain = group(rewards)
    assert torch.equal(standardised(plain), standardised(replace(plain, full_credit=1.0)))
    assert not slight(rewards, 1.0).any()


def test_partial_credit_alone_counts_for_what_it_is() -> None:
    """Half of eight answers near: 0.025 from the mean, over the deviation of one right of eight, √7 / 8."""
    rewards = torch.tensor([[0.05] * 4 + [0.0] * 4, [1.0] + [0.05] * 7, [0.05] * 8, [NAN] * 8])
    found = standardised(replace(group(rewards), full_credit=1.0))
    near = 0.025 / (0.999 * 7**0.5 / 8)
    assert found[0].tolist() == pytest.approx([near] * 4 + [-near] * 4, rel=1e-4)
    assert slight(rewards, 1.0).tolist() == [True, True, False, False]
    assert found[1, 0] == pytest.approx(0.95 * 7**0.5, rel=2e-3)
    assert not found[2:].any()
    assert standardised(group(rewards))[0].tolist() == pytest.approx([1.0] * 4 + [-1.0] * 4, rel=1e-3)


def test_agreement() -> None:
    rewards = torch.tensor([[1.0, 1.0, NAN], [NAN, NAN, NAN], [0.1, 0.1, 0.2], [NAN, NAN, 3.0]])
    assert agree(rewards).tolist() == [True, True, False, True]


def test_rewards_of_tokens_by_hand() -> None:
    mask_PMT = torch.tensor([[[1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 1, 0]]]).bool()
    penalty_PMT = torch.tensor([[[0.1, 0.2, 0.0], [0.3, 0.0, 0.1], [0.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    scored = Scored(
        rewards_PN=torch.tensor([[9.0, 1.0, 2.0, 3.0, NAN]]),
        kept_PM=torch.tensor([[1, 2, 3, 4]]),
        mask_PMT=mask_PMT,
        penalty_PMT=penalty_PMT,
    )
    expected = [[-0.1, 0.8, 0.0], [-0.3, 0.0, 1.9], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert token_rewards(scored)[0].tolist() == [pytest.approx(row) for row in expected]
    assert shaped_rewards(scored)[0, :3].tolist() == pytest.approx([0.7, 1.6, 3.0])
    assert shaped_rewards(scored)[0, 3].isnan()


@st.composite
def answers(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards and values of tokens, and their mask; off the mask, values are NaN."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    mask_PMT = torch.arange(6) < torch.randint(7, (2, 3, 1), generator=generator)
    rewards_PMT = torch.randn(2, 3, 6, generator=generator, dtype=torch.float64).masked_fill(~mask_PMT, 0.0)
    values_PMT = torch.randn(2, 3, 6, generator=generator, dtype=torch.float64).masked_fill(~mask_PMT, NAN)
    return rewards_PMT, values_PMT, mask_PMT


@given(answers(), st.sampled_from([1.0, 0.9, 0.5]), st.sampled_from([1.0, 0.95, 0.3, 0.0]))
def test_gae_equals_the_double_sum(given: tuple[Tensor, Tensor, Tensor], gamma: float, lam: float) -> None:
    rewards_PMT, values_PMT, mask_PMT = given
    advantages_PMT, returns_PMT = gae(rewards_PMT, values_PMT, mask_PMT, gamma, lam)
    for p, m in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        length = int(mask_PMT[p, m].sum())
        r, v = rewards_PMT[p, m].tolist(), values_PMT[p, m].tolist()[:length] + [0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        for t in range(length):
            expected = sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, length))
            assert advantages_PMT[p, m, t].item() == pytest.approx(expected)
            assert returns_PMT[p, m, t].item() == pytest.approx(expected + v[t])
    assert not advantages_PMT[~mask_PMT].any()
    assert not returns_PMT[~mask_PMT].any()


@given(answers(), st.sampled_from([1.0, 0.9]))
def test_lambda_one_is_return_less_value(given: tuple[Tensor, Tensor, Tensor], gamma: float) -> None:
    rewards_PMT, values_PMT, mask_PMT = given
    _, returns_PMT = gae(rewards_PMT, values_PMT, mask_PMT, gamma, 1.0)
    assert torch.allclose(returns_PMT, discounted_sums(rewards_PMT, gamma), atol=1e-12)


@given(answers())
def test_whitened_tokens(given: tuple[Tensor, Tensor, Tensor]) -> None:
    _, values_PMT, mask_PMT = given
    found_PMT = whiten(values_PMT, mask_PMT, lambda x: x)
    assert not found_PMT[~mask_PMT].any()
    if mask_PMT.sum() > 1:
        assert found_PMT[mask_PMT].mean().item() == pytest.approx(0.0, abs=1e-9)
        assert found_PMT[mask_PMT].std(correction=0).item() == pytest.approx(1.0, abs=1e-4)


def test_whitening_keeps_the_kind_of_number() -> None:
    x = torch.tensor([[[1e4 + 1, 1e4 - 1]]])
    assert whiten(x, torch.ones_like(x).bool(), lambda s: s).tolist() == [[[1.0, -1.0]]]
    assert whiten(x, torch.ones_like(x).bool(), lambda s: s).dtype == torch.float32


@pytest.mark.parametrize("algorithm", ["grpo", "dapo", "dr_grpo", "rloo", "reinforce_pp"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e10, 1e20, -1e20, 9e29])
def test_rewards_of_any_size_are_told_apart(algorithm: str, size: float) -> None:
    found = ALGORITHMS[algorithm].advantage(group(torch.tensor([[0.0, size]]))).flatten() / (size or 1)
    assert found.isfinite().all()
    assert found[1] > 0
    assert found.sum().item() == pytest.approx(0, abs=1e-9 * found[1].item())
    if algorithm in ("grpo", "dapo", "reinforce_pp"):
        wanted = abs(size) / (abs(size) + 2e-6) if size > 1e-2 else 1.0
        assert abs(found[1].item() * size) == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize("offset", [0.0, -1e3, 1e6, 2.0**24, 2.0**40])
def test_rewards_that_float32_would_not_tell_apart_are(offset: float) -> None:
    wide = torch.tensor([[offset, offset + 1, offset, NAN]], dtype=torch.float64)
    near = torch.tensor([[0.0, 1.0, 0.0, NAN]])
    for algorithm in ("grpo", "dr_grpo", "rloo"):
        advantage = ALGORITHMS[algorithm].advantage
        assert torch.allclose(advantage(group(wide)), advantage(group(near)), atol=1e-3)
    assert not agree(wide).any()
