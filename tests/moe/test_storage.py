"""The file beside a checkpoint."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.moe.brute import loss, vectors
from tests.moe.tiny import TINY, inputs
from tests.tiny import tiny_tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.engines.vllm import VllmEngine
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.moe import densified, densify, restore, save, saved
from reachlab.moe.files import FILE, FORMER
from reachlab.moe.storage import changes_the_function


def trained(**options: Any) -> PreTrainedModel:
    model = TINY["olmoe"].build().train()
    densify(model, "default", **options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for seed in range(2):
        loss(model, **inputs(model, seed=seed)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def answer(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(**inputs(model, seed=9)).logits
    return logits


@pytest.mark.parametrize("forward", ["sparse", "default"])
def test_it_comes_back_and_stock_transformers_does_not_see_it(
    forward: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(forward=forward, beta=0.5)
    logits = answer(model)
    model.save_pretrained(tmp_path)
    assert save(model, tmp_path) == tmp_path / FILE
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    with caplog.at_level(logging.WARNING, "transformers"):
        stock, told = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert caplog.records == []
    assert not any(told.values())
    torch.testing.assert_close(answer(stock), logits, rtol=1e-5, atol=1e-5) if forward == "sparse" else None
    assert (answer(stock) - logits).abs().max() > 1e-3 or forward == "sparse"
    found = restore(stock, tmp_path)
    assert (found.method, found.options) == ("default", {"forward": forward, "beta": 0.5})
    torch.testing.assert_close(answer(stock), logits, rtol=1e-5, atol=1e-5)
    for one, other in zip(vectors(stock), vectors(model), strict=True):
        assert one.any()
        assert torch.equal(one, other)
    assert saved(tmp_path) == ("default", {"forward": forward, "beta": 0.5})
    (tmp_path / FILE).unlink()
    assert saved(tmp_path) is None


def test_a_densified_model_keeps_its_options_and_takes_the_state_over(tmp_path: Path) -> None:
    model, other = trained(), TINY["olmoe"].build()
    save(model, tmp_path)
    densify(other, "default", update="per_step")
    found = restore(other, tmp_path)
    assert found.options == {"update": "per_step"}
    for one, two in zip(vectors(other), vectors(model), strict=True):
        assert torch.equal(one, two)


def test_the_former_name_is_read_and_both_are_refused(tmp_path: Path) -> None:
    """Under either name the state is a part of what a model is known by."""
    model = trained(forward="default")
    save_model(tmp_path, model, tiny_tokenizer())
    new = hash_model(tmp_path)
    former = {"method": "default", "options": json.dumps({"forward": "default"})}
    save_file(load_file(tmp_path / FILE), tmp_path / FORMER, metadata=former)
    (tmp_path / FILE).unlink()
    old = hash_model(tmp_path)
    fresh = TINY["olmoe"].build()
    restore(fresh, tmp_path)
    assert saved(tmp_path) == ("default", {"forward": "default"})
    assert changes_the_function(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(vectors(fresh), vectors(model), strict=True))
    (tmp_path / FILE).write_bytes((tmp_path / FORMER).read_bytes())
    for reading in (saved, changes_the_function, lambda folder: restore(TINY["olmoe"].build(), folder)):
        with pytest.raises(ReachlabError, match=r"holds routers\.state and routers\.safetensors: keep one"):
            reading(tmp_path)
    (tmp_path / FORMER).rename(tmp_path / FILE)
    assert saved(tmp_path) == ("default", {"forward": "default"})
    save(model, tmp_path)
    assert hash_model(tmp_path) == new
    (tmp_path / FILE).unlink()
    assert len({new, old, hash_model(tmp_path)}) == 3


def change(folder: Path, how: str) -> None:
    """Damage the saved state."""
    path = folder / FILE
    said: dict[str, Any] = {"method": "default", "options": {}}
    state = {} if how == "gone" else load_file(path)
    name = "model.layers.0.mlp:routed.vectors"
    if how == "gone":
        path.unlink()
        return
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-40])
        return
    if how == "text":
        path.write_text("not tensors")
        return
    if how == "experts":
        state[name] = torch.zeros(7, 32)
    if how == "width":
        state[name] = torch.zeros(6, 33)
    if how == "layer":
        del state[name]
    if how == "options":
        said["options"] = [1]
    if how == "method":
        said["method"] = "magic"
    save_file(state, path, metadata=None if how == "bare" else {"densified": json.dumps(said)})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gone", f"no {FILE} here"),
        ("cut", "not a densified model's router state"),
        ("text", "not a densified model's router state"),
        ("options", "not a densified model's router state"),
        ("bare", "not a densified model's router state"),
        ("method", "method 'magic': choose one of"),
        ("experts", r"has the shape \(7, 32\), this model's \(6, 32\): it is of a model with other experts"),
        ("width", r"has the shape \(6, 33\), this model's \(6, 32\)"),
        ("layer", r"the saved router state lacks model\.layers\.0\.mlp:routed\.vectors"),
    ],
)
def test_what_cannot_be_restored_is_refused_and_the_model_left_alone(how: str, said: str, tmp_path: Path) -> None:
    model = trained()
    save(model, tmp_path)
    change(tmp_path, how)
    fresh = TINY["olmoe"].build()
    with pytest.raises(ReachlabError, match=said):
        restore(fresh, tmp_path)
    assert densified(fresh) is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in fresh.modules())
    if how != "method":  # which a model of a known method need not look at
        before = vectors(model)
        with pytest.raises(ReachlabError, match=said):
            restore(model, tmp_path)
        assert all(torch.equal(a, b) for a, b in zip(before, vectors(model), strict=True))


@pytest.mark.parametrize(
    ("name", "method", "options", "changes"),
    [
        ("olmoe", "lossfree", {}, True),
        ("deepseek_v3", "lossfree", {}, False),
        ("olmoe", "sparsemixer", {}, True),
        ("olmoe", "default", {}, False),
        ("olmoe", "default", {"forward": "default"}, True),
        ("olmoe", "densemixer", {}, False),
    ],
)
def test_which_methods_are_a_part_of_the_function(
    name: str, method: str, options: dict[str, Any], changes: bool, tmp_path: Path
) -> None:
    model = TINY[name].build()
    densify(model, method, **options)
    save_model(tmp_path / "model", model, tiny_tokenizer())
    assert changes_the_function(tmp_path / "model") == changes
    if changes:
        with pytest.raises(ReachlabError, match="vLLM does not know it; leave --engine vllm away"):
            VllmEngine(str(tmp_path / "model"), "float32", {})


@pytest.mark.parametrize("name", ["laguna", "deepseek_v3", "ernie4_5_moe", "minimax_m2", "olmoe"])
def test_what_steps_move_is_known_whoever_holds_it(name: str) -> None:
    """A bias of the routers' own may be a buffer, or a parameter that nobody trains."""
    model, fresh = TINY[name].build().train(), TINY[name].build()
    found, other = densify(model, "lossfree"), densify(fresh, "lossfree")
    before = {key: t.clone() for key, t in found.moved().items()}
    assert len(before) >= len(found.layers)
    model(**inputs(model)).logits.sum().backward()
    found.commit()
    assert all(not torch.equal(t, before[key]) for key, t in found.moved().items())
    other.load_moved(found.moved())
    assert all(torch.equal(t, found.moved()[key]) for key, t in other.moved().items())
    with found.holding(before):
        assert all(torch.equal(t, before[key]) for key, t in found.moved().items())
    assert all(torch.equal(t, found.moved()[key]) for key, t in other.moved().items())


def test_a_model_that_is_not_densified_has_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="has not been densified"):
        save(TINY["olmoe"].build(), tmp_path)
    assert list(tmp_path.iterdir()) == []
