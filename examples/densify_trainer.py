"""A dense gradient for the routers of a mixture of experts, in a Hugging Face `Trainer` (Default MoE, 2504.12463).

    python examples/densify_trainer.py                                   # needs reachlab[train]; about 10 seconds
    python examples/densify_trainer.py --model allenai/OLMoE-1B-7B-0924 --lr 1e-5

A token visits K of E experts, and the router learns from those alone. `rl.densify(model)` puts a running mean of each
expert's answers where it was not asked: the model's function stays as it is, bit for bit, and so does the training
loop. Without a --model a tiny one is made; the text it learns is this file. It prints for how many experts a token
moves the router, before and after, the loss, and where the checkpoint is, which plain transformers loads.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3MoeConfig, Trainer, TrainingArguments

import reachlab as rl
from reachlab.moe import save

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}


def experts_that_learn(model: torch.nn.Module, tokens: torch.Tensor) -> str:
    """In each layer, the experts whose row of the router has a gradient from what one token predicts."""
    model.zero_grad()
    model.train()(input_ids=tokens, labels=tokens).loss.backward()
    routers = [p.grad for n, p in model.named_parameters() if n.endswith("mlp.gate.weight") and p.grad is not None]
    lengths = [grad_EH.norm(dim=1) for grad_EH in routers]  # what is left of rounding is no gradient
    return ", ".join(f"{int((row_E > row_E.max() / 1000).sum())} of {len(row_E)}" for row_E in lengths)


def main() -> None:
    """Densify, train, look."""
    parser = argparse.ArgumentParser(description="A dense router gradient in a Trainer")
    parser.add_argument("--model", help="a mixture of experts: a transformers folder, or a name of the hub")
    parser.add_argument("--lr", type=float, default=1e-2, help="of a tiny model; a real one wants 1e-5")
    parser.add_argument("--out", default="runs/densify", help="where it is kept")
    given = parser.parse_args()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(Qwen3MoeConfig(vocab_size=256, **TINY, **EXPERTS))
    tokens = list(Path(__file__).read_bytes())  # of the tiny model a byte is a token
    if given.model:
        model = AutoModelForCausalLM.from_pretrained(given.model)
        tokens = AutoTokenizer.from_pretrained(given.model)(Path(__file__).read_text("utf-8"))["input_ids"]
    rows = torch.tensor(tokens[: len(tokens) // 64 * 64]).reshape(-1, 64)
    print("top-k: a token moves the router for", experts_that_learn(model, rows[:1, :2]), "experts")
    before = model.eval()(rows[:1]).logits
    rl.densify(model)
    print("the same logits:", torch.equal(before, model.eval()(rows[:1]).logits))
    how = TrainingArguments(given.out, max_steps=20, learning_rate=given.lr, logging_steps=5, disable_tqdm=True)
    Trainer(model, how, train_dataset=[{"input_ids": row, "labels": row} for row in rows]).train()
    print("densified: a token moves the router for", experts_that_learn(model, rows[:1, :2]), "experts")
    model.save_pretrained(given.out)
    print("checkpoint:", given.out, "and beside it the running means:", save(model, given.out).name)


if __name__ == "__main__":
    main()
