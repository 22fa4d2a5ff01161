from typing import Any

import pytest
import torch
from tests.tiny import tiny_config
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
def test_the_seed_alone_decides_the_weights(family: str, tokenizer: PreTrainedTokenizerBase) -> None:
    config = tiny_config(family)  # type: ignore[arg-type]
    torch.manual_seed(1)
    first = build_model(config, tokenizer, 5).state_dict()
    state = torch.get_rng_state()
    torch.rand(7)
    again = build_model(config, tokenizer, 5).state_dict()
    other = build_model(config, tokenizer, 6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    # Building takes nothing from the stream that others draw from.
    torch.set_rng_state(state)
    build_model(config, tokenizer, 7)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_dense_model_has_the_shape_asked_for(tokenizer: PreTrainedTokenizerBase) -> None:
    model = build_model(tiny_config(), tokenizer, 0)
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 2, 4)
    assert (config.num_key_value_heads, config.head_dim, config.intermediate_size) == (2, 8, 48)
    assert config.vocab_size == len(tokenizer)
    assert (config.eos_token_id, config.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert model.dtype == torch.float32


def test_zeros_mean_the_documented_defaults(tokenizer: PreTrainedTokenizerBase) -> None:
    dense = build_model(ModelConfig(hidden=32, layers=1, heads=2), tokenizer, 0).config
    assert (dense.num_key_value_heads, dense.intermediate_size) == (2, 64)
    sparse = build_model(ModelConfig(family="olmoe", hidden=32, layers=1, heads=2), tokenizer, 0).config
    assert (sparse.intermediate_size, sparse.num_experts, sparse.num_experts_per_tok) == (32, 8, 2)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"hidden": 33}, "hidden=33 must be heads=4 times an even number"),
        ({"hidden": 12, "heads": 4}, "hidden=12 must be heads=4 times an even number"),
        ({"kv_heads": 3}, "heads=4 must be a multiple of kv_heads=3"),
        ({"family": "olmoe", "active_experts": 9}, "active_experts=9 must be 1 to experts=8"),
        ({"family": "olmoe", "active_experts": 0}, "active_experts=0 must be 1 or more"),
        ({"heads": 0}, "heads=0 must be 1 or more"),
        ({"layers": 0}, "layers=0 must be 1 or more"),
        ({"hidden": -32}, "hidden=-32 must be 1 or more"),
    ],
)
def test_shapes_that_cannot_be(shape: dict[str, Any], says: str, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ReachlabError, match=says):
        build_model(ModelConfig(**shape), tokenizer, 0)
