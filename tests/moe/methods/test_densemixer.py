"""DenseMixer's gradient against every expert's answer, written out."""

import pytest
import torch
from tests.moe.tiny import TINY, answer, inputs
from torch import Tensor

from reachlab.moe.densifying import Densified, densify, undensify
from reachlab.moe.layer import HookedLayer

FAMILIES = ("olmoe", "mixtral", "deepseek_v2", "deepseek_v3", "gpt_oss", "granitemoe", "gemma4")
"""Softmax and sigmoid, renormalised and not, before and after the top-k, scales, factors, biases of experts."""


def dense(family: str, implementation: str = "eager", double: bool = True) -> Densified:
    model = TINY[family].build()
    model.set_experts_implementation(implementation)
    return densify((model.double() if double else model).train(), "densemixer")


def by_hand(layer: HookedLayer, hidden_TD: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output, π, weights and indices of a layer, called as its block calls it."""
    shape = (1, *hidden_TD.shape) if layer.site.family.batched else hidden_TD.shape
    logits_TE, weights_TK, indices_TK = layer.router(hidden_TD.view(shape))[:3]
    pi_TE = layer.site.mixture(logits_TE, weights_TK, indices_TK)
    return layer.experts(hidden_TD, indices_TK, weights_TK), pi_TE, weights_TK, indices_TK


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_is_that_of_all_experts(family: str) -> None:
    found = dense(family)
    layer = found.layers[0]
    generator = torch.Generator().manual_seed(0)
    D = next(p for p in layer.router.parameters() if p.ndim == 2).shape[1]
    x_TD = torch.randn(9, D, generator=generator, dtype=torch.float64)
    g_TD = torch.randn(9, D, generator=generator, dtype=torch.float64)
    router = [p for p in layer.router.parameters() if p.requires_grad and p.ndim <= 2]

    router_hidden_TD = x_TD.clone().requires_grad_()
    y_TD, _, _, _ = by_hand(layer, router_hidden_TD)
    experts = [p for p in layer.experts.parameters() if p.requires_grad]
    ours = torch.autograd.grad((y_TD * g_TD).sum(), [*router, router_hidden_TD, *experts], allow_unused=True)

    undensify(found.model)
    plain_TD = x_TD.clone().requires_grad_()
    sparse_TD, pi_TE, weights_TK, indices_TK = by_hand(layer, plain_TD)
    assert torch.equal(sparse_TD, y_TD)
    E = pi_TE.shape[1]
    ones_T1 = torch.ones(len(x_TD), 1, dtype=x_TD.dtype)
    with torch.no_grad():
        answers_TED = torch.stack([layer.experts(x_TD, torch.full((len(x_TD), 1), i), ones_T1) for i in range(E)], 1)
    # The mixture of all experts' constant answers, and the sparse pass with constant weights.
    mixed = (pi_TE * (answers_TED * g_TD[:, None]).sum(-1)).sum()
    fixed = (layer.experts(plain_TD, indices_TK, weights_TK.detach()) * g_TD).sum()
    expected = torch.autograd.grad(mixed + fixed, [*router, plain_TD, *experts], allow_unused=True)
    for mine, other in zip(ours, expected, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            torch.testing.assert_close(mine, other, rtol=2e-5, atol=2e-5)  # some routers score in float32


def test_closed_form_of_a_softmax_router() -> None:
    """∂L/∂logit_i = p_i (⟨g, E_i⟩ − Σ_j p_j ⟨g, E_j⟩), here of a router that is not renormalised; in float64."""
    layer = dense("olmoe").layers[0]
    x_TD, g_TD = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y_TD, _, _, _ = by_hand(layer, x_TD)
    weight_ED = layer.router.weight
    assert isinstance(weight_ED, Tensor)
    (found_ED,) = torch.autograd.grad((y_TD * g_TD).sum(), [weight_ED])
    with torch.no_grad():
        p_TE = (x_TD @ weight_ED.T).softmax(-1)
        products_TE = torch.stack(
            [(layer.visit(x_TD, torch.full((7,), i)) * g_TD).sum(-1) for i in range(p_TE.shape[1])], 1
        )
        slopes_TE = p_TE * (products_TE - (p_TE * products_TE).sum(-1, keepdim=True))
    torch.testing.assert_close(found_ED, slopes_TE.T @ x_TD, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("implementation", ["eager", "batched_mm", "grouped_mm"])
def test_implementations_agree_and_the_output_is_the_models_own(implementation: str) -> None:
    found = dense("qwen3_moe", implementation, double=False)
    reference = dense("qwen3_moe", "eager", double=False)
    given = inputs(found.model)
    ours = answer(found.model, **given)
    theirs = answer(reference.model, **given)
    for loss in (ours, theirs):
        loss.square().mean().backward()  # type: ignore[no-untyped-call]
    for a, b in zip(found.layers, reference.layers, strict=True):
        torch.testing.assert_close(a.router.weight.grad, b.router.weight.grad, rtol=1e-4, atol=1e-6)
    undensify(found.model)
    assert torch.equal(answer(found.model, **given), ours)


def test_recomputation_and_autocast() -> None:
    given = inputs(TINY["olmoe"].build())
    gradients = []
    for checkpointing in (False, True):
        found = dense("olmoe", "batched_mm", double=False)
        if checkpointing:
            found.model.gradient_checkpointing_enable()  # type: ignore[operator]
        with torch.autocast("cpu", torch.bfloat16):
            loss = answer(found.model, **given).float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append([layer.router.weight.grad for layer in found.layers])
    for plain, recomputed in zip(*gradients, strict=True):
        assert plain is not None
        assert plain.isfinite().all()
        torch.testing.assert_close(plain, recomputed)
