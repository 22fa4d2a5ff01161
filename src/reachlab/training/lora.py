"""Low-rank adapters (LoRA, arXiv 2106.09685): W + (α / r) B A, where only A and B are trained.

The adapters are peft's, put inside the model, which stays the model it was. For sampling and for the checkpoint the sum
W + (α / r) B A is put in W's place, so neither the sampler nor anyone who loads the model needs to know of adapters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.extras import need
from reachlab.training.config import WeightsConfig
from reachlab.training.processes import Processes


def adapt(model: PreTrainedModel, weights: WeightsConfig, processes: Processes) -> None:
    """Put adapters on the model where the settings ask for them.

    Raises:
        ReachlabError: as `add_lora`, or the weights are to be sharded.
    """
    if weights.lora_rank:
        if processes.sharded:
            raise ReachlabError("--lora-rank leaves little to shard: launch without --use_fsdp")
        add_lora(model, weights.lora_rank, weights.lora_alpha)


def check_adapters(weights: WeightsConfig) -> None:
    """Refuse adapters that cannot be made, before a model is fetched or loaded.

    Raises:
        MissingPackageError: peft is not installed.
    """
    if weights.lora_rank:
        need("peft", what="--lora-rank")


def add_lora(model: PreTrainedModel, rank: int, alpha: int) -> None:
    """Freeze the model and put adapters on its linear layers, the output layer left out; they begin as zero.

    Raises:
        ReachlabError: peft is not installed, or the model has no linear layer for it.
    """
    need("peft", what="--lora-rank")
    from peft import LoraConfig, inject_adapter_in_model

    head = model.get_output_embeddings()
    targets = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head]
    if not targets:
        raise ReachlabError(f"{type(model).__name__}: no linear layer for --lora-rank; train the weights themselves")
    model.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=targets), model)


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """The model with plain linear layers whose weights hold the adapters' sum; unchanged for one without adapters.

    The adapted layers come back afterwards, their weights bit for bit as they were. Adapters that others put on, and
    whose sum is not this one (DoRA, on embeddings or quantised weights, merged or switched off), stay as they are.
    """
    adapted = [(name, layer) for name, layer in _adapted(model) if _adds_up(layer)]
    try:
        for name, layer in adapted:
            plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
            with torch.no_grad():
                weight = layer.base_layer.weight + sum(layer.get_delta_weight(a) for a in layer.active_adapters)
            plain.weight = nn.Parameter(weight, requires_grad=False)
            plain.bias = layer.base_layer.bias
            model.set_submodule(name, plain)
        yield
    finally:
        for name, layer in adapted:
            model.set_submodule(name, layer)


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """The model as it was before `add_lora`: what the run began with."""
    adapted = _adapted(model)
    try:
        for _, layer in adapted:
            layer.enable_adapters(False)
        yield
    finally:
        for _, layer in adapted:
            layer.enable_adapters(True)


def _adds_up(layer: Any) -> bool:
    """Whether a layer's function is that of W + (α / r) B A."""
    base = layer.base_layer
    plain = type(base) is nn.Linear and not getattr(layer, "fan_in_fan_out", False)
    others = any(
        getattr(layer, "lora_variant", {}).get(name) or getattr(layer, "lora_bias", {}).get(name)
        for name in layer.active_adapters
    )
    return plain and not others and not layer.merged and not layer.disable_adapters


def _adapted(model: nn.Module) -> list[tuple[str, Any]]:
    """The layers that have adapters, by name."""
    return [(name, m) for name, m in model.named_modules() if hasattr(m, "lora_A")]
