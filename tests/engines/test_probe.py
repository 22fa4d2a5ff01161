"""What the fused CPU decoder is believed to compute, whatever sleeps on the probe; and what may be decoded at all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from tests.engines.test_transformers import logprob
from tests.tiny import loud, tiny_tokenizer
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.probe import Probe, far, probe_decoding, resting
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.models.packing import Packer
from reachlab.moe.densifying import densify

SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 21,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
LLAMA4 = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0,
    "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.5, "beta_fast": 32.0, "beta_slow": 1.0,
}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
PROMPTS = [[3, 4, 5, 6], [*range(3, 21), *range(3, 15)]]


def build(family: str, scale: float = 0.3, **more: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**SHAPE, **more})
    return loud(AutoModelForCausalLM.from_config(config), scale)


def worst(model: PreTrainedModel, tokens: int = 24) -> tuple[float, bool]:
    """How far a token's log-probability is from the model's own at worst, and whether the fused CPU decoder drew it."""
    engine = TransformersDecoder(model, tiny_tokenizer())
    found = engine.generate(PROMPTS, [[1, 2, 3], [4, 5, 6]], Decoding(max_tokens=tokens))
    errors = [
        abs(answer.logprob - logprob(model, prompt, answer.tokens.tolist())) / len(answer.tokens)
        for prompt, row in zip(PROMPTS, found, strict=True)
        for answer in row
    ]
    return max(errors), bool(engine.fused_cpu)


def is_fused(model: PreTrainedModel) -> bool:
    return probe_decoding(model).weights is not None


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("Ministral3", {"head_dim": 8, "rope_parameters": LLAMA4}),
        ("Olmoe", {**EXPERTS, "clip_qkv": 3.5}),
        ("Olmoe", {**EXPERTS, "clip_qkv": 2.0}),
    ],
    ids=["a scaling beyond 16", "a clip that sleeps", "a clip"],
)
def test_what_sleeps_on_a_probe_goes_through_the_modules(family: str, more: dict[str, Any]) -> None:
    error, fused = worst(build(family, **more))
    assert not fused
    assert error < 1e-4


def test_a_clip_that_no_probe_would_wake() -> None:
    assert is_fused(build("Olmoe", **EXPERTS))
    assert not is_fused(build("Olmoe", **EXPERTS, clip_qkv=1e9))


def clip(module: Any, x: Tensor) -> Tensor:
    y: Tensor = type(module).forward(module, x)
    return y.clamp(max=1e9)


def look(module: Any, x: Tensor) -> Tensor:
    y: Tensor = type(module).forward(module, x)
    return y * 2 if y.max() > 1e9 else y


def rectify(module: Any, x: Tensor) -> Tensor:
    y: Tensor = type(module).forward(module, x)
    return y + (x[..., :1] - 1e9).relu()


@pytest.mark.parametrize("asleep", [clip, look, rectify])
@pytest.mark.parametrize("part", ["mlp", "input_layernorm", "self_attn.o_proj", "self_attn.q_proj"])
def test_neighbours_of_a_clip_in_any_part(asleep: Callable[[Any, Tensor], Tensor], part: str) -> None:
    model = build("Llama")
    module = model.model.layers[1].get_submodule(part)
    module.forward = lambda x: asleep(module, x)
    assert not is_fused(model)


@pytest.mark.parametrize("scale", [0.3, 1e-4])
def test_queries_that_grow_with_the_position(scale: float) -> None:
    """In a model whose scores are all but equal, too: it may learn."""
    model = build("Llama", scale, max_position_embeddings=4096)
    rotary = model.model.rotary_emb
    rotary.forward = lambda x, position_ids: type(rotary).forward(rotary, x, position_ids)
    assert is_fused(model)
    attention = model.model.layers[1].self_attn

    def grown(position_embeddings: tuple[Tensor, Tensor], hidden_states: Tensor, **more: Any) -> Any:
        q_proj = attention.q_proj
        factor = 1 + 1e-4 * more["position_ids"][:, :, None].float()
        q_proj.forward = lambda x: type(q_proj).forward(q_proj, x) * factor
        try:
            return type(attention).forward(attention, hidden_states, position_embeddings, **more)
        finally:
            del q_proj.forward

    attention.forward = grown
    assert not is_fused(model)


@pytest.mark.parametrize("part", ["mlp.down_proj", "mlp.up_proj", "self_attn.k_proj", "self_attn.q_proj"])
def test_a_bias_that_is_still_zero(part: str) -> None:
    model = build("Llama")
    module: Any = model.model.layers[0].get_submodule(part)
    module.bias = nn.Parameter(torch.zeros(module.out_features))
    assert not is_fused(model)


def test_default_vectors_that_have_not_learnt() -> None:
    model = build("Olmoe", **EXPERTS)
    densify(model, "default", forward="sparse")
    assert is_fused(model)
    model = build("Olmoe", **EXPERTS)
    densify(model, "default", forward="default")
    assert not is_fused(model)


def test_a_window_that_attention_is_not_told() -> None:
    """It may be one of the model's own masks (PhiMoE's), or nobody's (Llama's)."""
    model = build("Phimoe", num_local_experts=4, num_experts_per_tok=2, sliding_window=8)
    engine = TransformersDecoder(model, tiny_tokenizer())
    (found,) = engine.generate([[3, 4]], [[1]], Decoding(max_tokens=6))
    tokens = found[0].tokens.tolist()
    assert found[0].logprob == pytest.approx(logprob(model, [3, 4], tokens), abs=1e-4 * len(tokens))
    with pytest.raises(ReachlabError, match="the sliding window of 8 in its configuration does not reach"):
        engine.generate([[3, 4]], [[1]], Decoding(max_tokens=7))
    assert not is_fused(build("Llama", sliding_window=1000))


@pytest.mark.parametrize("window", [3, 4, 4096])
def test_a_window_is_the_one_that_was_told(window: int) -> None:
    error, fused = worst(build("Mistral", head_dim=8, sliding_window=window))
    assert fused
    assert error < 1e-4


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("Llama", {"max_position_embeddings": 16, "rope_parameters": DYNAMIC}),
        (
            "Phi3",
            {
                "original_max_position_embeddings": 16,
                "rope_parameters": {
                    "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
                    "original_max_position_embeddings": 16,
                },
            },
        ),
    ],
    ids=["dynamic", "longrope"],
)  # fmt: skip
def test_positions_that_turn_with_the_length(
    family: str, more: dict[str, Any], tokenizer: PreTrainedTokenizerBase
) -> None:
    """Short sequences are the model's own; of longer ones a token has no one probability."""
    model = build(family, **more)
    engine, packer = TransformersDecoder(model, tokenizer), Packer(model)
    (found,) = engine.generate([[3, 4, 5]], [[1, 2]], Decoding(max_tokens=13))
    for answer in found:
        assert answer.logprob == pytest.approx(logprob(model, [3, 4, 5], answer.tokens.tolist()), abs=1e-4)
    with pytest.raises(ReachlabError, match="sequences of up to 17 tokens, and beyond 16"):
        engine.generate([[3, 4, 5]], [[1]], Decoding(max_tokens=14))
    with pytest.raises(ReachlabError, match="sequences of up to 17 tokens, and beyond 16"):
        packer.pack([[3] * 10], [[[4] * 7]], 100)
    assert packer.pack([[3] * 10], [[[4] * 6]], 100)


def test_a_family_that_looks_ahead(tokenizer: PreTrainedTokenizerBase) -> None:
    model = build("Doge", keep_window_size=4)
    with pytest.raises(ReachlabError, match="uses a mask of its own"):
        TransformersDecoder(model, tokenizer).generate([[3, 4]], [[1]], Decoding(max_tokens=6))
    with pytest.raises(ReachlabError, match="depends on what comes after it or on padding"):
        Packer(model)


def test_how_far_is_beyond_every_length() -> None:
    config = transformers.LlamaConfig(max_position_embeddings=5000, rope_parameters={
        "rope_type": "llama3", "rope_theta": 1e4, "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 1 << 20,
    })  # fmt: skip
    assert far(config) == 1 << 21
    assert int(Probe(build("Llama")).at_BS.max()) > 3 * 64


def test_resting_leaves_every_module_as_it_was() -> None:
    model = build("Llama").train()
    model.model.layers[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    with resting(model):
        assert not any(module.training for module in model.modules())
    assert {name: module.training for name, module in model.named_modules()} == before
