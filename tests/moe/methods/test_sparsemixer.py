"""SparseMixer-v2 against PhiMoE's own function, its sampling, and what it refuses."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.moe.tiny import TINY, answer, inputs
from torch import Tensor
from transformers.models.phimoe.modeling_phimoe import sparsemixer as phimoe

from reachlab.errors import ReachlabError
from reachlab.moe.densifying import densify
from reachlab.moe.methods.sparsemixer import sparsemixer

T, E = 64, 6


def logits(seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(T, E, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000), st.sampled_from([0.01, 0.1, 0.5, 5.0]), st.booleans())
def test_same_draws_weights_and_gradients_as_phimoe(seed: int, jitter: float, drawn: bool) -> None:
    results = []
    for ours in (True, False):
        torch.manual_seed(seed)
        s_TE = logits(seed).requires_grad_()
        with patch.object(Tensor, "uniform_", lambda self: self):  # theirs draws the second expert's chance twice over
            weights_TK, indices_TK = sparsemixer(s_TE, 2, jitter, drawn=drawn) if ours else phimoe(s_TE, jitter, drawn)
        g_TK = torch.randn(T, 2, generator=torch.Generator().manual_seed(1))
        results.append((indices_TK, weights_TK, torch.autograd.grad((weights_TK * g_TK).sum(), s_TE)[0]))
    (indices, weights, gradient), (their_indices, their_weights, their_gradient) = results
    assert torch.equal(indices, their_indices)
    torch.testing.assert_close(weights, their_weights, rtol=1.1e-4, atol=1e-6)  # 0.3333 for 1/3
    torch.testing.assert_close(gradient, their_gradient, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 1000), st.integers(1, E))
def test_any_number_of_different_experts(seed: int, K: int) -> None:
    torch.manual_seed(seed)
    for drawn in (True, False):
        weights_TK, indices_TK = sparsemixer(logits(seed), K, 5.0, drawn=drawn)
        assert all(len(set(row)) == K for row in indices_TK.tolist())
        assert ((weights_TK > 0) & (weights_TK <= 1)).all()
    assert torch.equal(indices_TK.sort(-1).values, logits(seed).topk(K, -1).indices.sort(-1).values)


def test_gradient_is_that_of_the_drawn_experts_probability() -> None:
    """Central differences of p_i at fixed draws, in float64."""
    s_TE = logits(scale=0.3).double()[:8].requires_grad_()
    torch.manual_seed(0)
    weights_T1, indices_T1 = sparsemixer(s_TE, 1, 50.0, drawn=True)
    (found_TE,) = torch.autograd.grad(weights_T1.sum(), s_TE)
    for i in range(E):
        step_TE = 1e-6 * torch.eye(E, dtype=torch.float64)[i]
        up, down = ((s_TE.detach() + d).softmax(-1).gather(1, indices_T1) for d in (step_TE, -step_TE))
        torch.testing.assert_close(found_TE[:, i : i + 1], (up - down) / 2e-6, rtol=1e-6, atol=1e-9)


def test_experts_are_drawn_by_their_probability_and_seen_whole_as_often_as_stated() -> None:
    n = 40_000
    s_E = torch.tensor([1.0, 0.5, 0.0, -1.0])
    torch.manual_seed(0)
    weights_T1, indices_T1 = sparsemixer(s_E.expand(n, -1), 1, 50.0, drawn=True)
    p_E = s_E.softmax(-1)
    drawn_E = torch.bincount(indices_T1[:, 0], minlength=4) / n
    assert ((drawn_E - p_E).abs() < 4 * (p_E * (1 - p_E) / n).sqrt()).all()
    whole_T = torch.isclose(weights_T1[:, 0], p_E[indices_T1[:, 0]])
    thirds_T = torch.isclose(3 * weights_T1[:, 0], p_E[indices_T1[:, 0]])
    assert (whole_T ^ thirds_T).all()
    best_T = indices_T1[:, 0] == 0
    assert whole_T[best_T].all()
    others = int((~best_T).sum())
    assert abs(float(whole_T[~best_T].float().mean()) - 0.25) < 4 * (0.25 * 0.75 / others) ** 0.5


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_the_two_places_of_the_slope_are_exact_for_cubics(coefficients: list[float]) -> None:
    f = np.polynomial.Polynomial(coefficients)
    slope = f.deriv()
    assert slope(1) / 4 + 3 * slope(1 / 3) / 4 == pytest.approx(f(1) - f(0), abs=1e-9)


def test_far_experts_are_never_drawn() -> None:
    torch.manual_seed(0)
    s_TE = torch.tensor([1.0, 0.985, 0.97]).expand(500, -1)  # 2ε = 0.02 keeps the first two
    _, indices_T1 = sparsemixer(s_TE, 1, 0.01, drawn=True)
    assert set(indices_T1.reshape(-1).tolist()) == {0, 1}


@pytest.mark.parametrize("family", ["olmoe", "mixtral", "unlimited_ocr", "granitemoe"])
def test_weights_in_the_model(family: str) -> None:
    """The family's scale; where it renormalises, sums of one at most; draws in training, not in evaluation."""
    model = TINY[family].build()
    found = densify(model, "sparsemixer", jitter=0.3)
    layer = found.layers[-1]
    heard: list[tuple[Tensor, Tensor]] = []
    layer.listeners.append(lambda routing: heard.append((routing.weights_TK, routing.indices_TK)))
    given = inputs(model)
    first, second = answer(model, **given), answer(model, **given)
    assert torch.equal(first, second)
    share = 1 / layer.shape.K if layer.site.renormalised else 1.0
    logits_TE: list[Tensor] = []
    layer.listeners.append(lambda routing: logits_TE.append(routing.logits_TE))
    answer(model, **given)
    weights_TK, indices_TK = sparsemixer(logits_TE[0], layer.shape.K, 0.3, drawn=False)
    assert torch.equal(heard[-1][1], indices_TK)
    torch.testing.assert_close(heard[-1][0], weights_TK * share * layer.site.scale)
    model.train()
    torch.manual_seed(0)
    draws = [answer(model, **given) for _ in range(2)]
    assert not torch.equal(draws[0], draws[1])
    draws[0].square().mean().backward()  # type: ignore[no-untyped-call]
    router_gradient = next(p for p in layer.router.parameters() if p.ndim == 2).grad
    assert router_gradient is not None
    assert router_gradient.abs().sum() > 0


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_draws_the_same(reentrant: bool) -> None:
    gradients: list[dict[str, Tensor]] = []
    for checkpointing in (False, True):
        model = TINY["olmoe"].build().train()
        densify(model, "sparsemixer", jitter=0.3)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            model.enable_input_require_grads()
        torch.manual_seed(3)
        answer(model, **inputs(model)).square().mean().backward()  # type: ignore[no-untyped-call]
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


REFUSED = {"deepseek_v3": "not a softmax", "gemma4": "not a softmax", "ernie4_5_moe": "a bias or groups"}


@pytest.mark.parametrize("family", REFUSED)
def test_refuses_what_cannot_be_drawn(family: str) -> None:
    with pytest.raises(ReachlabError, match=REFUSED[family]):
        densify(TINY[family].build(), "sparsemixer")
    with pytest.raises(ReachlabError, match="jitter=0"):
        densify(TINY["olmoe"].build(), "sparsemixer", jitter=0)
