import copy

import pytest
import torch
from torch import Tensor, nn

from reachlab.training.muon import Muon, orthogonalise

SHAPES = [(8, 8), (4, 16), (16, 4), (48, 32), (3, 5, 7), (4, 7, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_are_driven_to_one_and_singular_vectors_kept(shape: tuple[int, ...]) -> None:
    raw = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    U, _, V = torch.linalg.svd(raw, full_matrices=False)
    # A spectrum over two orders of magnitude, as gradients have.
    matrices = U @ torch.diag_embed(torch.logspace(0, -2, min(shape[-2:])).expand(U.shape[:-2] + (-1,))) @ V
    found = U.mT @ orthogonalise(matrices) @ V.mT
    values = torch.diagonal(found, dim1=-2, dim2=-1)
    assert ((values > 0.6) & (values < 1.3)).all()
    assert (found - torch.diag_embed(values)).abs().max() < 1e-4
    assert orthogonalise(matrices).shape == matrices.shape


def test_scale_does_not_matter_and_nothing_stays_nothing() -> None:
    matrix = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalise(matrix), orthogonalise(1000 * matrix), atol=1e-5)
    assert torch.allclose(orthogonalise(-matrix), -orthogonalise(matrix), atol=1e-5)
    assert not orthogonalise(torch.zeros(3, 4)).any()


def reference(weights: Tensor, gradients: list[Tensor], lr: float, momentum: float, decay: float) -> Tensor:
    """Muon as published, a matrix at a time."""
    W, M = weights.clone(), torch.zeros_like(weights)
    for G in gradients:
        M = momentum * M + G
        O = orthogonalise(G + momentum * M)  # noqa: E741
        W = (1 - lr * decay) * W - lr * max(1.0, W.shape[0] / W.shape[1]) ** 0.5 * O
    return W


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_the_published_one_for_each_matrix(decay: float) -> None:
    generator = torch.Generator().manual_seed(2)
    # Two of one shape, one of another, and a stack of experts.
    starts = [torch.randn(s, generator=generator) for s in ((4, 6), (4, 6), (9, 3), (3, 4, 6))]
    gradients = [[torch.randn(s.shape, generator=generator) for s in starts] for _ in range(3)]
    params = [nn.Parameter(s.clone()) for s in starts]
    optimizer = Muon(params, lr=0.05, momentum=0.9, weight_decay=decay)
    for step in gradients:
        for p, g in zip(params, step, strict=True):
            p.grad = g.clone()
        optimizer.step()
    for i in range(3):
        assert torch.allclose(params[i], reference(starts[i], [g[i] for g in gradients], 0.05, 0.9, decay), atol=1e-5)
    for e in range(3):
        wanted = reference(starts[3][e], [g[3][e] for g in gradients], 0.05, 0.9, decay)
        assert torch.allclose(params[3][e], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((6, 4), "columns"), ((4, 6), "columns"), ((3, 5, 7), "columns"), ((8, 3, 4), "filters"), ((8, 3, 4, 4), "rows"),
     ((8, 3, 2, 4, 4), "filters"), ((3, 5, 7), "rows")],
)  # fmt: skip
def test_a_weight_moves_as_the_matrix_that_it_is(shape: tuple[int, ...], layout: str) -> None:
    """However it is stored: turned, as filters, or in a stack; the length of a step is that of (out, in)."""
    generator = torch.Generator().manual_seed(4)
    start = torch.randn(shape, generator=generator)
    gradients = [torch.randn(shape, generator=generator) for _ in range(3)]
    p = nn.Parameter(start.clone())
    optimizer = Muon([{"params": [p], "layout": layout}], lr=0.05, momentum=0.9, weight_decay=0.1)
    for g in gradients:
        p.grad = g.clone()
        optimizer.step()
    if len(shape) > 3 or layout == "filters":
        wanted = reference(start.flatten(1), [g.flatten(1) for g in gradients], 0.05, 0.9, 0.1).view(shape)
    else:

        def turn(t: Tensor) -> Tensor:
            return t.mT if layout == "columns" else t

        stack, steps = start.view(-1, *shape[-2:]), [g.view(-1, *shape[-2:]) for g in gradients]
        each = [turn(reference(turn(stack[e]), [turn(g[e]) for g in steps], 0.05, 0.9, 0.1)) for e in range(len(stack))]
        wanted = torch.stack(each).view(shape)
    assert torch.allclose(p, wanted, atol=1e-5)


def test_a_turned_map_takes_the_steps_of_the_map_itself() -> None:
    """GPT-2 stores (in, out): a wide layer's steps are √(out/in) long all the same."""
    generator = torch.Generator().manual_seed(5)
    weight, gradient = torch.randn(12, 4, generator=generator), torch.randn(12, 4, generator=generator)
    as_is, turned = nn.Parameter(weight.clone()), nn.Parameter(weight.mT.clone())
    as_is.grad, turned.grad = gradient, gradient.mT.clone()
    Muon([as_is], lr=0.1).step()
    Muon([{"params": [turned], "layout": "columns"}], lr=0.1).step()
    assert torch.allclose(turned.mT, as_is, atol=1e-6)


def test_a_state_of_a_version_without_layouts_goes_on() -> None:
    p = nn.Parameter(torch.ones(3, 4))
    optimizer = Muon([p])
    state = optimizer.state_dict()
    del state["param_groups"][0]["layout"]
    optimizer.load_state_dict(state)
    p.grad = torch.ones(3, 4)
    optimizer.step()
    assert not torch.equal(p, torch.ones(3, 4))


def test_a_parameter_without_a_gradient_stays() -> None:
    moved, still = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    moved.grad = torch.eye(2)
    Muon([moved, still]).step()
    assert not torch.equal(moved, torch.ones(2, 2))
    assert torch.equal(still, torch.ones(2, 2))


def test_its_state_goes_on() -> None:
    first, second = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
    optimizers = [Muon([first]), Muon([second])]
    gradients = torch.randn(4, 3, 4, generator=torch.Generator().manual_seed(3))
    for t, g in enumerate(gradients):
        first.grad, second.grad = g.clone(), g.clone()
        optimizers[0].step()
        optimizers[1].step()
        if t == 1:
            state = copy.deepcopy(optimizers[1].state_dict())
            optimizers[1] = Muon([second])
            optimizers[1].load_state_dict(state)
    assert torch.equal(first, second)
