"""densify where it is hard: padding, accumulation, recomputation, compilation, adapters, copies, damaged batches."""

import math
import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.moe.brute import calls, gradients, loss, moved, vectors
from tests.moe.tiny import TINY, inputs
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, restore, save, undensify
from reachlab.training.muon import Muon

UPDATES = pytest.mark.parametrize("update", ["before_use", "per_step"])
FORWARDS = pytest.mark.parametrize("forward", ["sparse", "default"])


def build(name: str = "olmoe", **options: Any) -> PreTrainedModel:
    model = TINY[name].build().train()
    densify(model, "default", **options)
    return model


def still(model: nn.Module) -> torch.optim.Optimizer:
    """Its steps leave the parameters as they are."""
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)


def close(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def same_gradients(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        worst = tolerance * float(other[name].abs().max())
        torch.testing.assert_close(gradient, other[name], rtol=tolerance, atol=worst, msg=name)


def backward(value: Tensor) -> None:
    value.backward()  # type: ignore[no-untyped-call]


# -- padding ----------------------------------------------------------------------------------------------------------


@UPDATES
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("positional", [False, True])
def test_padding_is_not_heard(side: str, positional: bool, update: str) -> None:
    rows = [torch.randint(3, 64, (n,), generator=torch.Generator().manual_seed(n)) for n in (7, 12, 3)]
    ids_BT, mask_BT = torch.zeros(3, 12, dtype=torch.int64), torch.zeros(3, 12, dtype=torch.int64)
    for b, row in enumerate(rows):
        where = slice(12 - len(row), 12) if side == "left" else slice(len(row))
        ids_BT[b, where], mask_BT[b, where] = row, 1
    # A rotary model's answers depend on distances alone.
    alone, padded = build(update="per_step"), build(update=update)
    for row in rows:
        alone(input_ids=row[None])
    still(alone).step()
    padded(ids_BT, mask_BT) if positional else padded(input_ids=ids_BT, attention_mask=mask_BT)
    still(padded).step()
    close(vectors(padded), vectors(alone))
    deaf = build(update=update)
    deaf(input_ids=ids_BT)
    still(deaf).step()
    assert not any(torch.allclose(a, b, rtol=1e-2) for a, b in zip(vectors(deaf), vectors(alone), strict=True))


# -- accumulation -----------------------------------------------------------------------------------------------------


def test_pieces_of_a_batch_are_the_batch() -> None:
    whole, pieces = build(update="per_step"), build(update="per_step")
    ids_BT = torch.randint(3, 64, (6, 9), generator=torch.Generator().manual_seed(0))
    backward(loss(whole, input_ids=ids_BT))
    for part in (ids_BT[:1], ids_BT[1:4], ids_BT[4:]):
        backward(loss(pieces, input_ids=part))
        assert not any(v.any() for v in vectors(pieces)), "Ê moved before the step"
    for model in (whole, pieces):
        still(model).step()
    close(vectors(pieces), vectors(whole))


def test_several_optimizers_of_one_step_commit_once() -> None:
    one, two = build(update="per_step", beta=0.5), build(update="per_step", beta=0.5)
    matrices = [p for name, p in two.named_parameters() if p.ndim == 2 and "layers" in name]
    chosen = {id(p) for p in matrices}
    rest = [p for p in two.parameters() if id(p) not in chosen]
    optimizers = [Muon(matrices, lr=0.0), torch.optim.AdamW(rest, lr=0.0, weight_decay=0.0)]
    for seed in range(2):
        for model in (one, two):
            backward(loss(model, **inputs(model, seed=seed)))
        still(one).step()
        for optimizer in optimizers:
            optimizer.step()
    close(vectors(two), vectors(one))
    ages = [int(layer.method.state()["routed.age"].max()) for layer in _of(two).layers]
    assert max(ages) <= 2


def _of(model: nn.Module) -> Any:
    found = densified(model)
    assert found is not None
    return found


def test_an_optimizer_of_another_model_does_not_commit() -> None:
    model, other = build(update="per_step"), build(update="per_step")
    backward(loss(model, **inputs(model)))
    still(other).step()
    still(nn.Linear(2, 2)).step()
    assert not any(v.any() for v in vectors(model))
    still(model).step()
    assert all(v.any() for v in vectors(model))


def test_a_closure_sees_one_function_during_a_step() -> None:
    model = build(update="per_step", forward="default")
    router = next(p for name, p in model.named_parameters() if name.endswith("gate.weight"))
    optimizer, seen = torch.optim.LBFGS([router], lr=0.1, max_iter=4), list[list[Tensor]]()

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = loss(model, **inputs(model))
        backward(found)
        seen.append(vectors(model))
        return found

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    first = len(seen)
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert first > 1
    assert not any(v.any() for held in seen[:first] for v in held), "all of the first step knew of nothing"
    for held in seen[first:]:
        for a, b in zip(held, seen[first], strict=True):
            assert b.any()
            assert torch.equal(a, b)


# -- recomputation ----------------------------------------------------------------------------------------------------


@UPDATES
@FORWARDS
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("implementation", ["grouped_mm", "eager"])
def test_recomputation_counts_once(implementation: str, reentrant: bool, forward: str, update: str) -> None:
    plain, again = (build(forward=forward, update=update, beta=0.5) for _ in range(2))
    again.gradient_checkpointing_enable({"use_reentrant": reentrant})
    # Reentrant recomputation needs an input with a gradient.
    again.enable_input_require_grads()
    mask_BT = torch.ones(2, 12, dtype=torch.int64)
    mask_BT[0, :5] = 0
    for model in (plain, again):
        model.set_experts_implementation(implementation)
        optimizer = still(model)
        for seed in (1, 2):
            model.zero_grad()
            backward(loss(model, **inputs(model, seed=seed), attention_mask=mask_BT))
            optimizer.step()
    close(vectors(again), vectors(plain))
    same_gradients(gradients(again), gradients(plain))


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_counts_once_whatever_happens_in_between(reentrant: bool) -> None:
    """Two forward passes before one backward pass, and a look at the model in evaluation."""
    plain, again = (build(update="per_step") for _ in range(2))
    again.gradient_checkpointing_enable({"use_reentrant": reentrant})
    again.enable_input_require_grads()
    for model in (plain, again):
        total = loss(model, **inputs(model, seed=1)) + loss(model, **inputs(model, seed=2))
        with torch.no_grad():
            model.eval()(**inputs(model, seed=3))
        model.train()
        backward(total)
        still(model).step()
    close(vectors(again), vectors(plain))
    same_gradients(gradients(again), gradients(plain))


# -- what does not count ----------------------------------------------------------------------------------------------


@UPDATES
def test_evaluation_and_passes_without_gradient_do_not_count(update: str) -> None:
    model = build(update=update)
    model.eval()(**inputs(model))
    with torch.no_grad():
        model.train()(**inputs(model))
    still(model).step()
    assert not any(v.any() for v in vectors(model))
    assert all(int(layer.method.state()["routed.age"].max()) == 0 for layer in _of(model).layers)


# -- precision --------------------------------------------------------------------------------------------------------


@FORWARDS
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm", "eager"])
def test_autocast(implementation: str, forward: str) -> None:
    """Finite gradients near those of float32, Ê in float32; forward="sparse" leaves autocast's own logits."""
    plain, (cast, exact) = TINY["olmoe"].build().train(), (build(forward=forward, beta=0.0) for _ in range(2))
    for model in (plain, cast, exact):
        model.set_experts_implementation(implementation)
    given = inputs(plain)
    with torch.autocast("cpu", torch.bfloat16):
        if forward == "sparse":
            assert torch.equal(plain(**given).logits, cast(**given).logits)
        with calls(cast) as seen:
            found = loss(cast, **given)
    backward(found)
    for held, call in zip(vectors(cast), seen, strict=True):
        assert held.dtype == torch.float32
        torch.testing.assert_close(held.double(), moved(torch.zeros(6, 32), [call], 0.0), rtol=0.05, atol=0.02)
    backward(loss(exact, **given))
    for name, gradient in gradients(cast).items():
        assert gradient.isfinite().all()
        if name.endswith("gate.weight"):
            assert float(torch.cosine_similarity(gradient.flatten(), gradients(exact)[name].flatten(), 0)) > 0.8


# -- damage -----------------------------------------------------------------------------------------------------------


@UPDATES
def test_a_batch_that_is_not_finite(update: str) -> None:
    model = build(update=update)
    optimizer = still(model)
    backward(loss(model, **inputs(model, seed=1)))
    optimizer.step()
    before, step = vectors(model), inputs(model)
    embedded_BTD = model.get_input_embeddings()(step["input_ids"]).detach()
    embedded_BTD[0, 3] = torch.nan
    backward(model(inputs_embeds=embedded_BTD).logits.sum())
    with pytest.raises(ReachlabError, match=r"layers\.0\.mlp \(and 1 more\): experts' outputs were not finite"):
        optimizer.step()
    now = vectors(model)
    for held, old in zip(now, before, strict=True):
        assert held.isfinite().all()
        assert (held == old).all(1).any(), "the experts that a damaged token visited keep what they had"
    # Told once, it is forgotten, and training goes on.
    model.zero_grad()
    with calls(model) as seen:
        backward(loss(model, **inputs(model, seed=2)))
    optimizer.step()
    close(vectors(model), [moved(v, [c], 0.9).float() for v, c in zip(now, seen, strict=True)])


# -- adapters ---------------------------------------------------------------------------------------------------------

ADAPTERS: dict[str, Callable[[], LoraConfig]] = {
    "attention": lambda: LoraConfig(target_modules=["q_proj", "v_proj"], r=4),
    "experts": lambda: LoraConfig(target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"], r=4),
    "router": lambda: LoraConfig(target_modules=["q_proj"], target_parameters=["mlp.gate.weight"], r=4),
}


@pytest.mark.parametrize("first", ["densify", "peft"])
@pytest.mark.parametrize("where", ADAPTERS)
@pytest.mark.filterwarnings("ignore")
def test_adapters(where: str, first: str, tmp_path: Path) -> None:
    base = TINY["olmoe"].build()
    given = inputs(base)
    before = base.eval()(**given).logits
    if first == "densify":
        densify(base, "default", update="per_step", beta=0.0)
        model: Any = get_peft_model(base, ADAPTERS[where]())
    else:
        model = get_peft_model(base, ADAPTERS[where]())
        densify(model, "default", update="per_step", beta=0.0)
    model.train()
    assert torch.equal(model(**given).logits, before)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora" in name for name in trained)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2)
    optimizer.step()  # forgets the pass above
    for seed in range(2):
        with calls(model) as seen:
            backward(loss(model, **inputs(base, seed=seed)))
        expected = [moved(torch.zeros(6, 32), [call], 0.0) for call in seen]
        optimizer.step()
        for held, wanted in zip(vectors(model), expected, strict=True):
            torch.testing.assert_close(held.double(), wanted, rtol=1e-3, atol=1e-5)
    assert all(p.grad is not None for p in trained.values())
    assert densified(base) is densified(model)
    # The state is that of the base model, by the base model's names.
    save(model, tmp_path)
    plain = TINY["olmoe"].build()
    restore(plain, tmp_path)
    for held, wanted in zip(vectors(plain), vectors(model), strict=True):
        assert torch.equal(held, wanted)
    undensify(model)
    assert densified(base) is None


# -- copies -----------------------------------------------------------------------------------------------------------


def pickled(model: PreTrainedModel) -> Any:
    return pickle.loads(pickle.dumps(model))


def torch_saved(model: PreTrainedModel) -> Any:
    file = BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@UPDATES
@pytest.mark.parametrize("copy", [deepcopy, pickled, torch_saved])
def test_a_copy_goes_its_own_way(copy: Callable[[PreTrainedModel], Any], update: str) -> None:
    model = build(update=update, forward="default")
    backward(loss(model, **inputs(model, seed=0)))
    still(model).step()
    model.zero_grad()
    twin, before = copy(model), vectors(model)
    for a, b in zip(vectors(twin), before, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(twin(**inputs(model)).logits, model(**inputs(model)).logits)
    before = vectors(model)
    backward(loss(twin, **inputs(model, seed=3)))
    still(twin).step()
    for a, b, old in zip(vectors(twin), vectors(model), before, strict=True):
        assert torch.equal(b, old), "the original's Ê moved"
        assert not torch.equal(a, old), "the copy's Ê did not"
    assert not any(p.grad is not None for p in model.parameters())
    # Either may be undone first; the other stays.
    for gone, left in ((twin, model), (model, None)):
        undensify(gone)
        assert densified(gone) is None
        assert left is None or densified(left) is not None


def traces(model: nn.Module) -> dict[str, Any]:
    """Everything that densify might leave behind."""
    return {
        name: (
            sorted(vars(module)),
            [len(h) for h in vars(module).values() if isinstance(h, dict)],
            getattr(module, "has_post_expert_norm", None),
        )
        for name, module in model.named_modules()
    }


def test_undensify_leaves_no_trace_in_any_order() -> None:
    model = TINY["olmoe"].build()
    before = traces(model)
    for first in ("original", "copy"):
        densify(model, "default", forward="default")
        twin = deepcopy(model)
        pair = (model, twin) if first == "original" else (twin, model)
        for one in pair:
            undensify(one)
            assert traces(one) == before
    hook = model.model.layers[0].mlp.experts.register_forward_hook(lambda *_: None)
    densify(model, "default")
    hook.remove()
    undensify(model)
    assert traces(model) == before


# -- compilation ------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_compiler")
@FORWARDS
@UPDATES
def test_compiled_it_is_the_same_in_one_graph(forward: str, update: str) -> None:
    """No graph break, and no compilation after the first step."""
    eager, model = (build(forward=forward, update=update) for _ in range(2))
    graphs: list[Any] = []

    def count(graph: Any, given: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.backends.debugging.aot_eager(graph, given)

    compiled = torch.compile(model, backend=count, fullgraph=True)
    optimizers = [still(eager), still(model)]
    for seed in range(4):
        for each, optimizer in zip((eager, model), optimizers, strict=True):
            each.zero_grad()
            run: Any = compiled if each is model else each
            value = loss(run, **inputs(eager, seed=seed))
            backward(value)
            optimizer.step()
            assert math.isfinite(value)
        same_gradients(gradients(model), gradients(eager), 1e-3)
        for a, b in zip(vectors(model), vectors(eager), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
        if seed == 1:
            compiled_so_far = len(graphs)
    assert len(graphs) == compiled_so_far, "it was compiled again"
    assert all(v.any() for v in vectors(model))
