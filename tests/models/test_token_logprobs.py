import math

import pytest
import torch

from reachlab.errors import ReachlabError
from reachlab.models.token_logprobs import token_logprobs


def test_a_temperature_of_0_is_refused() -> None:
    with pytest.raises(ReachlabError, match="temperature 0"):
        token_logprobs(torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), 0.0)


@pytest.mark.parametrize("chunk", [1, 40, 1 << 22])
@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
def test_equal_log_softmax(monkeypatch: pytest.MonkeyPatch, chunk: int, temperature: float) -> None:
    monkeypatch.setattr("reachlab.models.token_logprobs.CHUNK_ELEMENTS", chunk)
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
    (gradient,) = torch.autograd.grad((logprobs_BT * weight_BT).sum(), logits_BTV)
    (expected,) = torch.autograd.grad((expected_BT * weight_BT).sum(), logits_BTV)
    assert torch.allclose(gradient, expected)


def test_against_finite_differences() -> None:
    logits_BTV = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    targets_BT = torch.tensor([[0, 3, 1], [2, 2, 0]])
    assert torch.autograd.gradcheck(lambda x: token_logprobs(x, targets_BT, 0.7)[0], (logits_BTV,))


def test_those_of_bfloat16_are_float32() -> None:
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
