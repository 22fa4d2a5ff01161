"""Loss-free balancing: which way a bias goes, whose it is, and what it acts on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.moe.apart import apart
from tests.moe.tiny import TINY, answer, inputs
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe.densifying import Densified, densified, densify
from reachlab.moe.layer import HookedLayer
from reachlab.moe.methods.lossfree import LossFree
from reachlab.moe.scores import active_weights, score
from reachlab.moe.signals import Routing

OURS = ("olmoe", "mixtral", "gpt_oss", "granitemoe", "flint", "gemma4", "deepseek_v2")
THEIRS = {
    "deepseek_v3": "gate.e_score_correction_bias",
    "hy_v3": "e_score_correction_bias",
    "afmoe": "expert_bias",
    "lfm2_moe": "expert_bias",
    "ernie4_5_moe": "gate.moe_statics.e_score_correction_bias",
    "kolibri1": "gate.e_score_correction_bias",
}
RATE = 0.01


def training(model: PreTrainedModel, **options: float) -> Densified:
    return densify(model.train(), "lossfree", **({"rate": RATE} | options))


def last(found: Densified) -> tuple[HookedLayer, LossFree]:
    layer = found.layers[-1]
    assert isinstance(layer.method, LossFree)
    return layer, layer.method


def listened(layer: HookedLayer) -> list[Routing]:
    heard: list[Routing] = []
    layer.listeners.append(lambda routing: heard.append(replace(routing)))
    return heard


def step(model: PreTrainedModel, *batches: dict[str, Tensor]) -> None:
    """Micro-batches and a step of an optimizer that moves nothing."""
    for given in batches:
        answer(model, **given).square().mean().backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD(model.parameters(), lr=0.0).step()


def moved(routings: list[Routing], E: int) -> Tensor:
    """u · sign(mean load − load), counted by hand."""
    load = [0] * E
    for routing in routings:
        for token, experts in enumerate(routing.indices_TK.tolist()):
            for i in experts:
                load[i] += 1 if routing.tokens_T is None else int(routing.tokens_T[token])
    mean = sum(load) / E
    return torch.tensor([RATE * ((mean > c) - (mean < c)) for c in load])


@pytest.mark.parametrize("family", OURS)
def test_selects_by_scores_and_bias_and_weighs_by_scores(family: str) -> None:
    model = TINY[family].build()
    before = answer(model, **inputs(model))
    found = densify(model, "lossfree")
    layer, method = last(found)
    torch.testing.assert_close(answer(model, **inputs(model)), before)  # no bias yet
    bias_E = torch.randn(layer.shape.E, generator=torch.Generator().manual_seed(0))
    assert method.bias_E is not None
    method.bias_E.copy_(bias_E)
    heard = listened(layer)
    with torch.no_grad():  # frozen, and it acts
        answer(model, **inputs(model))
    s_TE = score(heard[0].logits_TE, layer.site.score)
    expected_TK = (s_TE + bias_E).topk(layer.shape.K, -1).indices
    assert torch.equal(heard[0].indices_TK.sort(-1).values, expected_TK.sort(-1).values)
    assert not torch.equal(expected_TK, s_TE.topk(layer.shape.K, -1).indices)
    site = layer.site
    weights_TK = active_weights(
        s_TE, heard[0].indices_TK, renormalised=site.renormalised, scale=site.scale, factors_E=site.factors
    )
    torch.testing.assert_close(heard[0].weights_TK, weights_TK)


@pytest.mark.parametrize("family", [*OURS, *THEIRS])
def test_bias_moves_once_a_step_against_the_load_of_all_micro_batches(family: str) -> None:
    model = TINY[family].build()
    found = training(model)
    layer, method = last(found)
    if family in THEIRS:
        model.state_dict()[f"{layer.name}.{THEIRS[family]}"].zero_()
    heard = listened(layer)
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[1, 7:] = 0
    batches = [inputs(model, seed=0), inputs(model, seed=1) | {"attention_mask": mask}]
    step(model, *batches)
    assert len(heard) == 2
    assert method.bias_E is not None
    torch.testing.assert_close(method.bias_E.view(-1), moved(heard, layer.shape.E))
    assert heard[1].tokens_T is not None
    step(model, batches[0])
    torch.testing.assert_close(
        method.bias_E.view(-1), moved(heard[:2], layer.shape.E) + moved(heard[2:], layer.shape.E)
    )
    before = method.bias_E.clone()
    with torch.no_grad():
        answer(model, **batches[0])
    step(model)  # nothing was heard
    assert torch.equal(method.bias_E, before)


@pytest.mark.parametrize("family", THEIRS)
def test_a_familys_own_bias_is_the_one_that_moves(family: str) -> None:
    model = TINY[family].build()
    found = training(model)
    layer, _ = last(found)
    own = model.state_dict()[f"{layer.name}.{THEIRS[family]}"]
    own.view(-1).copy_(torch.linspace(0, 1, layer.shape.E))
    before = own.clone()
    step(model, inputs(model))
    assert ((own - before).abs().amax() - RATE).abs() < 1e-6
    assert found.state() == {}  # their checkpoint has it
    found.detach()
    assert not torch.equal(own, before)


def test_layers_that_no_pass_comes_to_stay_as_they_are() -> None:
    """The experts for images, in a text."""
    model = TINY["ernie4_5_vl_moe"].build()
    found = training(model)
    step(model, inputs(model))
    moved_ = [isinstance(layer.method, LossFree) and layer.method.bias_E is not None for layer in found.layers]
    assert any(moved_)
    assert not all(moved_)


def test_recomputation_counts_once() -> None:
    loads = []
    for checkpointing in (False, True):
        model = TINY["olmoe"].build()
        _, method = last(training(model))
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        answer(model, **inputs(model)).square().mean().backward()  # type: ignore[no-untyped-call]
        loads.append(method.load_E.clone())
    assert torch.equal(*loads)
    assert loads[0].sum() == 2 * 12 * 2


def test_a_skewed_load_gets_even() -> None:
    model = TINY["olmoe"].build()
    found = training(model)
    layer, method = last(found)
    assert method.bias_E is not None
    method.bias_E[0] = 0.4  # nearly every token visits expert 0
    heard = listened(layer)
    for seed in range(60):
        step(model, inputs(model, tokens=32, seed=seed))

    def unevenness(routings: list[Routing]) -> float:
        load_E = torch.bincount(torch.cat([r.indices_TK for r in routings]).reshape(-1), minlength=layer.shape.E)
        return float(load_E.float().std() / load_E.float().mean())

    assert unevenness(heard[-10:]) < 0.5 * unevenness(heard[:10])


def test_two_processes_move_as_one(tmp_path: Path) -> None:
    """The shares are of different lengths, and one has padding."""
    whole = {"input_ids": inputs(TINY["olmoe"].build(), tokens=16)["input_ids"]}
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    whole["attention_mask"][1, 9:] = 0

    def bias(given: dict[str, Tensor]) -> Tensor:
        model = TINY["olmoe"].build()
        _, method = last(training(model))
        step(model, given)
        assert method.bias_E is not None
        return method.bias_E

    rows = [{name: t[i : i + 1] for name, t in whole.items()} for i in (0, 1)]
    found = apart(tmp_path, 2, lambda rank: bias(rows[rank]))
    alone = bias(whole)
    assert torch.equal(found[0], alone)
    assert torch.equal(found[1], alone)
    assert not torch.equal(bias(rows[0]), alone)


def test_refusals() -> None:
    grouped = replace(
        TINY["deepseek_v2"],
        extra={"topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 1},
    )
    with pytest.raises(ReachlabError, match="within groups"):
        densify(grouped.build(), "lossfree")
    with pytest.raises(ReachlabError, match="rate=0"):
        densify(TINY["olmoe"].build(), "lossfree", rate=0)
    model = TINY["deepseek_v3"].build()
    training(model.bfloat16())
    with pytest.raises(ReachlabError, match=r"needs it in float32, but it is torch\.bfloat16"):
        answer(model, **inputs(model))
    assert densified(model) is not None
