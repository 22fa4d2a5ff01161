"""The one line, and what it refuses."""

import re
from typing import Any

import pytest
from tests.moe.tiny import TINY, TINY_REFUSED
from tests.tiny import tiny_model

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, undensify
from reachlab.moe.families import REFUSED


def test_it_is_found_again_and_goes_away() -> None:
    model = TINY["olmoe"].build()
    assert densified(model) is None
    found = densify(model)
    assert densified(model) is found
    assert (found.method, found.options) == ("default", {})
    assert [layer.name for layer in found.layers] == ["model.layers.0.mlp", "model.layers.1.mlp"]
    assert {(x.shape.E, x.shape.K, x.shape.D) for x in found.layers} == {(6, 2, 32)}
    assert not any("reachlab" in key or "vectors" in key for key in model.state_dict())
    undensify(model)
    assert densified(model) is None
    assert densify(model, "topk").method == "topk"


def test_twice_is_refused_even_from_inside() -> None:
    model = TINY["olmoe"].build()
    densify(model)
    with pytest.raises(ReachlabError, match=re.escape("densified already: call reachlab.moe.undensify(model) first")):
        densify(model)
    assert len(densified(model).layers) == 2  # type: ignore[union-attr]


def test_it_wants_a_model() -> None:
    folder: Any = "runs/mixture"
    with pytest.raises(ReachlabError, match=r"densify takes a loaded model, .* and this is a str"):
        densify(folder)


def test_undensify_wants_a_densified_model() -> None:
    with pytest.raises(ReachlabError, match="this model has not been densified"):
        undensify(TINY["olmoe"].build())


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("magic", {}, "method 'magic': choose one of topk, default"),
        ("default", {"betta": 0.5}, "default has no option 'betta'; it takes average, beta"),
        ("topk", {"beta": 0.5}, "topk has no option 'beta'; it takes none"),
        ("default", {"beta": 2}, "beta=2 must be"),
    ],
)
def test_bad_words_are_refused(method: str, options: dict[str, Any], said: str) -> None:
    model = TINY["olmoe"].build()
    with pytest.raises(ReachlabError, match=re.escape(said)):
        densify(model, method, **options)
    assert densified(model) is None
    assert not any(m._forward_hooks for m in model.modules())


def test_a_dense_model_is_refused() -> None:
    with pytest.raises(ReachlabError, match="no mixture-of-experts layers in Qwen3ForCausalLM"):
        densify(tiny_model("qwen3"))


@pytest.mark.parametrize("name", ["jetmoe", "switch_transformers"])
def test_a_family_without_the_seam_is_refused_with_the_reason(name: str) -> None:
    reason = next(row.reason for row in REFUSED.values() if row.model == name)
    with pytest.raises(ReachlabError, match=re.escape(f"{name} cannot be densified: {reason}")):
        densify(TINY_REFUSED[name].build())
