"""What a training command does where its user says nothing: a row by stage, origin, kind of weights, and size.

A model that was made here from nothing is small, and learns with rates that destroy a pretrained one in a single
update. The rows of models pretrained elsewhere follow what the field uses; docs/training.md has the table with its
sources. LoRA's learning rate is ten times that of all weights (*LoRA Without Regret*, Thinking Machines 2025), and
smaller models take larger ones. What a user says comes before the row; what was settled is in the run's identity.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from reachlab.training.config import DistillConfig, OptimizerChoice, OptimizerConfig
from reachlab.training.rl_config import RLConfig

if TYPE_CHECKING:
    from reachlab.models.origin import Origin

Stage = Literal["rl", "distill"]

MUON = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=20, schedule="linear")
"""What pretraining does, and distilling what it made."""


@dataclass(frozen=True, kw_only=True)
class RecipeRow:
    """A row."""

    stage: Stage
    here: bool
    """Of models pretrained here, or elsewhere."""
    lora: bool
    """Of adapters, or of all weights."""
    up_to: float = math.inf
    """The most parameters it is for; of several rows that fit, the smallest model's."""
    optimizer: OptimizerConfig
    steps: int
    prompts: int = 0
    rollouts: int = 0
    batch: int = 0


def _adamw(lr: float, warmup: int, schedule: Literal["constant", "linear"] = "constant") -> OptimizerConfig:
    return OptimizerConfig(method="adamw", lr=lr, warmup=warmup, schedule=schedule)


def _rl(up_to: float, lr: float) -> Iterator[RecipeRow]:
    shape: dict[str, Any] = {"stage": "rl", "here": False, "up_to": up_to, "steps": 60, "prompts": 8, "rollouts": 8}
    yield RecipeRow(**shape, lora=False, optimizer=_adamw(lr, 5))
    yield RecipeRow(**shape, lora=True, optimizer=_adamw(10 * lr, 5))


def _distill(up_to: float, lr: float) -> Iterator[RecipeRow]:
    shape: dict[str, Any] = {"stage": "distill", "here": False, "up_to": up_to, "steps": 100, "batch": 32}
    yield RecipeRow(**shape, lora=False, optimizer=_adamw(lr, 10, "linear"))
    yield RecipeRow(**shape, lora=True, optimizer=_adamw(10 * lr, 10, "linear"))


RECIPES = (
    RecipeRow(stage="rl", here=True, lora=False, optimizer=_adamw(3e-4, 0), steps=100, prompts=32, rollouts=16),
    RecipeRow(stage="rl", here=True, lora=True, optimizer=_adamw(3e-3, 0), steps=100, prompts=32, rollouts=16),
    RecipeRow(stage="distill", here=True, lora=False, optimizer=MUON, steps=800, batch=128),
    RecipeRow(stage="distill", here=True, lora=True, optimizer=_adamw(1e-2, 20, "linear"), steps=800, batch=128),
    *_rl(1e9, 1e-5),
    *_rl(5e9, 3e-6),
    *_rl(math.inf, 1e-6),
    *_distill(1e9, 5e-5),
    *_distill(5e9, 2e-5),
    *_distill(math.inf, 1e-5),
)


def find_recipe(stage: Stage, origin: "Origin", lora: bool) -> RecipeRow:
    """The row for a model."""
    fitting = [
        r for r in RECIPES
        if (r.stage, r.here, r.lora) == (stage, origin.here, lora) and origin.parameters <= r.up_to
    ]  # fmt: skip
    return min(fitting, key=lambda r: r.up_to)


def settle_rl(config: RLConfig, origin: "Origin") -> RLConfig:
    """The configuration with nothing left open."""
    recipe = find_recipe("rl", origin, config.weights.lora_rank > 0)
    return replace(
        config,
        prompts=config.prompts or recipe.prompts,
        budget=replace(config.budget, rollouts=config.budget.rollouts or recipe.rollouts),
        optimizer=config.optimizer.settled(recipe.optimizer),
        loop=replace(config.loop, steps=config.loop.steps or recipe.steps),
    )


def settle_distill(config: DistillConfig, origin: "Origin") -> DistillConfig:
    """The configuration with nothing left open."""
    recipe = find_recipe("distill", origin, config.weights.lora_rank > 0)
    return replace(
        config,
        batch=config.batch or recipe.batch,
        optimizer=config.optimizer.settled(recipe.optimizer),
        loop=replace(config.loop, steps=config.loop.steps or recipe.steps),
    )


def settled_optimizer(choice: OptimizerChoice) -> OptimizerConfig:
    """The optimizer of a settled configuration."""
    assert isinstance(choice, OptimizerConfig), "settle the configuration first"
    return choice


def say(given: RLConfig | DistillConfig, settled: RLConfig | DistillConfig, origin: "Origin") -> str:
    """What the recipe chose, in one line; empty where the user has said it all."""
    open_ones = {name: value for name, value in _shape(settled).items() if not _shape(given)[name]}
    sizes = ", ".join(f"{name} {value}" for name, value in open_ones.items())
    chosen = given.optimizer.given()
    moves = settled_optimizer(settled.optimizer)
    rate = "" if "lr" in chosen and "method" in chosen else _moves(moves, chosen)
    if not rate and not sizes:
        return ""
    what = "adapters" if settled.weights.lora_rank else "all weights"
    where = "pretrained here" if origin.here else "pretrained elsewhere"
    options = (
        [f"--{said}" for name, said in (("lr", "lr"), ("method", "optimizer")) if name not in chosen] if rate else []
    )
    options += [f"--{name}" for name in open_ones]
    does = "; ".join(filter(None, (rate, sizes)))
    return f"{where}, {_size(origin.parameters)}, {what}: {does} (yours with {' '.join(options)})"


def _moves(moves: OptimizerConfig, chosen: Mapping[str, Any]) -> str:
    rate = f"Muon {moves.muon_lr:g}, AdamW {moves.lr:g}" if moves.method == "muon" else f"AdamW {moves.lr:g}"
    rises = f" after {moves.warmup} steps of warm-up" if moves.warmup and "warmup" not in chosen else ""
    return f"{rate}, {moves.schedule}{rises}"


def _shape(config: RLConfig | DistillConfig) -> dict[str, int]:
    if isinstance(config, RLConfig):
        return {"steps": config.loop.steps, "prompts": config.prompts, "rollouts": config.budget.rollouts}
    return {"steps": config.loop.steps, "batch": config.batch}


def _size(parameters: int) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{letter}"
    return f"{parameters / 1e3:.3g}K"
