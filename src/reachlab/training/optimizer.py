"""From a model and its settings to optimizers and a schedule."""

import math

import torch
from torch import nn

from reachlab.training.config import OptimizerConfig
from reachlab.training.muon import Muon


def build_optimizers(model: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """One AdamW, and for "muon" a Muon for the matrices inside the blocks (not embeddings, heads or routers'
    biases)."""
    inside, matrices, vectors = [], [], []
    outer = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    outer |= {id(p) for p in head.parameters()} if head is not None else set()
    for p in model.parameters():
        if not p.requires_grad:
            continue
        if p.ndim < 2:
            vectors.append(p)
        elif config.method == "muon" and id(p) not in outer:
            inside.append(p)
        else:
            matrices.append(p)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=(0.9, 0.95))
    ]
    if inside:
        optimizers.append(Muon(inside, lr=config.muon_lr, weight_decay=config.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def learning_rate_scale(config: OptimizerConfig, step: int, steps: int) -> float:
    """What multiplies the learning rates at `step` (0-based) of `steps`: a function of the step alone, so it
    resumes."""
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    left = (steps - step) / max(steps - config.warmup, 1)
    if config.schedule == "linear":
        return left
    if config.schedule == "cosine":
        return 0.5 - 0.5 * math.cos(math.pi * left)
    return 1.0


def set_learning_rates(
    optimizers: list[torch.optim.Optimizer], config: OptimizerConfig, step: int, steps: int
) -> float:
    """Set every group's learning rate for `step`; returns AdamW's."""
    scale = learning_rate_scale(config, step, steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * scale
    return float(optimizers[0].param_groups[0]["lr"])


def clip_and_step(model: nn.Module, optimizers: list[torch.optim.Optimizer], config: OptimizerConfig) -> float:
    """Clip the gradient, move the weights, clear the gradient; returns the norm before clipping."""
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf))
    if math.isfinite(norm):
        for optimizer in optimizers:
            optimizer.step()
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    return norm
