"""From a model and its settings to optimizers and a schedule."""

import math

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from reachlab.errors import ReachlabError
from reachlab.training.config import OptimizerConfig
from reachlab.training.layouts import MATRICES, Layout, layouts
from reachlab.training.muon import Muon


def build_optimizers(model: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """One AdamW, and for "muon" a Muon for the linear maps inside the blocks: not embeddings, output layer, biases or
    norms, whatever their shape. What is no vector decays (`layouts.py`)."""
    inside: dict[Layout, list[nn.Parameter]] = {}
    decayed, vectors = [], []
    kinds = layouts(model)
    for p in model.parameters():
        if not p.requires_grad:
            continue
        if kinds[p] == "vector":
            vectors.append(p)
        elif config.method == "muon" and kinds[p] in MATRICES:
            inside.setdefault(kinds[p], []).append(p)
        else:
            decayed.append(p)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    filled = [g for g in groups if g["params"]]
    optimizers: list[torch.optim.Optimizer] = []
    if filled:
        optimizers.append(torch.optim.AdamW(filled, lr=config.lr, betas=(0.9, 0.95)))
    if any(isinstance(p, DTensor) for some in inside.values() for p in some):
        raise ReachlabError("muon needs whole matrices: use --optimizer adamw, or launch without --use_fsdp")
    if inside:
        stored = [{"params": inside[layout], "layout": layout} for layout in MATRICES if layout in inside]
        optimizers.append(Muon(stored, lr=config.muon_lr, weight_decay=config.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def learning_rate_scale(config: OptimizerConfig, step: int, steps: int) -> float:
    """What multiplies the learning rates at `step` (0-based) of `steps`: a function of the step alone, so it resumes.

    "wsd" (warm-up, stable, decay: arXiv 2404.06395; down in a straight line as in arXiv 2405.18392) is 1 until
    `config.decay` of the steps are left; when the decay takes all of them after the warm-up, it is "linear".
    """
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    left = (steps - step) / max(steps - config.warmup, 1)
    if config.schedule == "linear":
        return left
    if config.schedule == "wsd":
        falling = min(config.decay * steps, steps - config.warmup)
        return min(1.0, (steps - step) / falling) if falling else 1.0
    if config.schedule == "cosine":
        return 0.5 - 0.5 * math.cos(math.pi * left)
    return 1.0


def clip(module: nn.Module, most: float) -> float:
    """Scale the gradient down to the norm `most` (0: any); returns the norm it had, over all shards."""
    norm = nn.utils.clip_grad_norm_(module.parameters(), most or math.inf)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
