"""What holds of every method: it comes and goes without a trace, and its state is saved, loaded and copied."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.moe.tiny import TINY, answer, inputs
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, restore, save, undensify
from reachlab.moe.methods import METHODS

FAMILIES = ("olmoe", "mixtral", "deepseek_v3", "gpt_oss", "gemma4", "muse_spark")
OPTIONS: dict[str, dict[str, Any]] = {"default": {"forward": "default"}, "lossfree": {"rate": 0.1}}
CASES = [
    (method, family)
    for method in METHODS
    for family in FAMILIES
    if method != "sparsemixer" or family in ("olmoe", "mixtral", "gpt_oss")
]


def build(family: str) -> PreTrainedModel:
    return TINY[family].build()


def train(model: PreTrainedModel, steps: int = 3) -> None:
    """A few steps that leave the parameters as they are."""
    model.train()
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    torch.manual_seed(0)
    for seed in range(steps):
        answer(model, **inputs(model, seed=seed)).square().mean().backward()  # type: ignore[no-untyped-call]
        still.step()
    model.eval()


@pytest.mark.parametrize(("method", "family"), CASES)
def test_undensify_leaves_the_model_as_it_was(method: str, family: str) -> None:
    model, given = build(family), inputs(build(family))
    before, modules = answer(model, **given), {name: vars(m).keys() for name, m in model.named_modules()}
    densify(model, method, **OPTIONS.get(method, {}))
    if not (method == "lossfree" and family in ("deepseek_v3", "muse_spark")):  # whose own bias moves
        train(model)
    else:
        answer(model, **given)
    undensify(model)
    assert densified(model) is None
    assert torch.equal(answer(model, **given), before)
    assert {name: vars(m).keys() for name, m in model.named_modules()} == modules
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(("method", "family"), CASES)
def test_saved_and_loaded_and_copied_it_answers_the_same(method: str, family: str, tmp_path: Path) -> None:
    model = build(family)
    densify(model, method, **OPTIONS.get(method, {}))
    train(model)
    given = inputs(model, seed=9)
    expected = answer(model, **given)
    assert torch.equal(answer(deepcopy(model), **given), expected)
    save(model, tmp_path)
    fresh = build(family)
    fresh.load_state_dict(model.state_dict())
    found = restore(fresh, tmp_path)
    assert torch.equal(answer(fresh, **given), expected)
    assert found.method == method
    own = densified(model)
    assert own is not None
    assert found.state().keys() == own.state().keys()


@pytest.mark.parametrize("method", ["topk", "densemixer"])
def test_methods_that_only_learn_otherwise_leave_the_output_alone(method: str) -> None:
    for family in FAMILIES:
        model = build(family).train()
        given = inputs(model)
        before = answer(model, **given)
        densify(model, method)
        assert torch.equal(answer(model, **given), before)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ReachlabError, match="lossfree has no option 'beta'; it takes rate"):
        densify(build("olmoe"), "lossfree", beta=0.5)
