"""Build a small causal language model from its shape."""

from typing import Any

import torch
from transformers import OlmoeConfig, OlmoeForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config
from transformers import Qwen3ForCausalLM as Qwen3

from reachlab.errors import ReachlabError
from reachlab.models.config import ModelConfig


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
    if config.intermediate < 0:
        raise ReachlabError(f"intermediate={config.intermediate} must be 0 (chosen for you) or more")
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
        if config.family == "qwen3":
            inner = config.intermediate or 2 * config.hidden
            head_dim = config.hidden // config.heads
            return Qwen3(Qwen3Config(**shape, intermediate_size=inner, head_dim=head_dim))
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
