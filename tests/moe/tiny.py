"""A tiny model of every mixture of experts that transformers has: 64 tokens, width 32, two layers, 6 experts, 2 active.

The text part of multimodal families, where they have one that stands alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

EXPERTS, ACTIVE = 6, 2

SIZES: dict[str, Any] = {
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), EXPERTS),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts"), ACTIVE),
    "vocab_size": 64,
    "vocab_size_per_layer_input": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "shared_experts_intermediate_size": 16,
    "shared_intermediate_size": 16,
    "moe_shared_expert_intermediate_size": 16,
    "num_hidden_layers": 2,
    "first_k_dense_replace": 1,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    # attention
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "sliding_window": 8,
    "sliding_window_size": 8,
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 4,
    "swa_head_dim": 8,
    "o_groups": 2,
    "o_lora_rank": 16,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 4,
    # what stands in for attention in other layers
    "linear_head_dim": 8,
    "linear_num_heads": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "mamba_d_state": 8,
    "mamba_n_heads": 4,
    "mamba_num_heads": 4,
    "mamba_head_dim": 16,
    "ssm_state_size": 8,
    "n_groups": 2,
}
"""A number for every name that configurations use for a size; each takes those it knows."""


@dataclass(frozen=True)
class Tiny:
    """How to build one: transformers' folder, the model's class, and what its configuration wants beside `SIZES`."""

    folder: str
    model: str
    extra: dict[str, Any] = field(default_factory=dict)

    def build(self) -> PreTrainedModel:
        """The model, the same each time, in evaluation mode; its routers are decided."""
        built: type[PreTrainedModel] = getattr(
            import_module(f"transformers.models.{self.folder}.modeling_{self.folder}"), self.model
        )
        known = {f.name for f in fields(built.config_class)}
        configuration = built.config_class(**{k: v for k, v in SIZES.items() if k in known} | self.extra)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            model = built(configuration)
            for parameter in model.parameters():
                if parameter.ndim == 3:  # experts; not every family draws its own
                    parameter.normal_(std=SIZES["initializer_range"])
            for module in model.modules():
                if "Router" in type(module).__name__ or type(module).__name__.endswith("Gate"):
                    decide(module)
        return model.eval()


def decide(router: nn.Module) -> None:
    """Give a router logits of deviation 2, and a table of experts where it looks them up."""
    for parameter in router.parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=2 / parameter.shape[1] ** 0.5)
    if isinstance(table := getattr(router, "tid2eid", None), Tensor):
        table.copy_(torch.rand(len(table), EXPERTS).argsort(1)[:, : table.shape[1]])


def inputs(model: PreTrainedModel, tokens: int = 12, seed: int = 0) -> dict[str, Tensor]:
    """What `model(**inputs)` wants: two sequences."""
    generator = torch.Generator().manual_seed(seed)
    if model.main_input_name == "pixel_values":
        pixels = model.config.num_channels * model.config.patch_size**2
        return {"pixel_values": torch.randn(2 * 4, pixels, generator=generator), "grid_thw": torch.tensor([[1, 2, 4]])}
    if hasattr(model, "codec_embedding"):  # a talker, which is given what its thinker thought
        return {"inputs_embeds": torch.randn(2, tokens, model.config.hidden_size, generator=generator)}
    return {"input_ids": torch.randint(3, 64, (2, tokens), generator=generator)}


def answer(model: PreTrainedModel, **given: Tensor) -> Tensor:
    """The model's logits, or the last hidden state of one without a head."""
    output = model(**given)
    found: Tensor = output["logits"] if "logits" in output else output["last_hidden_state"]
    return found


_HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
_SPARSE = {"mlp_layer_types": ["dense", "sparse"]}
_INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 4,
    "indexer_compress_ratio": 2,
}


def _sections(*sections: int) -> dict[str, Any]:
    """Rotary positions of images and videos: so many frequencies each for time, height and width."""
    return {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0, "mrope_section": list(sections)}


