"""One thing's value with another's gradient."""

from copy import deepcopy

import torch
from torch import Tensor

from reachlab.moe.surrogate import with_gradient_of

T, M, D = 5, 4, 3


def parts(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    y_TD, pi_TM, vectors_MD = (torch.randn(shape, generator=g) for shape in ((T, D), (T, M), (M, D)))
    return y_TD.to(dtype).requires_grad_(), pi_TM.to(dtype).requires_grad_(), vectors_MD.to(dtype)


def test_the_value_is_y_and_the_gradient_that_of_the_sum() -> None:
    y_TD, pi_TM, vectors_MD = parts()
    found_TD = with_gradient_of(y_TD, pi_TM, vectors_MD)
    assert torch.equal(found_TD, y_TD)
    weigh_TD = torch.randn(T, D, generator=torch.Generator().manual_seed(1)).double()
    gradients = torch.autograd.grad((found_TD * weigh_TD).sum(), (y_TD, pi_TM))
    expected = torch.autograd.grad(((y_TD + pi_TM @ vectors_MD) * weigh_TD).sum(), (y_TD, pi_TM))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_vectors_are_those_of_the_forward_pass_and_have_no_gradient() -> None:
    y_TD, pi_TM, vectors_MD = parts()
    vectors_MD.requires_grad_()
    before_MD = vectors_MD.detach().clone()
    found_TD = with_gradient_of(y_TD, pi_TM, vectors_MD)
    with torch.no_grad():
        vectors_MD.zero_()  # an average moves on
    found_TD.sum().backward()  # type: ignore[no-untyped-call]
    assert vectors_MD.grad is None
    assert pi_TM.grad is not None
    torch.testing.assert_close(pi_TM.grad, before_MD.sum(1).expand(T, M))


def test_bits_of_bfloat16_stay_and_the_weights_gradient_has_their_dtype() -> None:
    y_TD, _, vectors_MD = parts(torch.bfloat16)
    pi_TM = parts(torch.float32)[1]
    found_TD = with_gradient_of(y_TD, pi_TM, vectors_MD.float())
    assert found_TD.dtype == torch.bfloat16
    assert torch.equal(found_TD, y_TD)
    found_TD.sum().backward()  # type: ignore[no-untyped-call]
    assert pi_TM.grad is not None
    assert pi_TM.grad.dtype == torch.float32
    torch.testing.assert_close(pi_TM.grad, vectors_MD.float().sum(1).expand(T, M), rtol=0.02, atol=0.02)


def test_weights_that_need_no_gradient() -> None:
    y_TD, pi_TM, vectors_MD = parts()
    with_gradient_of(y_TD, deepcopy(pi_TM.detach()), vectors_MD).sum().backward()  # type: ignore[no-untyped-call]
    assert y_TD.grad is not None
    assert torch.equal(y_TD.grad, torch.ones_like(y_TD))
