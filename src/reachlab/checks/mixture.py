"""A mixture of experts small enough to try routers' methods on, and steps that teach it nothing."""

import torch
from torch import Tensor
from transformers import OlmoeConfig, OlmoeForCausalLM

VOCABULARY = 32


def tiny_mixture() -> OlmoeForCausalLM:
    """Two layers of eight experts of which two are active, in evaluation mode; the same each time. Its routers are
    decided, and its experts' answers large enough to tell apart."""
    config = OlmoeConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        num_experts=8,
        num_experts_per_tok=2,
        output_router_logits=False,
        pad_token_id=None,
        eos_token_id=None,
        bos_token_id=None,
    )
    draws = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = OlmoeForCausalLM(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5, generator=draws)
    return model.eval()


def logits(model: OlmoeForCausalLM, seed: int = 0) -> Tensor:
    """Of two sequences of twelve tokens."""
    tokens_BT = torch.randint(VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(seed))
    found: Tensor = model(input_ids=tokens_BT).logits
    return found


def train(model: OlmoeForCausalLM, steps: int = 3, first: int = 0) -> None:
    """Steps that leave the parameters as they are, with the gradients of the last."""
    model.train()
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    for seed in range(first, first + steps):
        still.zero_grad()
        torch.manual_seed(seed)
        logits(model, seed).square().mean().backward()  # type: ignore[no-untyped-call]
        still.step()
    model.eval()