TINY: dict[str, Tiny] = {
    "afmoe": Tiny("afmoe", "AfmoeForCausalLM", {"num_dense_layers": 1}),
    "aria": Tiny("aria", "AriaTextForCausalLM"),
    "axk1": Tiny("axk1", "AXK1ForCausalLM"),
    "axk2": Tiny("axk2", "AXK2ForCausalLM"),
    "bailing_hybrid": Tiny("bailing_hybrid", "BailingHybridForCausalLM", _HYBRID),
    "beam": Tiny("beam", "BeamForCausalLM", _SPARSE),
    "cohere2_moe": Tiny("cohere2_moe", "Cohere2MoeForCausalLM", {"num_shared_experts": 1}),
    "deepseek_ocr2": Tiny("deepseek_ocr2", "DeepseekOcr2TextModel", _SPARSE),
    "deepseek_v2": Tiny("deepseek_v2", "DeepseekV2ForCausalLM"),
    "deepseek_v3": Tiny("deepseek_v3", "DeepseekV3ForCausalLM"),
    "deepseek_v32": Tiny("deepseek_v32", "DeepseekV32ForCausalLM"),
    "deepseek_v4": Tiny("deepseek_v4", "DeepseekV4ForCausalLM", {"mlp_layer_types": ["hash_moe", "moe"]}),
    "diffusion_gemma": Tiny("diffusion_gemma", "DiffusionGemmaEncoderTextModel", {"global_head_dim": 8}),
    "dots1": Tiny("dots1", "Dots1ForCausalLM"),
    "dots3_note": Tiny("dots3_note", "Dots3NoteForCausalLM", _SPARSE),
    "dots3_note vision": Tiny(
        "dots3_note", "Dots3NoteVisionModel", {**_SPARSE, "adapter_in_dim": 32, "adapter_out_dim": 32, "patch_size": 4}
    ),
    "ernie4_5_moe": Tiny("ernie4_5_moe", "Ernie4_5_MoeForCausalLM"),
    "ernie4_5_vl_moe": Tiny(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeTextModel",
        {"moe_intermediate_size": [16, 16], "rope_parameters": _sections(1, 1, 2)},
    ),
    "exaone_moe": Tiny("exaone_moe", "ExaoneMoeForCausalLM"),
    "flex_olmo": Tiny("flex_olmo", "FlexOlmoForCausalLM"),
    "flint": Tiny("flint", "FlintForCausalLM", {"mlp_only_layers": [0]}),
    "gemma4": Tiny(
        "gemma4",
        "Gemma4ForCausalLM",
        {"enable_moe_block": True, "hidden_size_per_layer_input": 0, "global_head_dim": 8},
    ),
    "glm4_moe": Tiny("glm4_moe", "Glm4MoeForCausalLM"),
    "glm4_moe_lite": Tiny("glm4_moe_lite", "Glm4MoeLiteForCausalLM", _SPARSE),
    "glm4v_moe": Tiny("glm4v_moe", "Glm4vMoeTextModel", {"rope_parameters": _sections(1, 1, 2)}),
    "glm5_next": Tiny(
        "glm5_next",
        "Glm5NextTextModel",
        {**_SPARSE, "layer_types": ["linear_attention", "indexed_attention"], "index_kpool": 2, "qk_rope_head_dim": 0},
    ),
    "glm_moe_dsa": Tiny("glm_moe_dsa", "GlmMoeDsaForCausalLM", _SPARSE),
    "gpt_oss": Tiny("gpt_oss", "GptOssForCausalLM"),
    "granitemoe": Tiny("granitemoe", "GraniteMoeForCausalLM"),
    "granitemoe_swa": Tiny("granitemoe_swa", "GraniteMoeSWAForCausalLM"),
    "granitemoehybrid": Tiny("granitemoehybrid", "GraniteMoeHybridForCausalLM", _HYBRID),
    "granitemoeshared": Tiny("granitemoeshared", "GraniteMoeSharedForCausalLM"),
    "hunyuan_v1_moe": Tiny("hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM"),
    "hy_v3": Tiny("hy_v3", "HYV3ForCausalLM"),
    "hy_v4": Tiny("hy_v4", "HYV4ForCausalLM"),
    "inkling": Tiny("inkling", "InklingForCausalLM"),
    "inkling2": Tiny("inkling2", "Inkling2ForCausalLM"),
    "jamba": Tiny("jamba", "JambaForCausalLM", {"attn_layer_period": 2, "attn_layer_offset": 1}),
    "kimi_linear": Tiny("kimi_linear", "KimiLinearForCausalLM", _HYBRID),
    "kolibri1": Tiny("kolibri1", "Kolibri1ForCausalLM"),
    "laguna": Tiny("laguna", "LagunaForCausalLM"),
    "lfm2_moe": Tiny(
        "lfm2_moe", "Lfm2MoeForCausalLM", {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1}
    ),
    "mellum": Tiny("mellum", "MellumForCausalLM"),
    "mimo_v2_flash": Tiny("mimo_v2_flash", "MiMoV2FlashForCausalLM", {"head_dim": 24, "num_key_value_heads": 2}),
    "minimax": Tiny("minimax", "MiniMaxForCausalLM"),
    "minimax_m2": Tiny("minimax_m2", "MiniMaxM2ForCausalLM"),
    "minimax_m3_vl": Tiny("minimax_m3_vl", "MiniMaxM3VLForCausalLM"),
    "mistral4": Tiny("mistral4", "Mistral4ForCausalLM"),
    "mistral_large4": Tiny("mistral_large4", "MistralLarge4TextModel"),
    "mixtral": Tiny("mixtral", "MixtralForCausalLM"),
    "muse_spark": Tiny("muse_spark", "MuseSparkTextModel", {"moe_hidden_size": 24}),
    "nemotron_h": Tiny("nemotron_h", "NemotronHForCausalLM"),
    "olmoe": Tiny("olmoe", "OlmoeForCausalLM"),
    "openai_privacy_filter": Tiny("openai_privacy_filter", "OpenAIPrivacyFilterForTokenClassification"),
    "qwen2_moe": Tiny("qwen2_moe", "Qwen2MoeForCausalLM"),
    "qwen3_5_moe": Tiny("qwen3_5_moe", "Qwen3_5MoeForCausalLM", _HYBRID),
    "qwen3_moe": Tiny("qwen3_moe", "Qwen3MoeForCausalLM"),
    "qwen3_next": Tiny("qwen3_next", "Qwen3NextForCausalLM", _HYBRID),
    "qwen3_omni_moe": Tiny("qwen3_omni_moe", "Qwen3OmniMoeThinkerTextModel"),
    "qwen3_omni_moe talker": Tiny("qwen3_omni_moe", "Qwen3OmniMoeTalkerModel", {"shared_expert_intermediate_size": 16}),
    "qwen3_vl_moe": Tiny("qwen3_vl_moe", "Qwen3VLMoeTextModel"),
    "qwen4_exp": Tiny("qwen4_exp", "Qwen4ExpForCausalLM", {**_HYBRID, **_INDEXER}),
    "solar_open": Tiny("solar_open", "SolarOpenForCausalLM"),
    "unlimited_ocr": Tiny("unlimited_ocr", "UnlimitedOcrTextModel", _SPARSE),
}
"""Every family of `reachlab.moe.families.FAMILIES`; two where a family has two kinds of router."""

