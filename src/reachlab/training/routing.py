"""A training run's choice of how routers learn, put on its model (`moe/`)."""

from pathlib import Path

from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify, restore, saved
from reachlab.training.config import RoutingConfig


def route(model: PreTrainedModel, config: RoutingConfig, source: str | Path | None = None) -> None:
    """Give the model's routers the gradient that the run asks for; its experts then learn, whatever mode it is in.

    `source` is the checkpoint that the model comes from: where its routers had the same method and options, their state
    is taken over, and so is a method that is a part of the model's function.

    Raises:
        ReachlabError: a dense model, a family that cannot be densified, or a checkpoint whose function has another method.
    """
    options = _options(config)
    present = densified(model)
    if present is not None:  # loading restored it: it is part of the function
        if config.routing != "topk" and (present.method, present.options) != (config.routing, options):
            raise ReachlabError(
                f"the checkpoint's routers are {present.method} {present.options}, which is a part of what it computes: "
                "leave --routing as it is there, or start from another checkpoint"
            )
    elif config.routing != "topk":
        if source is not None and saved(source) == (config.routing, options):
            present = restore(model, source)
        else:
            present = densify(model, config.routing, **options)
    if present is not None:
        for layer in present.layers:
            layer.experts.train()


def _options(config: RoutingConfig) -> dict[str, object]:
    if config.routing != "default":
        return {}
    return {
        "forward": config.default_forward,
        "estimator": config.estimator,
        "update": config.default_update,
        "share": config.probe_share,
    }
