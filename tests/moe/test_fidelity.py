from typing import Any

import pytest
import torch
from tests.moe.tiny import TINY, inputs
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, undensify
from reachlab.moe.fidelity import CANDIDATES, Batch, Fidelity, compare, fidelity, mean_nats

FAMILIES = ["olmoe", "mixtral", "deepseek_v3", "gpt_oss"]


def batches(model: PreTrainedModel, n: int = 2, seed: int = 0) -> list[Batch]:
    return [inputs(model, seed=seed + at) for at in range(n)]


def some_vectors() -> dict[str, Tensor]:
    """A state for the paper's estimator."""
    vectors_ED = torch.randn(6, 32, generator=torch.Generator().manual_seed(1))
    return {"routed.vectors": vectors_ED, "routed.age": torch.zeros(6, dtype=torch.int64)}


def numbers(found: list[Fidelity]) -> list[tuple[float, float]]:
    return [(one.cosine, one.ratio) for one in found]


@pytest.mark.parametrize("family", FAMILIES)
def test_all_experts_on_is_the_dense_gradient(family: str) -> None:
    model = TINY[family].build()
    densify(model, "densemixer")
    for one in fidelity(model, batches(model)):
        assert one.cosine == pytest.approx(1, abs=1e-5)
        assert one.ratio == pytest.approx(1, abs=1e-4)


def test_where_all_experts_are_active_top_k_is_dense() -> None:
    tiny = TINY["olmoe"]
    model = type(tiny)(tiny.folder, tiny.model, {"num_experts_per_tok": 6}).build()
    assert numbers(fidelity(model, batches(model))) == [pytest.approx((1, 1), abs=1e-5)] * 2


@pytest.mark.parametrize("forward", ["sparse", "default"])
def test_both_gradients_against_finite_differences(forward: str) -> None:
    """Of the last layer, whose output nothing but the head follows: L as a function of W through π alone."""
    model = TINY["olmoe"].build().double()
    model.set_experts_implementation("batched_mm")
    found = densify(model, "default", forward=forward)
    layer, block = found.layers[-1], model.model.layers[-1].mlp
    layer.method.load(some_vectors())
    batch = inputs(model, tokens=6)
    expected = fidelity(model, [batch])[-1]

    weight: Tensor = block.gate.weight
    seen: dict[str, Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _, args, y: seen.update(x=args[0].reshape(-1, 32), y=y.reshape(-1, 32))),
        block.gate.register_forward_hook(lambda _, args, output: seen.update(indices=output[2])),
    ]
    with torch.no_grad():
        mean_nats(model, batch)
        for handle in handles:
            handle.remove()
        x_TD, y_TD, indices_TK = seen["x"], seen["y"].clone(), seen["indices"]
        vectors_ED = layer.method.state()["routed.vectors"]
        true_TED = torch.stack([layer.visit(x_TD, torch.full((len(x_TD),), i)) for i in range(6)], 1)
        active_TE1 = torch.zeros(len(x_TD), 6).scatter_(1, indices_TK, 1).bool()[:, :, None]
        used_TED = true_TED.where(active_TE1, vectors_ED.double())
        pi_TE = (x_TD @ weight.T).softmax(1)

        def loss(answers_TED: Tensor) -> Tensor:
            """With y moved as far as π has, each expert giving the answers of the argument."""
            moved_TE = (x_TD @ weight.T).softmax(1) - pi_TE
            held = y_TD + (moved_TE[:, :, None] * answers_TED).sum(1)
            handle = block.register_forward_hook(lambda _, args, y: held.view_as(y))
            value = mean_nats(model, batch)
            handle.remove()
            return value

        gradients = []
        for answers_TED in (used_TED, true_TED):
            slopes = torch.zeros_like(weight).flatten()
            for at in range(weight.numel()):
                ends = []
                for step in (1e-3, -1e-3):
                    weight.view(-1)[at] += step
                    ends.append(loss(answers_TED))
                    weight.view(-1)[at] -= step
                slopes[at] = (ends[0] - ends[1]) / 2e-3
            gradients.append(slopes)
    assert expected.cosine == pytest.approx(torch.cosine_similarity(gradients[0], gradients[1], dim=0).item(), abs=1e-4)
    assert expected.ratio == pytest.approx((gradients[0].norm() / gradients[1].norm()).item(), rel=1e-3)
    assert expected.cosine < 0.99


