"""A dense gradient for a mixture's routers in a Hugging Face `Trainer`. It prints losses, and what the checkpoint has.

python examples/hf_densify.py                             # needs reachlab[train]; about 8 seconds
"""

import torch
from transformers import AutoModelForCausalLM, Qwen3MoeConfig, Trainer, TrainingArguments

import reachlab as rl
from reachlab.integrations.routers import KeepRouters

if __name__ == "__main__":
    size = {"hidden_size": 32, "moe_intermediate_size": 32, "num_hidden_layers": 2, "num_experts": 8, "head_dim": 8}
    model = AutoModelForCausalLM.from_config(Qwen3MoeConfig(vocab_size=256, num_experts_per_tok=2, **size))
    rl.densify(model, update="per_step")
    tokens = torch.tensor(list(__doc__.encode()[:192])).reshape(-1, 64)  # it learns this text, a byte a token
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    how = TrainingArguments("runs/hf-densify", max_steps=20, learning_rate=1e-2, logging_steps=5, disable_tqdm=True)
    Trainer(model, how, train_dataset=rows, callbacks=[KeepRouters()]).train()
    print("kept with the checkpoint:", rl.moe.saved("runs/hf-densify/checkpoint-20"))
