import math
from dataclasses import fields
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl import losses
from reachlab.rl.algorithm import Aggregate, KLEstimator
from reachlab.rl.kl import estimate_kl
from reachlab.rl.losses import LossForm, denominator, value_loss

MAX_TOKENS = 7
FORM = {field.name for field in fields(LossForm)}
every_aggregate = pytest.mark.parametrize("aggregate", get_args(Aggregate))


def policy_loss(*batch: Any, **given: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, with the fields of its form among the rest."""
    form = LossForm(**{name: given.pop(name) for name in FORM & set(given)})
    new_BT, old_BT, advantages, mask_BT = batch
    return losses.policy_loss(new_BT, old_BT, advantages, mask_BT, form, **given)


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Six answers of 0 to 5 tokens in float64, far enough from their old policy for clipping to act."""
    generator = torch.Generator().manual_seed(seed)
    old_BT = -torch.rand(6, 5, generator=generator, dtype=torch.float64) - 0.1
    new_BT = old_BT + 0.4 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    advantages_B = torch.tensor([1.0, -0.5, 2.0, -1.0, 0.0, 1.0], dtype=torch.float64)
    mask_BT = torch.arange(5) < torch.tensor([5, 3, 1, 4, 2, 0])[:, None]
    return new_BT.requires_grad_(), old_BT, advantages_B, mask_BT


def extras() -> tuple[Tensor, Tensor]:
    """Log-probabilities of a reference, and importance weights."""
    _, old_BT, _, _ = batch()
    generator = torch.Generator().manual_seed(1)
    reference_BT = old_BT + 0.3 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    return reference_BT, 0.5 + torch.rand(6, generator=generator, dtype=torch.float64)


def test_by_hand() -> None:
    ratio_BT = torch.tensor([[1.5, 1.1], [0.5, 1.5]], dtype=torch.float64)
    old_BT = torch.full((2, 2), -1.0, dtype=torch.float64)
    advantages_B = torch.tensor([2.0, -1.0], dtype=torch.float64)
    # Answer 1 (A = 2): min(3.0, 2.4) and 2.2. Answer 2 (A = −1): min(−0.5, −0.8); its other token is masked.
    mask_BT = torch.tensor([[1, 1], [1, 0]])
    k3 = [r - 1 - math.log(r) for r in (1.5, 1.1, 0.5)]
    loss, stats = policy_loss(old_BT + ratio_BT.log(), old_BT, advantages_B, mask_BT)
    assert loss.item() == pytest.approx(-((2.4 + 2.2) / 2 - 0.8) / 2)
    assert stats["clip_fraction"].item() == pytest.approx((1 / 2 + 1) / 2)
    assert stats["kl"].item() == pytest.approx(((k3[0] + k3[1]) / 2 + k3[2]) / 2)
    loss, stats = policy_loss(old_BT + ratio_BT.log(), old_BT, advantages_B, mask_BT, clip_high=0.4, aggregate="token")
    assert loss.item() == pytest.approx(-(2.8 + 2.2 - 0.8) / 3)
    assert stats["clip_fraction"].item() == pytest.approx(2 / 3)
    assert stats["kl"].item() == pytest.approx(sum(k3) / 3)
    divisors: dict[Aggregate, float] = {"sum": 2, "constant": 2 * MAX_TOKENS}
    for aggregate, divisor in divisors.items():
        loss, stats = policy_loss(
            old_BT + ratio_BT.log(), old_BT, advantages_B, mask_BT, aggregate=aggregate, max_tokens=MAX_TOKENS
        )
        assert loss.item() == pytest.approx(-(2.4 + 2.2 - 0.8) / divisor)
        assert stats["clip_fraction"].item() == pytest.approx((1 / 2 + 1) / 2)  # a share of tokens, still


def test_each_side_of_the_clip_by_itself() -> None:
    ratio_BT = torch.tensor([[1.5], [0.5]], dtype=torch.float64)
    old_BT, mask_BT = torch.full((2, 1), -1.0, dtype=torch.float64), torch.ones(2, 1)
    advantages_B = torch.tensor([1.0, -1.0], dtype=torch.float64)

    def loss(low: float | None, high: float | None) -> float:
        new_BT = old_BT + ratio_BT.log()
        return policy_loss(new_BT, old_BT, advantages_B, mask_BT, clip_low=low, clip_high=high)[0].item()

    assert loss(None, None) == pytest.approx(-(1.5 - 0.5) / 2)
    assert loss(0.2, None) == pytest.approx(-(1.5 - 0.8) / 2)
    assert loss(None, 0.2) == pytest.approx(-(1.2 - 0.5) / 2)


def test_advantages_of_tokens() -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    same, _ = policy_loss(new_BT, old_BT, advantages_B, mask_BT)
    spread_BT = advantages_B[:, None].expand(6, 5).masked_fill(~mask_BT, torch.nan)
    assert policy_loss(new_BT, old_BT, spread_BT, mask_BT)[0].item() == same.item()
    generator = torch.Generator().manual_seed(2)
    apart_BT = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    loss, _ = policy_loss(new_BT, old_BT, apart_BT, mask_BT, clip_low=None, clip_high=None, aggregate="sum")
    expected = -(((new_BT - old_BT).exp() * apart_BT)[mask_BT]).sum() / 6
    assert loss.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("estimator", get_args(KLEstimator))
def test_a_kl_in_the_loss(estimator: KLEstimator) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    reference_BT, _ = extras()
    bare, bare_stats = policy_loss(new_BT, old_BT, advantages_B, mask_BT, aggregate="token")
    loss, stats = policy_loss(
        new_BT, old_BT, advantages_B, mask_BT, aggregate="token",
        ref_logprobs_BT=reference_BT, kl_coef=0.5, kl_estimator=estimator,
    )  # fmt: skip
    log_ratio = (new_BT - reference_BT)[mask_BT]
    assert loss.item() == pytest.approx((bare + 0.5 * estimate_kl(log_ratio, estimator).mean()).item())
    assert stats["kl_start"].item() == pytest.approx(estimate_kl(log_ratio, "k3").mean().item())
    assert "kl_start" not in bare_stats
    watched, watched_stats = policy_loss(
        new_BT, old_BT, advantages_B, mask_BT, aggregate="token", ref_logprobs_BT=reference_BT
    )
    assert watched.item() == bare.item()
    assert watched_stats["kl_start"] == stats["kl_start"]


@pytest.mark.parametrize("clip", [0.2, None])
@every_aggregate
def test_gradient_equals_finite_differences(aggregate: Aggregate, clip: float | None) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    reference_BT, weights_B = extras()
    for estimator in get_args(KLEstimator):

        def loss(x_BT: Tensor, estimator: KLEstimator = estimator) -> Tensor:
            return policy_loss(
                x_BT, old_BT, advantages_B, mask_BT, clip_low=clip, clip_high=clip, aggregate=aggregate,
                max_tokens=MAX_TOKENS, weights_B=weights_B, ref_logprobs_BT=reference_BT, kl_coef=0.3,
                kl_estimator=estimator,
            )[0]  # fmt: skip

        assert torch.autograd.gradcheck(loss, (new_BT,))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("sizes", [[6], [1] * 6, [2, 4], [3, 1, 2]], ids=str)
@every_aggregate
def test_micro_batches_add_up(aggregate: Aggregate, sizes: list[int], weighted: bool) -> None:
    tensors = (*batch(), *extras())
    new_BT, mask_BT, weights_B = tensors[0], tensors[3], tensors[5]

    def part_of(*part: Tensor, total: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        return policy_loss(
            *part[:4], aggregate=aggregate, total=total, max_tokens=MAX_TOKENS, ref_logprobs_BT=part[4], kl_coef=0.1,
            weights_B=part[5] if weighted else None,
        )  # fmt: skip

    whole, whole_stats = part_of(*tensors)
    (expected_BT,) = torch.autograd.grad(whole, new_BT)
    counts = [
        denominator(mask, aggregate, weights if weighted else None)
        for mask, weights in zip(torch.split(mask_BT, sizes), torch.split(weights_B, sizes), strict=True)
    ]
    total = torch.stack(counts).sum()
    parts = [part_of(*part, total=total) for part in zip(*(torch.split(x, sizes) for x in tensors), strict=True)]
    loss = torch.stack([part_loss for part_loss, _ in parts]).sum()
    (found_BT,) = torch.autograd.grad(loss, new_BT)
    assert torch.allclose(found_BT, expected_BT, rtol=1e-12, atol=1e-15)
    assert loss.item() == pytest.approx(whole.item())
    for name, value in whole_stats.items():
        assert sum(stats[name].item() for _, stats in parts) == pytest.approx(value.item())


@every_aggregate
def test_weights_count_answers_more_than_once(aggregate: Aggregate) -> None:
    """A weight of 2 is the answer twice; where answers are counted, of twice as many."""
    new_BT, old_BT, advantages_B, mask_BT = batch()
    twice = [0, 0, 1, 2, 2, 3]
    weights_B = torch.tensor([2.0, 1.0, 2.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    found, _ = policy_loss(
        new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate, max_tokens=MAX_TOKENS, weights_B=weights_B
    )
    expected, _ = policy_loss(
        new_BT[twice], old_BT[twice], advantages_B[twice], mask_BT[twice], aggregate=aggregate, max_tokens=MAX_TOKENS
    )
    assert found.item() == pytest.approx(expected.item())


@every_aggregate
def test_masked_tokens_may_hold_anything(aggregate: Aggregate) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    reference_BT, _ = extras()
    expected, _ = policy_loss(
        new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate, max_tokens=MAX_TOKENS,
        ref_logprobs_BT=reference_BT, kl_coef=0.1,
    )  # fmt: skip
    spoilt_BT = new_BT.detach().masked_fill(~mask_BT, torch.nan).requires_grad_()
    loss, stats = policy_loss(
        spoilt_BT, old_BT.masked_fill(~mask_BT, torch.inf), advantages_B, mask_BT, aggregate=aggregate,
        max_tokens=MAX_TOKENS, ref_logprobs_BT=reference_BT.masked_fill(~mask_BT, torch.nan), kl_coef=0.1,
    )  # fmt: skip
    (gradient_BT,) = torch.autograd.grad(loss, spoilt_BT)
    assert loss.item() == expected.item()
    assert not gradient_BT[~mask_BT].any()
    assert all(torch.isfinite(x).all() for x in (gradient_BT, *stats.values()))


def test_on_policy_gradient_is_reinforce() -> None:
    _, old_BT, advantages_B, mask_BT = batch()
    new_BT = old_BT.clone().requires_grad_()
    loss, stats = policy_loss(new_BT, old_BT, advantages_B, mask_BT, aggregate="token")
    (gradient_BT,) = torch.autograd.grad(loss, new_BT)
    assert torch.allclose(gradient_BT, -advantages_B[:, None] * mask_BT / mask_BT.sum())
    assert stats["clip_fraction"] == stats["kl"] == 0


@every_aggregate
def test_an_empty_micro_batch_is_no_nan(aggregate: Aggregate) -> None:
    new_BT, old_BT, advantages_B, mask_BT = (x[5:] for x in batch())
    for total in (None, 0.0, 3.0):
        loss, _ = policy_loss(
            new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate, max_tokens=MAX_TOKENS, total=total
        )
        assert loss == 0
    none = [x[:0] for x in batch()]
    assert policy_loss(*none, aggregate=aggregate, max_tokens=MAX_TOKENS)[0] == 0


def test_the_critics_loss_by_hand() -> None:
    values_BT = torch.tensor([[1.0, 0.9], [0.0, 9.0]])
    old_BT = torch.tensor([[0.5, 0.5], [0.1, 9.0]])
    returns_BT = torch.tensor([[0.0, 1.0], [0.3, torch.nan]])
    mask_BT = torch.tensor([[1, 1], [1, 0]])
    # Kept within 0.2 of the old: 0.7, 0.7 and 0.0. The larger error counts: 1.0² over 0.7², 0.3² over 0.1², and 0.3².
    loss, stats = value_loss(values_BT, old_BT, returns_BT, mask_BT, clip=0.2)
    assert loss.item() == pytest.approx((1.0 + 0.09 + 0.09) / 3 / 2)
    assert stats["value_clip_fraction"].item() == pytest.approx(1 / 3)
    loss, stats = value_loss(values_BT, old_BT, returns_BT, mask_BT, clip=None)
    assert loss.item() == pytest.approx((1.0 + 0.01 + 0.09) / 3 / 2)
    assert stats["value_clip_fraction"] == 0


@pytest.mark.parametrize("clip", [0.2, None])
def test_the_critics_gradient_and_micro_batches(clip: float | None) -> None:
    values_BT, old_BT, _, mask_BT = batch()
    returns_BT = batch(seed=5)[1]
    assert torch.autograd.gradcheck(lambda x: value_loss(x, old_BT, returns_BT, mask_BT, clip=clip)[0], (values_BT,))
    whole, stats = value_loss(values_BT, old_BT, returns_BT, mask_BT, clip=clip)
    parts = [
        value_loss(*(x[at] for x in (values_BT, old_BT, returns_BT, mask_BT)), clip=clip, total=float(mask_BT.sum()))
        for at in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    assert sum(loss.item() for loss, _ in parts) == pytest.approx(whole.item())
    clipped = [s["value_clip_fraction"].item() for _, s in parts]
    assert sum(clipped) == pytest.approx(stats["value_clip_fraction"].item())


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="choose 'sequence', 'token', 'constant' or 'sum'"):
        policy_loss(*batch(), aggregate="batch")
    with pytest.raises(ReachlabError, match="divides by max_tokens"):
        policy_loss(*batch(), aggregate="constant")
    with pytest.raises(ReachlabError, match="reference policy"):
        policy_loss(*batch(), kl_coef=0.1)