@pytest.mark.parametrize("method", ["topk", "default", "lossfree", "sparsemixer"])
def test_measuring_leaves_everything_as_it_was(method: str) -> None:
    model = TINY["olmoe"].build()
    found = densify(model, method)
    model.train()
    model.model.layers[0].eval()
    model(**inputs(model, seed=9)).logits.sum().backward()
    found.commit()
    next(model.parameters()).grad = None
    before = {
        "grad": {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()},
        "state": {n: t.clone() for n, t in found.state().items()},
        "modes": [m.training for m in model.modules()],
        "asks": [p.requires_grad for p in model.parameters()],
        "random": torch.get_rng_state(),
        "weights": {n: t.clone() for n, t in model.state_dict().items()},
    }
    fidelity(model, batches(model))
    compare(model, batches(model), warm_up=batches(model))
    after = {
        "grad": {n: p.grad for n, p in model.named_parameters()},
        "state": found.state(),
        "modes": [m.training for m in model.modules()],
        "asks": [p.requires_grad for p in model.parameters()],
        "random": torch.get_rng_state(),
        "weights": model.state_dict(),
    }
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert densified(model) is found
    assert not found.pulse.frozen
    assert all(not layer.listeners for layer in found.layers)


def test_a_plain_model_stays_plain() -> None:
    model = TINY["olmoe"].build()
    found = compare(model, batches(model), candidates={"topk": ("topk", {})})
    assert list(found) == ["topk"]
    assert numbers(found["topk"]) == numbers(fidelity(model, batches(model)))
    assert densified(model) is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_frozen_routers_are_measured_too() -> None:
    model = TINY["olmoe"].build()
    expected = fidelity(model, batches(model))
    model.requires_grad_(False)
    assert numbers(fidelity(model, batches(model))) == [pytest.approx(e, rel=1e-5) for e in numbers(expected)]
    assert not any(p.requires_grad for p in model.parameters())


def test_candidates_start_as_top_k_and_warm_up() -> None:
    model = TINY["mixtral"].build()
    cold = compare(model, batches(model))
    warm = compare(model, batches(model), warm_up=batches(model, 4, seed=50))
    assert list(cold) == list(CANDIDATES)
    assert numbers(cold["topk"]) == numbers(warm["topk"])
    for name in CANDIDATES:
        assert (numbers(cold[name]) == numbers(warm[name])) == (name == "topk")


def test_all_are_measured_at_the_values_of_the_model() -> None:
    model = TINY["olmoe"].build()
    found = densify(model, "default", forward="default")
    for layer in found.layers:
        layer.method.load(some_vectors())
    values: list[float] = []

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        value = mean_nats(model, batch)
        values.append(value.item())
        return value

    others: dict[str, Any] = {
        **CANDIDATES,
        "densemixer": ("densemixer", {}),
        "fresh": ("default", {"forward": "default"}),
    }
    measured = compare(model, batches(model, 1), warm_up=batches(model, 1, seed=7), candidates=others, loss=loss)
    with torch.no_grad():
        own = [mean_nats(model, b).item() for b in (*batches(model, 1, seed=7), *batches(model, 1))]
    stateless = ("topk", "densemixer")
    assert values[: len(others) - 1] == pytest.approx([own[0]] * (1 + len(others) - len(stateless)), abs=1e-6)
    assert values[len(others) - 1 :] == pytest.approx([own[1]] * (2 + len(others)), abs=1e-6)
    assert list(measured) == ["in use", *others]
    assert numbers(measured["in use"]) == [
        pytest.approx(n, rel=1e-4) for n in numbers(fidelity(model, batches(model, 1)))
    ]
    assert [one.cosine for one in measured["densemixer"]] == pytest.approx([1, 1], abs=1e-5)
    undensify(model)
    with torch.no_grad():
        assert mean_nats(model, batches(model, 1)[0]).item() != pytest.approx(own[1], abs=1e-3)


def test_padding_has_no_loss() -> None:
    model = TINY["olmoe"].build()
    batch = {**inputs(model), "attention_mask": torch.ones(2, 12, dtype=torch.int64)}
    assert mean_nats(model, batch).item() == pytest.approx(mean_nats(model, inputs(model)).item())
    batch["attention_mask"][:, 8:] = 0
    short = {"input_ids": batch["input_ids"][:, :8]}
    assert mean_nats(model, batch).item() == pytest.approx(mean_nats(model, short).item(), rel=1e-5)


def test_errors(qwen3: PreTrainedModel) -> None:
    model = TINY["olmoe"].build()
    with pytest.raises(ReachlabError, match="at least one batch"):
        fidelity(model, [])
    with pytest.raises(ReachlabError, match="choose one of"):
        compare(model, batches(model), candidates={"x": ("none", {})})
    with pytest.raises(ReachlabError, match="no mixture-of-experts"):
        fidelity(qwen3, batches(model))
    assert densified(model) is None
    assert not any(m._forward_hooks for m in model.modules())
