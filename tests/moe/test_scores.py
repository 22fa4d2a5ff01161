"""The formula of a router's weights, and its continuation to the experts that it did not choose."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.moe.scores import active_weights, mixture, score

KINDS = ["softmax", "sigmoid", "score_fn"]


def sqrt_softplus(logits_TE: Tensor) -> Tensor:
    return torch.nn.functional.softplus(logits_TE).sqrt()


def scored(logits_TE: Tensor, kind: str) -> Tensor:
    return score(logits_TE, sqrt_softplus if kind == "score_fn" else kind)


@st.composite
def routers(draw: st.DrawFn) -> tuple[Tensor, Tensor, dict[str, bool | Tensor], Tensor, str]:
    """Logits, the active experts, what the family does, the router's weights, and the kind of its scores."""
    T, E = draw(st.integers(1, 5)), draw(st.integers(2, 7))
    K = draw(st.integers(1, E))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits_TE = 2 * torch.randn(T, E, generator=generator, dtype=torch.float64)
    # Any set of experts, not the best alone: a bias may have chosen them.
    indices_TK = torch.rand(T, E, generator=generator).argsort(1)[:, :K]
    factors_E = 0.5 + torch.rand(E, generator=generator, dtype=torch.float64)
    family: dict[str, bool | Tensor] = {"renormalised": draw(st.booleans()), "factors_E": factors_E}
    kind = draw(st.sampled_from(KINDS))
    scale = draw(st.sampled_from([1.0, 2.5]))
    weights_TK = active_weights(scored(logits_TE, kind), indices_TK, scale=scale, **family)  # type: ignore[arg-type]
    return logits_TE, indices_TK, family, weights_TK, kind


@pytest.mark.parametrize(("how", "one"), [("softmax", None), ("sigmoid", lambda x: 1 / (1 + (-x).exp()))])
def test_scores_are_what_their_names_say(how: str, one: Callable[[Tensor], Tensor] | None) -> None:
    logits_TE = torch.randn(4, 5, dtype=torch.float64)
    expected_TE = logits_TE.exp() / logits_TE.exp().sum(1, keepdim=True) if one is None else one(logits_TE)
    torch.testing.assert_close(score(logits_TE, how), expected_TE)


def test_probabilities_stay_as_they_are() -> None:
    scores_TE = torch.rand(3, 4)
    assert score(scores_TE, "probabilities").equal(scores_TE)


def test_scores_are_at_least_float32() -> None:
    assert score(torch.randn(2, 3).bfloat16(), "softmax").dtype == torch.float32
    assert score(torch.randn(2, 3).double(), "sigmoid").dtype == torch.float64


@pytest.mark.parametrize("renormalised", [False, True])
def test_active_weights_by_hand(renormalised: bool) -> None:
    scores_TE = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    indices_TK = torch.tensor([[3, 1], [0, 2]])
    factors_E = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found_TK = active_weights(scores_TE, indices_TK, renormalised=renormalised, scale=2.0, factors_E=factors_E)
    totals = (0.6, 0.8) if renormalised else (1.0, 1.0)
    expected = [[2 * 4 * 0.4 / totals[0], 2 * 2 * 0.2 / totals[0]], [2 * 0.7 / totals[1], 2 * 3 * 0.1 / totals[1]]]
    torch.testing.assert_close(found_TK, torch.tensor(expected))


@given(routers())
def test_mixture_is_the_routers_weight_on_active_experts(
    router: tuple[Tensor, Tensor, dict[str, bool | Tensor], Tensor, str],
) -> None:
    logits_TE, indices_TK, family, weights_TK, kind = router
    pi_TE = mixture(scored(logits_TE, kind), indices_TK, weights_TK, **family)  # type: ignore[arg-type]
    torch.testing.assert_close(pi_TE.gather(1, indices_TK), weights_TK)


