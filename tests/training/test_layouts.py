from typing import Any

import pytest
import torch
import transformers
from tests.tiny import tiny_model, tiny_tokenizer
from torch import nn
from transformers.pytorch_utils import Conv1D

from reachlab.models.build import build_model, give_sight
from reachlab.models.config import ModelConfig
from reachlab.training.config import OptimizerConfig
from reachlab.training.layouts import layouts
from reachlab.training.muon import Muon
from reachlab.training.optimizer import build_optimizers

WIDTHS: dict[str, Any] = {
    "vocab_size": 24, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
EXPERTS: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2}
NARROW: dict[str, Any] = {"vocab_size": 24, "hidden_size": 32, "num_hidden_layers": 1, "state_size": 4}
GPT2: dict[str, Any] = {"vocab_size": 24, "n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 64}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", GPT2),
    "gpt-oss": ("GptOssForCausalLM", WIDTHS | EXPERTS),
    "llama4": ("Llama4ForCausalLM", WIDTHS | EXPERTS | {"intermediate_size_mlp": 48}),
    "cohere": ("CohereForCausalLM", WIDTHS | {"use_qk_norm": True}),
    "mamba": ("MambaForCausalLM", NARROW),
    "qwen2-moe": ("Qwen2MoeForCausalLM", WIDTHS | {"num_experts": 4, "num_experts_per_tok": 2}),
}


def found(model: nn.Module) -> dict[str, str]:
    """Of a model's parameters with two axes or more, by the last two parts of their names."""
    kinds = layouts(model)
    assert all(kinds[p] == "vector" for p in model.parameters() if p.ndim < 2)
    return {".".join(n.split(".")[-2:]): kinds[p] for n, p in model.named_parameters() if p.ndim > 1}


def of_family(name: str) -> nn.Module:
    kind, settings = FAMILIES[name]
    config = getattr(transformers, kind).config_class(**settings)
    with torch.random.fork_rng():
        model: nn.Module = getattr(transformers, kind)(config)
    return model


@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        (
            "gpt2",
            {
                "wte.weight": "table", "wpe.weight": "table", "c_attn.weight": "columns", "c_proj.weight": "columns",
                "c_fc.weight": "columns",
            },
        ),
        (
            "gpt-oss",
            {
                "embed_tokens.weight": "table", "lm_head.weight": "table", "router.weight": "rows",
                "experts.gate_up_proj": "columns", "experts.down_proj": "columns",
                "experts.gate_up_proj_bias": "vector", "experts.down_proj_bias": "vector",
            },
        ),
        ("llama4", {"experts.gate_up_proj": "columns", "experts.down_proj": "columns", "router.weight": "rows"}),
        ("cohere", {"embed_tokens.weight": "table", "q_norm.weight": "vector", "k_norm.weight": "vector"}),
        (
            "mamba",
            {"embeddings.weight": "table", "conv1d.weight": "groups", "mixer.A_log": "vector"},
        ),
        ("qwen2-moe", {"experts.gate_up_proj": "rows", "experts.down_proj": "rows", "gate.weight": "rows"}),
    ],
)  # fmt: skip
def test_what_the_parameters_of_a_family_are(family: str, wanted: dict[str, str]) -> None:
    kinds = found(of_family(family))
    assert wanted.items() <= kinds.items()
    rest = {name: kind for name, kind in kinds.items() if name not in wanted and kind != "rows"}
    assert not rest.keys() - {"embed_tokens.weight", "lm_head.weight"}


def test_a_picture_is_cut_by_filters_and_positions_are_looked_up() -> None:
    tokenizer = tiny_tokenizer()
    config = ModelConfig(family="llava", hidden=32, layers=1, heads=4)
    give_sight(config, tokenizer)
    kinds = found(build_model(config, tokenizer, 0))
    assert kinds["patch_embedding.weight"] == "filters"
    assert kinds["position_embedding.weight"] == kinds["embed_tokens.weight"] == "table"
    assert kinds["linear_1.weight"] == kinds["fc1.weight"] == "rows"


class Odd(nn.Module):
    """Bare parameters, as towers for pictures and layers with a state have them."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.register_tokens = nn.Parameter(torch.zeros(1, 4, 8))
        self.pos_embed = nn.Parameter(torch.zeros(1, 9, 8))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(25, 4))
        self.in_proj_weight = nn.Parameter(torch.zeros(24, 8))
        self.D = nn.Parameter(torch.zeros(4, 8))
        self.thin = nn.Conv1d(8, 8, 3, groups=8)
        self.wide = nn.Conv1d(8, 6, 3)
        self.up = nn.ConvTranspose2d(8, 4, 2)
        self.turned = Conv1D(12, 8)


def test_bare_parameters_are_maps_only_where_their_name_says_so() -> None:
    kinds = {name: layouts(odd)[p] for odd in [Odd()] for name, p in odd.named_parameters()}
    assert {name: kind for name, kind in kinds.items() if not name.endswith(".bias")} == {
        "cls_token": "vector", "register_tokens": "vector", "pos_embed": "table",
        "relative_position_bias_table": "vector", "in_proj_weight": "rows", "D": "vector", "thin.weight": "groups",
        "wide.weight": "filters", "up.weight": "groups", "turned.weight": "columns",
    }  # fmt: skip


def test_a_tied_output_layer_stays_a_table() -> None:
    model = tiny_model()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert layouts(model)[model.get_output_embeddings().weight] == "table"


@pytest.mark.parametrize("method", ["muon", "adamw"])
@pytest.mark.parametrize("family", FAMILIES)
def test_biases_norms_and_the_like_neither_decay_nor_go_to_muon(family: str, method: Any) -> None:
    model = of_family(family)
    optimizers = build_optimizers(model, OptimizerConfig(method=method, weight_decay=0.1))
    kinds = layouts(model)
    groups = [(isinstance(o, Muon), g) for o in optimizers for g in o.param_groups]
    assert sorted(id(p) for _, g in groups for p in g["params"]) == sorted(map(id, model.parameters()))
    for muon, group in groups:
        for p in group["params"]:
            assert group["weight_decay"] == (0.0 if kinds[p] == "vector" else 0.1)
            assert muon == (method == "muon" and kinds[p] in ("rows", "columns", "filters"))
            assert not muon or group["layout"] == kinds[p]
