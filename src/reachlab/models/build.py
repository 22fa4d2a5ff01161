"""Build a small causal language model, or one that sees, from its shape."""

from typing import Any

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    OlmoeConfig,
    OlmoeForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3Config,
    SiglipVisionConfig,
)
from transformers import Qwen3ForCausalLM as Qwen3

from reachlab.errors import ReachlabError
from reachlab.models.config import ModelConfig
from reachlab.models.origin import mark
from reachlab.models.vision import PLACEHOLDER, attach, processor_of


def build_model(config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A model with random weights (float32), the same for the same seed, whatever ran before.

    Raises:
        ReachlabError: a shape that cannot be, with the field to change.
    """
    kv_heads = config.kv_heads or config.heads
    if config.hidden % config.heads or (config.hidden // config.heads) % 2:
        raise ReachlabError(f"hidden={config.hidden} must be heads={config.heads} times an even number")
    if kv_heads < 1 or config.heads % kv_heads:
        raise ReachlabError(f"heads={config.heads} must be a multiple of kv_heads={kv_heads}")
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": config.positions,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "tie_word_embeddings": True,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _shaped(config, shape, tokenizer)
    mark(model)
    return model


def _shaped(config: ModelConfig, shape: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if config.family != "olmoe":
        inner = config.intermediate or 2 * config.hidden
        text = Qwen3Config(**shape, intermediate_size=inner, head_dim=config.hidden // config.heads)
        return Qwen3(text) if config.family == "qwen3" else _llava(config, text, tokenizer)
    if config.active_experts > config.experts:
        raise ReachlabError(f"active_experts={config.active_experts} must be 1 to experts={config.experts}")
    return OlmoeForCausalLM(
        OlmoeConfig(
            **shape,
            intermediate_size=config.intermediate or config.hidden,
            num_experts=config.experts,
            num_experts_per_tok=config.active_experts,
            output_router_logits=False,
        )
    )


def give_sight(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a new tokenizer the placeholder of a picture, and the processor that a new model of this shape needs."""
    tokenizer.add_special_tokens({"additional_special_tokens": [PLACEHOLDER]})
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil  # only here

    side = {"height": config.image_size, "width": config.image_size}
    # Pillow's resizing, which needs nothing else installed and is the same on all machines.
    eyes = SiglipImageProcessorPil(size=side)
    attach(tokenizer, LlavaProcessor(eyes, tokenizer, patch_size=config.patch, vision_feature_select_strategy="full"))


def _llava(config: ModelConfig, text: Qwen3Config, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A SigLIP tower without its pooling head, two linear maps, and the language model."""
    processor = processor_of(tokenizer)
    if processor is None:
        raise ReachlabError("a llava model needs a tokenizer with a processor (`give_sight`)")
    tower = SiglipVisionConfig(
        hidden_size=config.hidden,
        intermediate_size=text.intermediate_size,
        num_hidden_layers=config.vision_layers,
        num_attention_heads=config.heads,
        image_size=config.image_size,
        patch_size=config.patch,
        vision_use_head=False,
    )
    return LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=tower,
            text_config=text,
            image_token_id=processor.image_token_id,
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
