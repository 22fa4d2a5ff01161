"""Every claim of the docstring, by summing over all outcomes of a categorical with five of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import KLEstimator
from reachlab.rl.kl import ESTIMATORS, estimate_kl, k1, k2, k3


def policies(seed: int = 0, apart: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits with a gradient, and the reference's log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits_V = torch.randn(5, generator=generator, dtype=torch.float64)
    moved_V = logits_V + apart * torch.randn(5, generator=generator, dtype=torch.float64)
    return logits_V.requires_grad_(), moved_V.log_softmax(dim=0)


def kl(left_V: Tensor, right_V: Tensor) -> Tensor:
    return (left_V.exp() * (left_V - right_V)).sum()


def gradient(value: Tensor, logits_V: Tensor) -> Tensor:
    return torch.autograd.grad(value, logits_V, retain_graph=True)[0]


@given(st.integers(0, 99))
def test_values(seed: int) -> None:
    logits_V, reference_V = policies(seed)
    logprobs_V = logits_V.detach().log_softmax(dim=0)
    exact, l_V = kl(logprobs_V, reference_V), logprobs_V - reference_V
    assert torch.isclose((logprobs_V.exp() * k1(l_V)).sum(), exact)
    assert torch.isclose((logprobs_V.exp() * k3(l_V)).sum(), exact)
    assert torch.isclose((logprobs_V.exp() * k2(l_V)).sum(), (logprobs_V.exp() * l_V**2).sum() / 2)
    assert (k3(l_V) >= 0).all()


def test_k2_is_right_to_second_order_only() -> None:
    errors = []
    for apart in (1e-1, 1e-2):
        logits_V, reference_V = policies(1, apart)
        logprobs_V = logits_V.detach().log_softmax(dim=0)
        errors.append(abs(float((logprobs_V.exp() * k2(logprobs_V - reference_V)).sum() - kl(logprobs_V, reference_V))))
    assert errors[0] > 100 * errors[1] > 0


@given(st.integers(0, 99))
def test_gradients_in_the_loss(seed: int) -> None:
    """Σ p(x) ∇k(x) with p held fixed: what a mean over samples estimates."""
    logits_V, reference_V = policies(seed)
    logprobs_V = logits_V.log_softmax(dim=0)
    p_V, l_V = logprobs_V.detach().exp(), logprobs_V - reference_V
    found = {name: gradient((p_V * k(l_V)).sum(), logits_V) for name, k in ESTIMATORS.items()}
    assert torch.allclose(found["k1"], torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(found["k2"], gradient(kl(logits_V.log_softmax(0), reference_V), logits_V))
    assert torch.allclose(found["k3"], gradient(kl(reference_V, logits_V.log_softmax(0)), logits_V))


@given(st.integers(0, 99))
def test_gradients_in_the_reward(seed: int) -> None:
    """Σ p(x) k(x) ∇ log p(x) with k held fixed."""
    logits_V, reference_V = policies(seed)
    logprobs_V = logits_V.log_softmax(dim=0)
    p_V, l_V = logprobs_V.detach().exp(), (logprobs_V - reference_V).detach()
    forward = gradient(kl(logits_V.log_softmax(0), reference_V), logits_V)
    other = gradient(kl(reference_V, logits_V.log_softmax(0)), logits_V)
    in_k1 = gradient((p_V * k1(l_V) * logits_V.log_softmax(0)).sum(), logits_V)
    in_k3 = gradient((p_V * k3(l_V) * logits_V.log_softmax(0)).sum(), logits_V)
    assert torch.allclose(in_k1, forward)
    assert torch.allclose(in_k3, forward - other)


def test_k3_keeps_its_digits() -> None:
    l = torch.tensor([1e-4, -1e-4])  # noqa: E741, as the docstring has it
    assert torch.allclose(k3(l), l**2 / 2, rtol=1e-2, atol=0.0)


@pytest.mark.parametrize("name", ["k1", "k2", "k3"])
def test_by_name(name: KLEstimator) -> None:
    l_T = torch.tensor([0.3, -0.7])
    assert torch.equal(estimate_kl(l_T, name), ESTIMATORS[name](l_T))


def test_refuses() -> None:
    with pytest.raises(ReachlabError, match="choose 'k1', 'k2' or 'k3'"):
        estimate_kl(torch.zeros(1), "k4")  # type: ignore[arg-type]
