"""The table of families against transformers' own routers: every row, every formula, every refusal."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.moe.tiny import ACTIVE, EXPERTS, TINY, TINY_REFUSED, Tiny, answer, inputs
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe.families import FAMILIES, REFUSED, RouterFamily
from reachlab.moe.sites import LayerSite, find_layers, has_seam, selects_top_k, verify

MODELS = Path(transformers.__file__).parent / "models"

FLOAT32 = {"Inkling2TopKRouter"}
"""Routers that work in float32 alone, and that `from_pretrained` keeps so."""

built = cache(lambda name: TINY[name].build())
"""A family's tiny model, to look at and leave as it is."""


@pytest.fixture(params=TINY)
def sites(request: pytest.FixtureRequest) -> list[LayerSite]:
    """The layers of a tiny model of each family, in a model of its own."""
    return find_layers(TINY[request.param].build())


def heard(model: PreTrainedModel, sites: list[LayerSite], **given: Tensor) -> Iterator[tuple[LayerSite, Any]]:
    """What each site's router returns in a forward pass of the model."""
    found: list[tuple[LayerSite, Any]] = []
    handles = [s.router.register_forward_hook(lambda _, __, out, s=s: found.append((s, out))) for s in sites]
    with torch.no_grad():
        assert answer(model, **given).isfinite().all()
    for handle in handles:
        handle.remove()
    yield from found


@pytest.mark.parametrize("name", TINY)
def test_the_mixture_holds_the_routers_own_weights(name: str) -> None:
    """In the model's own forward pass, with whatever the block hands its router."""
    model = built(name)
    sites = find_layers(model)
    assert {site.family.model for site in sites} == {TINY[name].folder}
    told = list(heard(model, sites, **inputs(model)))
    # A layer may have experts for images alone, and these are texts.
    assert {id(site.router) for site, _ in told} == {id(s.router) for s in sites if "vision_moe" not in s.name}
    for site, (logits, weights, indices, *_) in told:
        pi_TE = site.mixture(logits, weights, indices)
        assert pi_TE.shape == (len(weights), EXPERTS) == (len(weights), site.num_experts)
        assert indices.shape == (len(weights), ACTIVE) == (len(weights), site.top_k)
        torch.testing.assert_close(pi_TE.gather(1, indices), weights.float(), rtol=1e-5, atol=1e-7)
        assert (pi_TE > 0).all()


def test_every_row_is_the_routers_formula(sites: list[LayerSite]) -> None:
    for site in sites:
        verify(site)
        verify(site, seed=1)


def test_every_row_is_the_routers_formula_in_bfloat16(sites: list[LayerSite]) -> None:
    for site in sites:
        site.router.to(torch.float32 if site.family.router in FLOAT32 else torch.bfloat16)
        verify(site)


def test_every_flag_and_scale_is_read_from_the_router(sites: list[LayerSite]) -> None:
    for site in sites:
        row = site.family
        for factor in filter(None, row.scale.split(" * ")):
            if isinstance(getattr(site.router, factor, None), float | int):
                setattr(site.router, factor, 1.7)
                verify(site)
                with pytest.raises(ReachlabError, match="the weights of"):
                    verify(replace(site, family=replace(row, scale="")))
        if isinstance(row.renormalise, str):
            for flag in (False, True):
                setattr(site.router, row.renormalise, flag)
                verify(site)


def wrong(site: LayerSite) -> Iterator[RouterFamily]:
    """Rows that are not the router's."""
    yield replace(site.family, score="sigmoid" if site.score in ("softmax", "probabilities") else "softmax")
    yield replace(site.family, renormalise=not site.renormalised, after=False)
    if site.family.factors:
        yield replace(site.family, factors="")


def test_a_wrong_row_is_caught(sites: list[LayerSite]) -> None:
    site = sites[0]
    for row in wrong(site):
        with pytest.raises(ReachlabError, match=f"the weights of {row.router} are not w_i = .*correct the row"):
            verify(replace(site, family=row))


@pytest.mark.parametrize("name", TINY)
def test_the_table_knows_of_shared_experts(name: str) -> None:
    model = built(name)
    shared = any("shared" in module for module, _ in model.named_modules())
    assert {site.family.shared for site in find_layers(model)} == {shared}


