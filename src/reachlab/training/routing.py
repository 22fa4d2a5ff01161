"""A training run's choice of how routers learn, put on its model (`moe/`), and what is asked of their load.

Axes. B: rows of a batch, T: tokens, E: experts, K: experts that a token visits, L: layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, restore, saved
from reachlab.moe.balance import Form, load_balancing_loss, z_loss
from reachlab.moe.here import Here
from reachlab.moe.instruments import Recorder
from reachlab.moe.layer import in_backward
from reachlab.moe.methods import METHODS
from reachlab.moe.signals import Routing
from reachlab.training.config import BalanceConfig, RoutingConfig

NOTHING = BalanceConfig(balance=0.0)


def route(
    model: PreTrainedModel, config: RoutingConfig, balance: BalanceConfig = NOTHING, source: str | Path | None = None
) -> None:
    """Give the model's routers the gradient that the run asks for, and ears for its `balance`.

    A run's method learns where `gradient.learning` says so, whatever mode the model is in. `source` is the checkpoint
    that the model comes from: where its routers had the same method and options, their state is taken over.

    Raises:
        ReachlabError: a dense model, a family that cannot be densified, or a checkpoint whose routers have another
            method as a part of what it computes.
    """
    options = _options(config)
    dense = densified(model)
    if dense is not None:  # loading restored it: it is part of the function
        if config.routing != "topk" and (dense.method, dense.options) != (config.routing, options):
            raise ReachlabError(
                f"the checkpoint's routers are {dense.method} {dense.options}, which is part of what it computes: "
                "leave --routing as it is there, or start from another checkpoint"
            )
    elif config.routing != "topk" and source is not None and saved(source) == (config.routing, options):
        restore(model, source)
    elif config.routing != "topk":
        densify(model, config.routing, **options)
    elif any(_weights(model, balance)):
        try:
            densify(model, "topk")
        except ReachlabError as error:
            raise ReachlabError(f"{error}; --balance 0 trains it without a load-balancing loss") from error


@contextmanager
def watched(model: PreTrainedModel) -> Iterator[Recorder | None]:
    """A recorder that hears the model's routers in the passes that are learned from; None for a model that `route` has
    left alone."""
    if densified(model) is None:
        yield None
        return
    with Recorder(model, learned=True) as recorder:
        yield recorder


class RouterSums(Here):
    """What a thread's pass has heard of the routers, until its losses are taken."""

    def __init__(self) -> None:
        self.routings: list[Routing] = []


class Balance:
    """The losses on the routers of the model that `route` prepared; they hear every training pass."""

    def __init__(self, model: PreTrainedModel, config: BalanceConfig, parts: int):
        """`parts` in which a step is computed: pieces one after the other, times processes."""
        self.weight, self.z_weight = _weights(model, config)
        self._form: Form = config.balance_form or "pooled"
        self.parts = parts
        self.active = bool(self.weight or self.z_weight)
        self._here = RouterSums()
        if self.active:
            dense = densified(model)
            assert dense is not None
            self._score = dense.layers[0].site.score
            for layer in dense.layers:
                layer.listeners.append(self._hear)

    def _hear(self, routing: Routing) -> None:
        if torch.is_grad_enabled() and not in_backward():
            self._here.routings.append(routing)

    def losses(self, mask_BT: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """This piece's part of the step's losses, and of what is reported.

        The losses are those of the pieces that all processes compute at the same time, and the mean over such rounds:
        the gradient that a process adds is its own part (`moe.balance`), and a round is one of `parts / processes`.
        """
        heard, self._here.routings = self._here.routings, []
        logits_LTE = [routing.logits_TE for routing in heard]
        processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        total, metrics = torch.zeros((), device=mask_BT.device), {}
        for name, weight in (("balance", self.weight), ("z_loss", self.z_weight)):
            if weight and name == "balance":
                visited = [routing.indices_TK for routing in heard]
                loss = load_balancing_loss(logits_LTE, visited, mask_BT, form=self._form, how=self._score)
            elif weight:
                loss = z_loss(logits_LTE, mask_BT)
            else:
                continue
            # Every process has the whole value, and adds its share of it.
            part = loss - (1 - 1 / processes) * loss.detach()
            total = total + weight * processes / self.parts * part
            metrics[name] = loss.detach() / self.parts
        return total, metrics


def _weights(model: PreTrainedModel, config: BalanceConfig) -> tuple[float, float]:
    own = getattr(model.config.get_text_config(), "router_aux_loss_coef", None) or 0.0
    return (own if config.balance is None else config.balance), config.z_loss


def settled_balance(config: BalanceConfig, here: bool) -> BalanceConfig:
    """The losses with their form settled: by layer for models made here, and otherwise the one that pretrained families
    have in transformers."""
    return replace(config, balance_form=config.balance_form or ("layer" if here else "pooled"))


def _options(config: RoutingConfig) -> dict[str, object]:
    """What the command line says of the method's own options."""
    said: dict[str, object] = {
        "forward": config.default_forward,
        "estimator": config.estimator,
        "update": config.default_update,
        "share": config.probe_share,
    }
    taken = signature(METHODS[config.routing]).parameters
    return {name: value for name, value in said.items() if name in taken}
