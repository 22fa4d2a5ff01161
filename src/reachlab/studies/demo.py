"""The demo: what RL and distilling add to a small model, from nothing, in minutes.

A base model learns Countdown from ordinary attempts, half of them wrong, that never divide. From it come three models:
GRPO on 16 rollouts; GRPO on 16 of 64 rollouts chosen for their reward variance (PODS); and a model distilled from a
solver that does divide. Each answers the same held-out problems many times. What the paper found in large models
(arXiv 2504.13837) can be looked for in the report: does RL make right answers likelier and yet solve fewer problems at
large k than its base, and does distillation solve more?
"""

from pathlib import Path

from reachlab.models.config import ModelConfig
from reachlab.studies.config import DemoConfig
from reachlab.studies.recipe import StudyRecipe, run_recipe
from reachlab.studies.study import Tell
from reachlab.training.config import PretrainConfig, RoutingConfig


def demo_recipe(config: DemoConfig) -> StudyRecipe:
    """What its commands take."""
    model, routing = ModelConfig(family="qwen3"), RoutingConfig()
    if config.routing != "dense":
        model, routing = ModelConfig(family="olmoe"), RoutingConfig(routing=config.routing)
    return StudyRecipe(
        task="countdown,division=0.2",
        pretrain=PretrainConfig(data="countdown,division=0", out="", model=model, routing=routing),
        answer_tokens=14,
        steps={"base": 480, "pods": 100, "distilled": 320, "grpo": 100},
    )


def run_demo(config: DemoConfig, tell: Tell = lambda _: None) -> Path:
    """Run what is not finished of it; returns the report's path."""
    return run_recipe(demo_recipe(config), config, "Demo: what RL and distilling added")