@given(routers())
def test_mixture_does_not_depend_on_who_was_chosen_but_for_its_scale(
    router: tuple[Tensor, Tensor, dict[str, bool | Tensor], Tensor, str],
) -> None:
    """What an inactive expert gets is what the formula gives it: in proportion to g_i · s_i."""
    logits_TE, indices_TK, family, weights_TK, kind = router
    scores_TE = scored(logits_TE, kind)
    pi_TE = mixture(scores_TE, indices_TK, weights_TK, **family)  # type: ignore[arg-type]
    ratio_TE = pi_TE / (scores_TE * family["factors_E"])
    torch.testing.assert_close(ratio_TE, ratio_TE[:, :1].expand_as(ratio_TE))


@given(routers())
def test_gradient_is_that_of_the_dense_mixture_at_a_constant_scale(
    router: tuple[Tensor, Tensor, dict[str, bool | Tensor], Tensor, str],
) -> None:
    """Central differences of Σ_i v_i C p_i(l), with C = scale or scale / Σ_A p held where it was."""
    logits_TE, indices_TK, family, weights_TK, kind = router
    values_E = torch.linspace(-1, 2, logits_TE.shape[1], dtype=torch.float64)

    def shares(logits_TE: Tensor) -> Tensor:
        scores_TE = scored(logits_TE, kind)
        return scores_TE * family["factors_E"] / (scores_TE.sum(1, keepdim=True) if family["renormalised"] else 1)

    constant_T = weights_TK[:, 0] / shares(logits_TE).gather(1, indices_TK)[:, 0]
    leaf_TE = logits_TE.clone().requires_grad_()
    pi_TE = mixture(scored(leaf_TE, kind), indices_TK, weights_TK, **family)  # type: ignore[arg-type]
    (slopes_TE,) = torch.autograd.grad((pi_TE @ values_E).sum(), leaf_TE)
    step = 1e-6
    for expert in range(logits_TE.shape[1]):
        moved_TE = torch.zeros_like(logits_TE)
        moved_TE[:, expert] = step
        rise_TE = shares(logits_TE + moved_TE) - shares(logits_TE - moved_TE)
        slope_T = constant_T * (rise_TE @ values_E) / (2 * step)
        torch.testing.assert_close(slopes_TE[:, expert], slope_T, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_all_experts_have_in_common_has_no_gradient_where_renormalised(kind: str) -> None:
    leaf_TE = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    indices_TK = leaf_TE.topk(2, dim=1).indices
    scores_TE = scored(leaf_TE, kind)
    weights_TK = active_weights(scores_TE, indices_TK, renormalised=True, scale=3.0)
    pi_TE = mixture(scores_TE, indices_TK, weights_TK, renormalised=True)
    (slopes_TE,) = torch.autograd.grad(pi_TE.sum(), leaf_TE)
    assert slopes_TE.abs().max() < 1e-12


def test_softmax_without_renormalisation_is_the_papers_mixture() -> None:
    scores_TE = torch.randn(5, 6).softmax(1)
    weights_TK, indices_TK = scores_TE.topk(2, dim=1)
    torch.testing.assert_close(mixture(scores_TE, indices_TK, weights_TK, renormalised=False), scores_TE)


def test_no_gradient_flows_through_the_routers_weights() -> None:
    scores_TE = torch.rand(3, 4)
    weights_TK = torch.rand(3, 2, requires_grad=True)
    assert not mixture(scores_TE, torch.tensor([[0, 1]] * 3), weights_TK, renormalised=True).requires_grad


@pytest.mark.parametrize("renormalised", [False, True])
def test_scores_that_underflow_poison_nothing(renormalised: bool) -> None:
    logits_TE = torch.full((1, 4), -300.0, requires_grad=True)
    weights_TK = torch.zeros(1, 2)
    pi_TE = mixture(score(logits_TE, "sigmoid"), torch.tensor([[0, 1]]), weights_TK, renormalised=renormalised)
    (slopes_TE,) = torch.autograd.grad(pi_TE.sum(), logits_TE)
    assert pi_TE.equal(torch.zeros(1, 4))
    assert slopes_TE.isfinite().all()
