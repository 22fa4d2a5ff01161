"""densify on a tiny model of every family that has the seam: the function unchanged, the gradient as in the formula."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.moe.tiny import answer, inputs, tiny_models
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.moe import densified, densify, restore, save, undensify
from reachlab.moe.layer import HookedLayer
from reachlab.moe.scores import score
from reachlab.moe.signals import Routing

MODELS = tiny_models()
every_family = pytest.mark.parametrize("name", MODELS)


def make(name: str) -> PreTrainedModel:
    model = MODELS[name]()
    return model.train()


def run(model: PreTrainedModel) -> Tensor:
    torch.manual_seed(0)  # some drop out
    return answer(model, **inputs(model))


@every_family
def test_the_function_is_the_models_own_bit_for_bit(name: str) -> None:
    model = make(name)
    before = run(model)
    densify(model, "default")
    trained = run(model)
    trained.square().mean().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(trained, before)
    assert torch.equal(run(model.eval()), run(_plain(model)))


def _plain(model: PreTrainedModel) -> PreTrainedModel:
    undensify(model)
    return model


@every_family
def test_inactive_experts_have_the_gradient_of_the_formula(name: str) -> None:
    """By finite differences in the logits, at the gradient that reaches the layer's output."""
    if name == "inkling":
        pytest.skip("its router weighs the shared experts too, which adds to the gradient")
    model = make(name)
    found = densify(model, "default")
    seen: dict[str, tuple[HookedLayer, Routing, Tensor, Tensor]] = {}
    gradients: dict[str, Tensor] = {}
    for layer in found.layers:
        layer.listeners.append(_remember(layer, seen, gradients))
    out = run(model)
    torch.manual_seed(1)
    (out * torch.randn_like(out)).sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
    assert seen
    for layer in found.layers:
        if layer.name not in seen:
            continue  # only images visit it
        _, routing, x_TD, logits = seen[layer.name]
        T, E = routing.pi_TE.shape
        with torch.no_grad():
            # What every expert would answer: its own where it is active, its default vector where it is not.
            answers_TED = layer.method.stand.vectors().expand(T, E, -1).clone()  # type: ignore[attr-defined]
            K = routing.indices_TK.shape[1]
            own_SD = layer.visit(x_TD.repeat_interleave(K, 0), routing.indices_TK.reshape(-1))
            answers_TED[torch.arange(T).repeat_interleave(K), routing.indices_TK.reshape(-1)] = own_SD
            worth_TE = torch.einsum("td,ted->te", gradients[layer.name], answers_TED).double()
            assert (worth_TE.gather(1, routing.indices_TK) != 0).any()
            # Σ_t ⟨g, Σ_i C p_i(l) e_i⟩ as a function of the logits l alone, differentiated by central differences.
            base_TE = logits.detach().double()
            scale_T1 = _constant(layer, routing, base_TE)
            step = 1e-5
            numeric_TE = torch.zeros_like(base_TE)
            for e in range(E):
                for sign in (1, -1):
                    moved_TE = base_TE.clone()
                    moved_TE[:, e] += sign * step
                    value_T = (scale_T1 * _shares(layer, moved_TE) * worth_TE).sum(1)
                    numeric_TE[:, e] += sign * value_T / (2 * step)
        weight = next(p for p in layer.router.parameters() if p.ndim == 2)
        expected = torch.autograd.grad(logits, weight, numeric_TE.to(logits.dtype).view_as(logits), retain_graph=True)
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, expected[0], rtol=2e-3, atol=2e-4 * float(expected[0].abs().max()))
        idle_TE = torch.ones_like(numeric_TE, dtype=torch.bool).scatter_(1, routing.indices_TK, False)
        learns_E = (numeric_TE.where(idle_TE, 0.0) != 0).any(0)
        heard_E = layer.method.stand.vectors().any(1)  # type: ignore[attr-defined]
        assert learns_E[idle_TE.any(0) & heard_E].all(), "an expert learns from tokens that did not visit it"


def _remember(
    layer: HookedLayer, seen: dict[str, tuple[HookedLayer, Routing, Tensor, Tensor]], gradients: dict[str, Tensor]
) -> Callable[[Routing], None]:
    def listen(routing: Routing) -> None:
        def on_experts(module: object, args: tuple[Tensor, ...], output: Tensor) -> None:
            if layer.visiting:
                return
            seen[layer.name] = (layer, routing, args[0].detach().reshape(-1, args[0].shape[-1]), routing.logits_TE)
            output.register_hook(  # type: ignore[no-untyped-call]
                lambda g: gradients.setdefault(layer.name, g.detach().reshape(-1, g.shape[-1]).clone())
            )
            handle.remove()

        handle = layer.experts.register_forward_hook(on_experts)

    return listen


def _shares(layer: HookedLayer, logits_TE: Tensor) -> Tensor:
    """p: the scores, times the experts' factors; over all experts' sum where the family renormalises."""
    scores_TE = score(logits_TE, layer.site.score)
    total: Tensor | float = 1.0
    if layer.site.renormalised and layer.site.score not in ("softmax", "probabilities"):
        total = scores_TE.sum(1, keepdim=True)
    factors = layer.site.factors
    return scores_TE * (factors.detach().double() if isinstance(factors, Tensor) else factors) / total


def _constant(layer: HookedLayer, routing: Routing, logits_TE: Tensor) -> Tensor:
    """C: what brings the active experts' shares to the router's weights."""
    taken_T1 = _shares(layer, logits_TE).gather(1, routing.indices_TK).sum(1, keepdim=True)
    return routing.weights_TK.detach().double().sum(1, keepdim=True) / taken_T1


@every_family
def test_a_saved_model_gives_the_same_logits(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(name)
    densify(model, "default", estimator="linear", share=0.5)
    run(model).square().mean().backward()  # type: ignore[no-untyped-call]
    found = densified(model)
    assert found is not None
    found.commit()
    model.save_pretrained(tmp_path)
    save(model, tmp_path)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    with caplog.at_level(logging.WARNING, "transformers"):
        plain, told = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not told["unexpected_keys"]
    assert not [r for r in caplog.records if "nexpected" in r.message or "routers" in r.message]
    # To rounding: where a loaded tensor lies in memory decides which kernel multiplies it.
    logits = run(plain.eval())
    torch.testing.assert_close(logits, run(model.eval()), rtol=1e-5, atol=1e-5)
    again = restore(plain, tmp_path)
    assert torch.equal(run(plain), logits)
    for key, tensor in found.state().items():
        assert torch.equal(again.state()[key], tensor), key
