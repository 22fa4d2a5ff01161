"""Balance over the whole batch: transformers' value in one process, and one process's gradient in several."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.moe.apart import apart
from torch import Tensor
from transformers.models.olmoe.modeling_olmoe import load_balancing_loss_func

from reachlab.moe.balance import Form, Gradients, load_balancing_loss, z_loss

L, T, E, K, D = 3, 20, 5, 2, 4


def hidden(seed: int = 0) -> Tensor:
    return torch.randn(L, T, D, generator=torch.Generator().manual_seed(seed))


def weight(seed: int = 1) -> Tensor:
    return torch.randn(D, E, generator=torch.Generator().manual_seed(seed)).requires_grad_()


FORMS: dict[str, Form] = {"pooled": "pooled", "layer": "layer"}
MASK_T = torch.arange(T) % 7 != 3


@given(st.integers(0, 1000), st.integers(1, E), st.booleans())
def test_one_process_has_the_value_and_gradient_of_transformers(seed: int, active: int, padded: bool) -> None:
    logits_LTE = tuple((hidden(seed) @ weight()).requires_grad_())
    mask_T = MASK_T if padded else None
    ours = load_balancing_loss(logits_LTE, active, mask_T)
    theirs = load_balancing_loss_func(logits_LTE, E, active, None if mask_T is None else mask_T.view(2, -1))
    assert isinstance(theirs, Tensor)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(torch.autograd.grad(ours, logits_LTE), torch.autograd.grad(theirs, logits_LTE), strict=True):
        torch.testing.assert_close(mine, other)


def test_an_even_router_has_the_loss_k_and_a_collapsed_one_e() -> None:
    even_LTE = [torch.zeros(E, E)]
    visited = [torch.stack([torch.arange(E), torch.arange(E).roll(1)], 1)]
    torch.testing.assert_close(load_balancing_loss(even_LTE, visited), torch.tensor(float(K)))
    collapsed_LTE = [100.0 * torch.eye(E)[:1].expand(T, E)]
    torch.testing.assert_close(load_balancing_loss(collapsed_LTE, 1), torch.tensor(float(E)))


def test_sigmoid_scores_are_divided_by_their_sum() -> None:
    logits_LTE = hidden() @ weight().detach()
    s = logits_LTE.sigmoid()
    f_E = torch.zeros(E).index_add_(0, s.topk(K, -1).indices.reshape(-1), torch.ones(L * T * K)) / (L * T)
    P_E = (s / s.sum(-1, keepdim=True)).mean((0, 1))
    torch.testing.assert_close(load_balancing_loss(list(logits_LTE), K, how="sigmoid"), E * (f_E * P_E).sum())


def test_experts_that_were_visited_count_and_not_those_with_the_largest_scores() -> None:
    logits_LTE = list(hidden() @ weight().detach())
    visited = [torch.full((T, 1), 2)] * L
    mean_E = torch.stack(logits_LTE).softmax(-1).mean((0, 1))
    torch.testing.assert_close(load_balancing_loss(logits_LTE, visited), E * mean_E[2])


def test_z_loss_against_its_definition() -> None:
    logits_LTE = hidden() @ weight().detach()
    expected = logits_LTE[:, MASK_T].exp().sum(-1).log().square().mean()
    torch.testing.assert_close(z_loss(list(logits_LTE), MASK_T), expected)
    torch.testing.assert_close(z_loss(list(logits_LTE)), logits_LTE.exp().sum(-1).log().square().mean())


def test_a_batch_of_padding_has_no_loss() -> None:
    logits_LTE = list(hidden() @ weight().detach())
    nothing_T = torch.zeros(T)
    assert load_balancing_loss(logits_LTE, K, nothing_T) == 0
    assert z_loss(logits_LTE, nothing_T) == 0


@pytest.mark.parametrize("gradients", ["summed", "averaged"])
def test_two_processes_have_the_gradient_of_one(tmp_path: Path, gradients: Gradients) -> None:
    """Uneven shares: 13 tokens and 7, of which other numbers are padding."""
    shares = [slice(0, 13), slice(13, T)]

    def losses(part: slice) -> list[tuple[Tensor, Tensor]]:
        found = []
        for name in ("pooled", "layer", "z"):
            W = weight()
            logits_LTE = list(hidden()[:, part] @ W)
            loss = (
                z_loss(logits_LTE, MASK_T[part], gradients=gradients)
                if name == "z"
                else load_balancing_loss(logits_LTE, K, MASK_T[part], form=FORMS[name], gradients=gradients)
            )
            found.append((loss.detach(), torch.autograd.grad(loss, W)[0]))
        return found

    alone = losses(slice(None))
    both = apart(tmp_path, 2, lambda rank: losses(shares[rank]))
    for index, (value, gradient) in enumerate(alone):
        (first, gradient0), (second, gradient1) = both[0][index], both[1][index]
        torch.testing.assert_close(first, value)
        torch.testing.assert_close(second, value)
        together = gradient0 + gradient1 if gradients == "summed" else (gradient0 + gradient1) / 2
        torch.testing.assert_close(together, gradient)
        assert not torch.allclose(gradient0, gradient1)


def test_eight_layers_that_collapse_are_even_together_and_not_by_layer() -> None:
    """Layer l sends every token to expert l."""
    logits_LTE = [100.0 * torch.eye(8)[layer].expand(T, 8) for layer in range(8)]
    torch.testing.assert_close(load_balancing_loss(logits_LTE, 1), torch.tensor(1.0))
    torch.testing.assert_close(load_balancing_loss(logits_LTE, 1, form="layer"), torch.tensor(8.0))


@given(st.integers(0, 1000), st.integers(1, E), st.booleans())
def test_by_layer_it_is_the_mean_of_transformers_loss_of_each_layer(seed: int, active: int, padded: bool) -> None:
    logits_LTE = tuple((hidden(seed) @ weight()).requires_grad_())
    mask_T = MASK_T if padded else None
    ours = load_balancing_loss(logits_LTE, active, mask_T, form="layer")
    mask = None if mask_T is None else mask_T.view(2, -1)
    alone = [load_balancing_loss_func((logits_TE,), E, active, mask) for logits_TE in logits_LTE]
    theirs = torch.stack([loss for loss in alone if isinstance(loss, Tensor)]).mean()
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(torch.autograd.grad(ours, logits_LTE), torch.autograd.grad(theirs, logits_LTE), strict=True):
        torch.testing.assert_close(mine, other)