def test_every_row_has_a_tiny_model() -> None:
    seen = {type(module).__name__ for name in TINY for module in built(name).modules()}
    assert set(FAMILIES) <= seen
    assert {row.model for row in REFUSED.values()} == set(TINY_REFUSED)


def test_the_table_has_every_family_of_the_installed_transformers() -> None:
    decorated = re.compile(r"^@use_experts_implementation", re.MULTILINE)
    families = {f.parent.name for f in MODELS.glob("*/modeling_*.py") if decorated.search(f.read_text("utf-8"))}
    known = {row.model for row in FAMILIES.values()} | {row.model for row in REFUSED.values()}
    assert not families - known, (
        f"transformers {transformers.__version__} has families that Reachlab does not know: read their routers, then "
        "add a row to FAMILIES (or to REFUSED, with the reason) and a tiny model to tests/moe/tiny.py"
    )


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY_REFUSED)
def test_refused_families_say_why(name: str) -> None:
    (reason,) = {row.reason for row in REFUSED.values() if row.model == name}
    with pytest.raises(ReachlabError, match=f": {name} cannot be densified: {re.escape(reason)}$"):
        find_layers(TINY_REFUSED[name].build())


def test_a_dense_model_is_refused(qwen3: PreTrainedModel) -> None:
    with pytest.raises(ReachlabError, match="no mixture-of-experts layers in Qwen3ForCausalLM"):
        find_layers(qwen3)


def test_a_model_that_learns_no_routing_is_refused() -> None:
    hashed = Tiny("deepseek_v4", "DeepseekV4ForCausalLM", {"mlp_layer_types": ["hash_moe", "hash_moe"]})
    with pytest.raises(ReachlabError, match="no layer of DeepseekV4ForCausalLM learns which experts"):
        find_layers(hashed.build())


def test_an_unknown_router_is_refused_until_it_has_a_row(
    monkeypatch: pytest.MonkeyPatch, olmoe: PreTrainedModel
) -> None:
    row = FAMILIES["OlmoeTopKRouter"]
    monkeypatch.delitem(FAMILIES, "OlmoeTopKRouter")
    with pytest.raises(ReachlabError, match=r"model.layers.0.mlp: .*OlmoeTopKRouter.*add a row.*FAMILIES"):
        find_layers(olmoe)
    monkeypatch.setitem(FAMILIES, "OlmoeTopKRouter", row)
    assert len(find_layers(olmoe)) == 2


def test_a_router_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to transformers 5.20 some families returned (indices, weights, logits), or logits alone; some lacked flags."""
    (site, *_) = find_layers(TINY["granitemoe"].build())
    forward = type(site.router).forward
    for change in (lambda out: out[::-1], lambda out: out[0], lambda out: out[:2]):
        monkeypatch.setattr(type(site.router), "forward", lambda self, x, change=change: change(forward(self, x)))
        with pytest.raises(ReachlabError, match=r"GraniteMoeTopKRouter of transformers .* does not return"):
            verify(site)
    (site,) = find_layers(built("deepseek_v3"))
    for name in ("score", "renormalise", "scale", "factors"):
        row: dict[str, Any] = {name: "such_thing"}
        with pytest.raises(ReachlabError, match="has no such_thing, unlike that of"):
            verify(replace(site, family=replace(site.family, **row)))


# -- which router belongs to which experts -------------------------------------------------------------------------


def test_layers_come_in_the_models_order(olmoe: PreTrainedModel) -> None:
    sites = find_layers(olmoe)
    blocks = [olmoe.get_submodule(site.name) for site in sites]
    assert [site.name for site in sites] == ["model.layers.0.mlp", "model.layers.1.mlp"]
    assert all(b.gate is s.router and b.experts is s.experts for b, s in zip(blocks, sites, strict=True))
    assert all(has_seam(site.experts) for site in sites)


def test_a_lone_block_is_a_model_too(olmoe: PreTrainedModel) -> None:
    (site,) = find_layers(olmoe.get_submodule("model.layers.0.mlp"))
    assert site.name == ""


def test_a_subclass_has_its_parents_row() -> None:
    """FSDP2 gives every module it shards a class of its own, derived from the module's."""
    model = TINY["olmoe"].build()
    for site in find_layers(model):
        site.router.__class__ = type("FSDPOlmoeTopKRouter", (type(site.router),), {})
    assert {site.family.router for site in find_layers(model)} == {"OlmoeTopKRouter"}


