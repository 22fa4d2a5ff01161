import math

import pytest
import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl import losses
from reachlab.rl.losses import Aggregate, policy_loss, token_logprobs


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Six answers of 0 to 5 tokens in float64, far enough from their old policy for clipping to act."""
    generator = torch.Generator().manual_seed(seed)
    old_BT = -torch.rand(6, 5, generator=generator, dtype=torch.float64) - 0.1
    new_BT = old_BT + 0.4 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    advantages_B = torch.tensor([1.0, -0.5, 2.0, -1.0, 0.0, 1.0], dtype=torch.float64)
    mask_BT = torch.arange(5) < torch.tensor([5, 3, 1, 4, 2, 0])[:, None]
    return new_BT.requires_grad_(), old_BT, advantages_B, mask_BT


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


@pytest.mark.parametrize("aggregate", ["sequence", "token"])
def test_gradient_equals_finite_differences(aggregate: Aggregate) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    assert torch.autograd.gradcheck(
        lambda x: policy_loss(x, old_BT, advantages_B, mask_BT, aggregate=aggregate)[0], (new_BT,)
    )


@pytest.mark.parametrize("sizes", [[6], [1] * 6, [2, 4], [3, 1, 2]])
@pytest.mark.parametrize("aggregate", ["sequence", "token"])
def test_micro_batches_add_up(aggregate: Aggregate, sizes: list[int]) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    whole, whole_stats = policy_loss(new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate)
    (expected_BT,) = torch.autograd.grad(whole, new_BT)
    total = len(new_BT) if aggregate == "sequence" else int(mask_BT.sum())
    tensors = (new_BT, old_BT, advantages_B, mask_BT)
    parts = [
        policy_loss(*part, aggregate=aggregate, total=total)
        for part in zip(*(torch.split(x, sizes) for x in tensors), strict=True)
    ]
    loss = torch.stack([part_loss for part_loss, _ in parts]).sum()
    (found_BT,) = torch.autograd.grad(loss, new_BT)
    assert torch.allclose(found_BT, expected_BT, rtol=1e-12, atol=1e-15)
    assert loss.item() == pytest.approx(whole.item())
    for name, value in whole_stats.items():
        assert sum(stats[name].item() for _, stats in parts) == pytest.approx(value.item())


@pytest.mark.parametrize("aggregate", ["sequence", "token"])
def test_masked_tokens_may_hold_anything(aggregate: Aggregate) -> None:
    new_BT, old_BT, advantages_B, mask_BT = batch()
    expected, _ = policy_loss(new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate)
    spoilt_BT = new_BT.detach().masked_fill(~mask_BT, torch.nan).requires_grad_()
    loss, stats = policy_loss(spoilt_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate)
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


def test_an_empty_micro_batch_is_no_nan() -> None:
    new_BT, old_BT, advantages_B, mask_BT = (x[5:] for x in batch())
    for aggregate in ("sequence", "token"):
        assert policy_loss(new_BT, old_BT, advantages_B, mask_BT, aggregate=aggregate)[0] == 0


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="choose 'sequence' or 'token'"):
        policy_loss(*batch(), aggregate="batch")  # type: ignore[arg-type]
    with pytest.raises(ReachlabError, match="temperature 0"):
        token_logprobs(torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), 0.0)


@pytest.mark.parametrize("chunk", [1, 40, 1 << 22])
@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
def test_token_logprobs_equal_log_softmax(monkeypatch: pytest.MonkeyPatch, chunk: int, temperature: float) -> None:
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", chunk)
    generator = torch.Generator().manual_seed(0)
    all_BTV = 3 * torch.randn(3, 8, 5, generator=generator, dtype=torch.float64)
    logits_BTV = all_BTV[:, :-1].requires_grad_()  # as a trainer's shift leaves it: not contiguous
    targets_BT = torch.randint(5, (3, 7), generator=generator)
    logprobs_BT, entropy_BT = token_logprobs(logits_BTV, targets_BT, temperature, entropy=True)
    expected_BTV = (logits_BTV / temperature).log_softmax(dim=-1)
    expected_BT = expected_BTV.gather(2, targets_BT[..., None])[..., 0]
    assert torch.allclose(logprobs_BT, expected_BT)
    assert entropy_BT is not None
    assert torch.allclose(entropy_BT, -(expected_BTV.exp() * expected_BTV).sum(dim=-1))
    assert not entropy_BT.requires_grad
    weight_BT = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    (found,) = torch.autograd.grad((logprobs_BT * weight_BT).sum(), logits_BTV)
    (expected,) = torch.autograd.grad((expected_BT * weight_BT).sum(), logits_BTV)
    assert torch.allclose(found, expected)


def test_token_logprobs_against_finite_differences() -> None:
    logits_BTV = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    targets_BT = torch.tensor([[0, 3, 1], [2, 2, 0]])
    assert torch.autograd.gradcheck(lambda x: token_logprobs(x, targets_BT, 0.7)[0], (logits_BTV,))


def test_token_logprobs_of_bfloat16_are_float32() -> None:
    logits_BTV = torch.randn(2, 3, 50).bfloat16().requires_grad_()
    targets_BT = torch.randint(50, (2, 3))
    logprobs_BT, entropy_BT = token_logprobs(logits_BTV, targets_BT)
    assert entropy_BT is None
    assert logprobs_BT.dtype == torch.float32
    reference_BT = logits_BTV.detach().float().log_softmax(-1).gather(2, targets_BT[..., None])[..., 0]
    assert torch.allclose(logprobs_BT, reference_BT)
    logprobs_BT.sum().backward()  # type: ignore[no-untyped-call]
    assert logits_BTV.grad is not None
    assert logits_BTV.grad.dtype == torch.bfloat16


def test_a_forbidden_token_leaves_the_entropy_finite() -> None:
    logits_BTV = torch.tensor([[[0.0, 0.0, -torch.inf]]])
    _, entropy_BT = token_logprobs(logits_BTV, torch.tensor([[0]]), entropy=True)
    assert entropy_BT is not None
    assert entropy_BT.item() == pytest.approx(math.log(2))
