"""Every estimator on a model that stands still: what it comes to, against all experts' answers to all tokens."""

from typing import Any

import pytest
import torch
from tests.moe.tiny import inputs, tiny_models
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.moe import Densified, densified, densify
from reachlab.moe.layer import HookedLayer
from reachlab.moe.methods.default import Default
from reachlab.moe.signals import Routing

PASSES = 300


def settled(estimator: str, **options: Any) -> tuple[PreTrainedModel, Densified]:
    """A model that does not move, under an estimator that has heard the same batch many times."""
    model = tiny_models()["olmoe"]().train()
    found = densify(model, "default", estimator=estimator, update="per_step", **options)
    for _ in range(PASSES):
        model(**inputs(model, tokens=64))
        found.commit()
    return model, found


def truth(model: PreTrainedModel, layer: HookedLayer) -> tuple[Tensor, Routing]:
    """Every expert's answer to every token of the batch, (T, E, D), and how the tokens are routed."""
    seen: list[Tensor] = []
    routings: list[Routing] = []
    layer.listeners.append(routings.append)
    hook = layer.experts.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    model(**inputs(model, tokens=64))
    hook.remove()
    layer.listeners.clear()
    (hidden_TD, *_), E = seen, layer.shape.E
    T = len(hidden_TD)
    answers_SD = layer.visit(hidden_TD.repeat_interleave(E, 0), torch.arange(E).repeat(T))
    return answers_SD.view(T, E, -1), routings[0]


def stand(layer: HookedLayer) -> Any:
    assert isinstance(layer.method, Default)
    return layer.method.stand


def error(layer: HookedLayer, answers_TED: Tensor, routing: Routing) -> float:
    """Σ π |E_i(x) − Ê_i(x)|² over inactive pairs, over the same with Ê = 0."""
    weights_TM, vectors_MD = stand(layer).stand_ins(routing)
    T, E = routing.pi_TE.shape
    parts = weights_TM.view(T, -1, E).transpose(1, 2).detach(), vectors_MD.view(-1, E, vectors_MD.shape[1])
    pi_TE = routing.inactive().detach()
    stand_TED = torch.einsum("ter,red->ted", *parts) / pi_TE.clamp(min=1e-9)[:, :, None]
    left = (pi_TE * (answers_TED - stand_TED).square().sum(2)).sum()
    return float(left / (pi_TE * answers_TED.square().sum(2)).sum())


def test_routed_is_the_mean_over_an_experts_own_tokens() -> None:
    model, found = settled("routed")
    layer = found.layers[0]
    answers_TED, routing = truth(model, layer)
    active_TE = routing.pi_TE - routing.inactive()
    mean_ED = torch.einsum("te,ted->ed", active_TE, answers_TED) / active_TE.sum(0)[:, None]
    torch.testing.assert_close(stand(layer).vectors(), mean_ED.detach(), rtol=1e-3, atol=1e-5)


def test_probed_comes_to_the_mean_over_the_tokens_that_passed_an_expert_by() -> None:
    model, found = settled("probed", share=0.5)
    layer = found.layers[0]
    answers_TED, routing = truth(model, layer)
    pi_TE = routing.inactive().detach()
    mean_ED = torch.einsum("te,ted->ed", pi_TE, answers_TED) / pi_TE.sum(0)[:, None]
    off = (stand(layer).vectors() - mean_ED).norm() / mean_ED.norm()
    assert off < 0.2
    routed_ED = stand(settled("routed")[1].layers[0]).vectors()
    assert off < (routed_ED - mean_ED).norm() / mean_ED.norm() / 3


def test_shrunk_is_the_routed_mean_at_the_best_length() -> None:
    model, found = settled("shrunk", share=1.0)
    layer = found.layers[0]
    answers_TED, routing = truth(model, layer)
    pi_TE, routed_ED = routing.inactive().detach(), stand(layer).routed.vectors_ED
    along_E = torch.einsum("te,ted,ed->e", pi_TE, answers_TED, routed_ED)
    best_E = along_E / (pi_TE.sum(0) * routed_ED.square().sum(1))
    torch.testing.assert_close(stand(layer).scale.vectors_RED[0, :, 0], best_E, rtol=0.2, atol=0.05)


@pytest.mark.slow
def test_each_fits_better_than_the_last() -> None:
    errors = {}
    for estimator in ("routed", "shrunk", "probed", "linear"):
        model, found = settled(estimator, share=0.5)
        answers_TED, routing = truth(model, found.layers[0])
        errors[estimator] = error(found.layers[0], answers_TED, routing)
    assert errors["routed"] > errors["shrunk"] > errors["probed"] > errors["linear"]
    assert errors["probed"] < 1, "better than nothing, which routed need not be"


@pytest.mark.parametrize("estimator", ["shrunk", "probed", "linear"])
def test_probes_cost_their_share(estimator: str) -> None:
    model = tiny_models()["olmoe"]().train()
    found = densify(model, "default", estimator=estimator, share=0.1)
    layer, visited = found.layers[0], []
    visit = layer.visit
    layer.visit = lambda hidden_SD, experts_S: visited.append(len(experts_S)) or visit(hidden_SD, experts_S)  # type: ignore[method-assign, func-returns-value]
    model(**inputs(model, tokens=50))
    assert visited == [10]


def test_where_all_experts_are_active_nothing_is_probed_and_nothing_stands_in() -> None:
    model = tiny_models()["olmoe"]()
    for module in model.modules():
        if hasattr(module, "top_k"):
            module.top_k = 6
    model.train()
    before = model(**inputs(model)).logits
    found = densify(model, "default", estimator="linear", forward="default")
    assert torch.equal(model(**inputs(model)).logits, before)
    assert not found.layers[0].method.stand.probes.counts_E.any()  # type: ignore[attr-defined]
    assert densified(model) is found
