"""Whether a router's method keeps what `moe/method.py` promises of it."""

import tempfile
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import OlmoeForCausalLM

from reachlab.checks.contract import Contract
from reachlab.checks.mixture import logits, tiny_mixture, train
from reachlab.moe import densified, densify, restore, save, undensify
from reachlab.moe.densifying import Densified
from reachlab.moe.method import Method
from reachlab.moe.methods import METHODS


def check_method(method: type[Method], **options: Any) -> None:
    """Put a method on a small mixture of experts, train, save, load, and take it away.

    Args:
        method: its class. options: its fields.

    Raises:
        ContractError: it does not do what a method promises.
    """
    contract = Contract(f"the method {method.__name__}")
    contract.holds(is_dataclass(method), "is no dataclass", "its fields are its options, by which it is saved")
    with METHODS.trying(method) as name, torch.random.fork_rng(devices=[]):
        try_method(name, options, contract)


def try_method(name: str, options: dict[str, Any], contract: Contract) -> None:
    """What `check_method` does, with a method of the list; `contract` is whose promises it tries."""
    model = tiny_mixture()
    before, parameters = logits(model), {n: p.detach().clone() for n, p in model.named_parameters()}
    found = densify(model, name, **options)
    acts = found.layers[0].method.acts_when_frozen
    contract.holds(
        acts or torch.equal(logits(model), before),
        "changes what the model answers outside training",
        "only a method that says acts_when_frozen does",
    )
    train(model)
    _check_gradients(model, contract)
    moved = [n for n, p in model.named_parameters() if not torch.equal(p, parameters[n])]
    contract.holds(not moved, f"moves the model's {moved[:1]}", "parameters are the optimizer's")
    contract.holds(
        acts or torch.equal(logits(model), before),
        "changes what the model answers once it has been trained",
        "only a method that says acts_when_frozen does",
    )
    _check_saved(model, found, contract)
    undensify(model)
    contract.holds(
        torch.equal(logits(model), before) and not any(m._forward_hooks for m in model.modules()),
        "leaves something behind",
        "after undensify the model is as it was",
    )


def _check_gradients(model: OlmoeForCausalLM, contract: Contract) -> None:
    found = densified(model)
    assert found is not None
    for layer in found.layers:
        for what, module in (("router", layer.router), ("experts", layer.experts)):
            gradients = [p.grad for p in module.parameters() if p.requires_grad and p.grad is not None]
            contract.holds(
                all(g.isfinite().all() for g in gradients) and any(g.any() for g in gradients),
                f"leaves the {what} of {layer.name} without a finite gradient",
                "the answer's gradient reaches both",
            )


def _check_saved(model: OlmoeForCausalLM, found: Densified, contract: Contract) -> None:
    """A model whose state was loaded goes on as the one that saved it."""
    other = tiny_mixture()
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        again = restore(other, folder)
    same = {name: torch.equal(tensor, again.state()[name]) for name, tensor in found.state().items()}
    contract.holds(
        all(same.values()) and torch.equal(logits(other), logits(model)),
        f"is another one when it is loaded: {[name for name, equal in same.items() if not equal][:1]}",
        "state names all that it keeps, and load takes it over in place",
    )
    for one in (model, other):
        train(one, steps=2, first=3)
    theirs = dict(other.named_parameters())
    apart = [name for name, parameter in model.named_parameters() if not _equal(parameter.grad, theirs[name].grad)]
    contract.holds(
        not apart,
        f"goes on otherwise after it was loaded: the gradient of {apart[:1]} differs",
        "a killed run ends as one that was left alone: state names all that it keeps",
    )


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)
