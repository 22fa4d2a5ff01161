"""What the formulas say, expert by expert in plain loops: to hold the library against."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.moe import densified
from reachlab.moe.methods.default import Default
from reachlab.moe.sites import find_layers


@dataclass
class Call:
    """One pass through one layer."""

    experts: nn.Module
    logits_TE: Tensor
    hidden_TD: Tensor
    indices_TK: Tensor
    weights_TK: Tensor
    output_TD: Tensor
    answers_TED: Tensor
    """What every expert would answer, with whatever adapters it has at the time."""


@contextmanager
def calls(model: nn.Module) -> Iterator[list[Call]]:
    """Every pass through every layer inside the block, in order, as the experts saw it."""
    found: list[Call] = []
    handles: list[Any] = []
    for site in find_layers(model):
        routed: list[Any] = []

        def on_router(module: nn.Module, args: Any, output: Any, routed: list[Any] = routed) -> None:
            routed[:] = output

        def on_experts(module: nn.Module, args: Any, kwargs: Any, output: Tensor, routed: list[Any] = routed) -> None:
            hidden, indices, weights = [*args, *kwargs.values()][:3]
            if indices.shape != routed[2].shape:
                return  # somebody visits the experts beside the model's pass
            logits_TE = routed[0].reshape(-1, routed[0].shape[-1])
            answers_TED = every_answer(module, hidden)
            heard = (logits_TE, hidden, indices, weights, output, answers_TED)
            found.append(Call(module, *(a.detach().clone() for a in heard)))

        handles.append(site.router.register_forward_hook(on_router))
        handles.append(site.experts.register_forward_hook(on_experts, with_kwargs=True))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def every_answer(experts: Any, hidden_TD: Tensor) -> Tensor:
    """E_i(x), (T, E, D): transformers' plain loop, one expert at a time, past all hooks."""
    T = len(hidden_TD)
    before, experts.config._experts_implementation = experts.config._experts_implementation, "eager"
    try:
        with torch.no_grad():
            ones_T1 = torch.ones_like(hidden_TD[:, :1])
            rows = [
                experts.forward(hidden_TD, torch.full((T, 1), i, dtype=torch.int64), ones_T1)
                for i in range(experts.num_experts)
            ]
            return torch.stack(rows, 1)
    finally:
        experts.config._experts_implementation = before


def moved(vectors_ED: Tensor, seen: list[Call], beta: float, weighted: bool = True) -> Tensor:
    """Ê after one update from some passes through a layer: β Ê + (1 − β) Σ w E(x) / Σ w, slot by slot."""
    result_ED = vectors_ED.double().clone()
    totals, sums = [0.0] * len(vectors_ED), [torch.zeros(vectors_ED.shape[1], dtype=torch.float64) for _ in vectors_ED]
    for call in seen:
        for t, row in enumerate(call.indices_TK.tolist()):
            for k, i in enumerate(row):
                weight = float(call.weights_TK[t, k]) if weighted else 1.0
                totals[i] += weight
                sums[i] = sums[i] + weight * call.answers_TED[t, i].double()
    for i, total in enumerate(totals):
        if total:
            result_ED[i] = beta * result_ED[i] + (1 - beta) * sums[i] / total
    return result_ED


def vectors(model: nn.Module) -> list[Tensor]:
    """A copy of every layer's Ê."""
    found = densified(model)
    assert found is not None
    methods = [layer.method for layer in found.layers]
    assert all(isinstance(method, Default) for method in methods)
    return [method.stand.vectors().clone() for method in methods if isinstance(method, Default)]


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """The gradient of every parameter that has one."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def loss(model: PreTrainedModel, **given: Tensor) -> Tensor:
    """A number that all logits have a part in."""
    logits: Tensor = model(**given).logits
    generator = torch.Generator().manual_seed(7)
    found: Tensor = (logits * torch.randn(logits.shape[-1], generator=generator).to(logits)).tanh().mean()
    return found