TINY_REFUSED: dict[str, Tiny] = {
    "dbrx": Tiny(
        "dbrx",
        "DbrxForCausalLM",
        {
            **{"d_model": 32, "n_heads": 4, "n_layers": 1, "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4}},
            "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 16, "moe_num_experts": EXPERTS, "moe_top_k": ACTIVE},
        },
    ),
    "doge": Tiny("doge", "DogeForCausalLM", {"is_moe": True, "num_experts": 16}),
    "jetmoe": Tiny("jetmoe", "JetMoeForCausalLM", {"kv_channels": 8, "num_key_value_heads": 2}),
    "llama4": Tiny("llama4", "Llama4ForCausalLM", {"intermediate_size_mlp": 16}),
    "longcat_flash": Tiny(
        "longcat_flash",
        "LongcatFlashForCausalLM",
        {"num_layers": 1, "ffn_hidden_size": 16, "expert_ffn_hidden_size": 16, "zero_expert_num": 2},
    ),
    "nllb_moe": Tiny(
        "nllb_moe",
        "NllbMoeForConditionalGeneration",
        {
            **{"d_model": 32, "encoder_layers": 1, "encoder_ffn_dim": 16, "encoder_attention_heads": 4},
            **{"decoder_layers": 1, "decoder_ffn_dim": 16, "decoder_attention_heads": 4},
            **{"encoder_sparse_step": 1, "decoder_sparse_step": 1},
        },
    ),
    "phimoe": Tiny("phimoe", "PhimoeForCausalLM"),
    "step3p7": Tiny("step3p7", "Step3p7TextModel", {**_SPARSE, "share_expert_dim": 16}),
    "switch_transformers": Tiny(
        "switch_transformers",
        "SwitchTransformersForConditionalGeneration",
        {
            **{"d_model": 32, "d_kv": 8, "d_ff": 16, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2},
            **{"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
        },
    ),
    "vitpose_backbone": Tiny("vitpose_backbone", "VitPoseBackbone", {"part_features": 8, "num_experts": 2}),
    "zaya": Tiny("zaya", "ZayaForCausalLM", {"num_experts_per_tok": 1}),
}
"""Every family of `reachlab.moe.families.REFUSED`."""


def tiny_models() -> dict[str, Callable[[], PreTrainedModel]]:
    """A builder for every family that has the seam."""
    return {name: tiny.build for name, tiny in TINY.items()}
