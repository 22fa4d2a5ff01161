import numpy as np
import pytest
import torch

from reachlab.moe.regression import RIDGE, Regression, _solve

CPU = torch.device("cpu")
E, D = 3, 4


def sample(S: int, R: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs, experts (the last is never seen), weights, features with a leading 1."""
    torch.manual_seed(seed)
    features_SR = torch.cat([torch.ones(S, 1), torch.randn(S, R - 1)], 1)
    return torch.randn(S, D), torch.randint(0, E - 1, (S,)), torch.rand(S) + 0.1, features_SR


@pytest.mark.parametrize("R", [1, 2, 3])
def test_it_is_weighted_ridge_regression_that_forgets(R: int) -> None:
    beta = 0.7
    ours = Regression(R, E, D, beta, CPU)
    steps = [sample(20, R, seed) for seed in range(4)]
    for step in steps:
        ours.add(*step)
        ours.commit()
    outputs, experts, weights, features = (np.concatenate([s[i].double().numpy() for s in steps]) for i in range(4))
    faded = weights * np.repeat([beta ** (3 - t) for t in range(4)], 20)
    counts = np.repeat([beta ** (3 - t) for t in range(4)], 20).sum()
    ridge = RIDGE * (faded[:, None] * features**2).sum(0) / counts
    ridge[0] = 0.0
    for e in range(E - 1):
        own = experts == e
        Z, Y, w = features[own], outputs[own], faded[own]
        wanted = np.linalg.solve(Z.T @ (w[:, None] * Z) + np.diag(ridge), Z.T @ (w[:, None] * Y))
        np.testing.assert_allclose(ours.vectors_RED[:, e].numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert not ours.vectors_RED[:, E - 1].any(), "an expert that was never seen has vectors of zero"
    assert ours.age_E.tolist() == [0, 0, 4]


def test_with_one_feature_it_is_the_weighted_mean() -> None:
    outputs, experts, weights, ones = sample(50, 1, 0)
    ours = Regression(1, E, D, 0.9, CPU)
    ours.add(outputs, experts, weights, ones)
    ours.commit()
    own = experts == 0
    mean = (weights[own, None] * outputs[own]).sum(0) / weights[own].sum()
    torch.testing.assert_close(ours.vectors_RED[0, 0], mean)


def test_sums_of_parts_are_those_of_the_whole() -> None:
    outputs, experts, weights, features = sample(60, 2, 0)
    whole, one, other = (Regression(2, E, D, 0.9, CPU) for _ in range(3))
    whole.add(outputs, experts, weights, features)
    one.add(outputs[:17], experts[:17], weights[:17], features[:17])
    other.add(outputs[17:], experts[17:], weights[17:], features[17:])
    for mine, theirs in zip(one.pending(), other.pending(), strict=True):
        mine += theirs
    for regression in (whole, one):
        regression.commit()
    torch.testing.assert_close(one.vectors_RED, whole.vectors_RED)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_left_out_and_remembered(bad: float) -> None:
    outputs, experts, weights, features = sample(30, 2, 0)
    clean, ours = Regression(2, E, D, 0.9, CPU), Regression(2, E, D, 0.9, CPU)
    clean.add(outputs[1:], experts[1:], weights[1:], features[1:])
    outputs = outputs.clone()
    outputs[0, 2] = bad
    ours.add(outputs, experts, weights, features)
    assert ours.poisoned
    assert not clean.poisoned
    for regression in (clean, ours):
        regression.commit()
    torch.testing.assert_close(ours.vectors_RED, clean.vectors_RED)


@pytest.mark.parametrize("R", [1, 2, 3])
def test_elimination_is_the_library_s_solution(R: int) -> None:
    generator = torch.Generator().manual_seed(R)
    seen_ESR = torch.randn(5, 9, R, generator=generator, dtype=torch.float64)
    squares_ERR = seen_ESR.mT @ seen_ESR + 0.1 * torch.eye(R, dtype=torch.float64)
    products_ERD = torch.randn(5, R, 7, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(_solve(squares_ERR, products_ERD), torch.linalg.solve(squares_ERR, products_ERD))