def test_two_experts_modules_with_one_router_are_refused() -> None:
    block = TINY["olmoe"].build().get_submodule("model.layers.0.mlp")
    block.more = block.experts.__class__(block.experts.config)
    with pytest.raises(ReachlabError, match="OlmoeTopKRouter"):
        find_layers(block)


def test_adapters_do_not_hide_a_layer() -> None:
    peft = pytest.importorskip("peft")
    plain = TINY["olmoe"].build()
    experts = [site.experts for site in find_layers(plain)]
    settings = peft.LoraConfig(
        target_modules=["q_proj"], target_parameters=["experts.gate_up_proj"], modules_to_save=["gate"]
    )
    sites = find_layers(peft.get_peft_model(plain, settings))
    assert [site.experts for site in sites] == experts
    assert all(p.requires_grad for site in sites for p in site.router.parameters())  # the copy that is trained
    for site in sites:
        verify(site)


# -- verify leaves no trace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_verify_leaves_everything_as_it_found_it(training: bool) -> None:
    model = TINY["deepseek_v3"].build().train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (site,) = find_layers(model)
    called: list[object] = []
    site.router.register_forward_hook(lambda *_: called.append(1))
    state = torch.get_rng_state()
    verify(site)
    assert torch.get_rng_state().equal(state)
    assert site.router.training is training
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in site.router.parameters())
    assert not called


def test_verify_sees_through_a_router_that_is_all_zero() -> None:
    (site, *_) = find_layers(TINY["qwen3_moe"].build())
    nn.init.zeros_(next(site.router.parameters()))
    verify(site)
    for row in wrong(site):
        with pytest.raises(ReachlabError):
            verify(replace(site, family=row))


# -- what else is known of a row -----------------------------------------------------------------------------------


def grouped(name: str) -> Tiny:
    """The family with its experts in two groups, of which a token sees one."""
    return replace(TINY[name], extra={**TINY[name].extra, "n_group": 2, "topk_group": 1})


def test_who_takes_the_largest_scores() -> None:
    plain = {name for name in TINY if all(selects_top_k(site) for site in find_layers(built(name)))}
    assert {"olmoe", "mixtral", "gpt_oss", "gemma4", "jamba", "mistral4"} < plain
    # A bias has a say, or groups have.
    assert not plain & {"deepseek_v3", "ernie4_5_moe", "minimax_m2", "laguna", "afmoe", "lfm2_moe"}
    assert not any(map(selects_top_k, find_layers(grouped("mistral4").build())))


@pytest.mark.parametrize(
    ("name", "count"), [("olmoe", "num_experts"), ("aria", "moe_num_experts"), ("mistral4", "n_routed_experts")]
)
def test_ties_in_bfloat16_do_not_hide_a_top_k(name: str, count: str) -> None:
    model = replace(TINY[name], extra={**TINY[name].extra, count: 256}).build().bfloat16()
    assert all(map(selects_top_k, find_layers(model)))


@pytest.mark.parametrize("name", ["deepseek_v3", "mistral4", "solar_open"])
def test_groups_of_experts_do_not_change_the_formula(name: str) -> None:
    for site in find_layers(grouped(name).build()):
        verify(site)


def test_formulas_read_well() -> None:
    line: Callable[[str], str] = lambda router: FAMILIES[router].formula  # noqa: E731
    assert line("JambaTopKRouter") == "w_i = s_i with s = softmax(logits)"
    assert line("GptOssTopKRouter") == "w_i = s_i with s = softmax(logits of A)"
    assert line("Gemma4TextRouter") == "w_i = per_expert_scale_i · s_i / Σ_A s with s = probabilities(logits)"
    assert line("DeepseekV3TopkRouter") == (
        "w_i = routed_scaling_factor · s_i [/ Σ_A s if norm_topk_prob] with s = sigmoid(logits)"
    )
