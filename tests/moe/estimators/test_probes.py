from dataclasses import replace

import pytest
import torch
from scipy.stats import chi2, kstest
from tests.moe.tiny import inputs, tiny_models
from torch import Tensor

from reachlab.moe import densify
from reachlab.moe.estimators.probes import probe, uniform
from reachlab.moe.layer import HookedLayer
from reachlab.moe.signals import Routing


@pytest.fixture
def heard() -> tuple[HookedLayer, Tensor, Routing]:
    """A layer of OLMoE with the tokens and the routing of a pass."""
    model = tiny_models()["olmoe"]().train()
    layer = densify(model, "topk").layers[0]
    found: list[tuple[Tensor, Routing]] = []
    routings: list[Routing] = []
    layer.listeners.append(routings.append)
    layer.experts.register_forward_hook(lambda module, args, output: found.append((args[0].detach(), routings[0])))
    model(**inputs(model, tokens=32))
    return layer, *found[0]


def test_a_probe_visits_an_inactive_expert_and_brings_its_answer(heard: tuple[HookedLayer, Tensor, Routing]) -> None:
    layer, hidden_TD, routing = heard
    found = probe(layer, hidden_TD, routing, 0.5, torch.tensor(3))
    assert len(found.tokens_M) == 32
    inactive_TE = routing.inactive()
    assert (inactive_TE[found.tokens_M, found.experts_M] > 0).all()
    torch.testing.assert_close(found.weights_M, inactive_TE.sum(1)[found.tokens_M].detach())
    for token, expert, output in zip(found.tokens_M, found.experts_M, found.outputs_MD, strict=True):
        torch.testing.assert_close(output, layer.visit(hidden_TD[token : token + 1], expert[None])[0])
    assert not found.outputs_MD.requires_grad


def test_probes_are_an_unbiased_sample_of_what_the_router_passes_by(heard: tuple[HookedLayer, Tensor, Routing]) -> None:
    """Σ Π over the probes of (x, i) estimates (M / T) π_i(x), pair by pair: a chi-square over all pairs."""
    layer, hidden_TD, routing = heard
    T, E = routing.pi_TE.shape
    draws, M = 400, T
    counts_TE = torch.zeros(T, E)
    for draw in range(draws):
        found = probe(layer, hidden_TD, routing, 1.0, torch.tensor(draw))
        counts_TE.index_put_((found.tokens_M, found.experts_M), torch.ones(M), accumulate=True)
    inactive_TE = routing.inactive().detach()
    expected_TE = draws * M / T * inactive_TE / inactive_TE.sum(1, keepdim=True)
    assert (counts_TE[inactive_TE == 0] == 0).all()
    likely = expected_TE > 5
    statistic = ((counts_TE - expected_TE)[likely].square() / expected_TE[likely]).sum()
    assert chi2.sf(float(statistic), int(likely.sum())) > 1e-3


def test_padding_is_not_counted(heard: tuple[HookedLayer, Tensor, Routing]) -> None:
    layer, hidden_TD, routing = heard
    real_T = torch.arange(len(hidden_TD)) % 2 == 0
    found = probe(layer, hidden_TD, replace(routing, tokens_T=real_T), 1.0, torch.tensor(0))
    assert ((found.weights_M > 0) == real_T[found.tokens_M]).all()


def test_a_draw_is_a_function_of_its_number_and_leaves_torchs_numbers_alone(
    heard: tuple[HookedLayer, Tensor, Routing],
) -> None:
    layer, hidden_TD, routing = heard
    before = torch.get_rng_state()
    one, same, other = (probe(layer, hidden_TD, routing, 0.5, torch.tensor(draw)) for draw in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.tokens_M, same.tokens_M)
    assert torch.equal(one.experts_M, same.experts_M)
    assert not torch.equal(one.tokens_M, other.tokens_M)


def test_the_numbers_are_uniform_and_do_not_repeat() -> None:
    places = torch.arange(1000)
    columns = [uniform(torch.tensor(draw), process, places) for draw in range(5) for process in range(4)]
    numbers = torch.stack(columns)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert kstest(numbers.flatten().numpy(), "uniform").pvalue > 1e-3
    correlations = torch.corrcoef(numbers).fill_diagonal_(0)
    assert correlations.abs().max() < 5 / len(places) ** 0.5
    assert abs(torch.corrcoef(torch.stack([numbers.flatten()[1:], numbers.flatten()[:-1]]))[0, 1]) < 0.03
