"""The demo with pictures: what RL and distilling add to a model that sees, from nothing, in minutes.

The demo's pipeline on `scenes`: a small vision-language model learns to look from ordinary attempts, half of which
misread something, and never sees an area asked for; RL, RL with PODS, and a solver that does show areas, come from it.
arXiv 2504.13837 (section 3.3) has this for Qwen2.5-VL-7B on MathVista and MathVision.

The control: base and distilled model are asked the same questions with noise for the pictures. Who looks falls to the
guess rate, the mean over problems of Π 1/most, the chance that readings drawn at random are all right.
"""

from pathlib import Path

import numpy as np

from reachlab.models.config import ModelConfig
from reachlab.studies.config import VisualConfig
from reachlab.studies.recipe import StudyRecipe, run_recipe
from reachlab.studies.study import Tell
from reachlab.tasks.scenes import Scenes
from reachlab.training.config import PretrainConfig

RECIPE = StudyRecipe(
    task="scenes",
    pretrain=PretrainConfig(data="scenes,figures=0", out="", model=ModelConfig(family="llava"), batch=64),
    batch=64,
    answer_tokens=26,  # of the longest right answer
    # As long as each other: a step of PODS takes twice a step of GRPO.
    steps={"base": 300, "pods": 100, "distilled": 300, "grpo": 200},
    blind=("base", "distilled"),
)


def run_visual(config: VisualConfig, tell: Tell = lambda _: None) -> Path:
    """Run what is not finished of it; returns the report's path."""
    scenes = Scenes()
    guessed = np.mean([scenes.chance(problem) for problem in scenes.problems("test", config.problems)])
    note = f"readings drawn at random are right in {guessed:.2%} of answers: what a blind model can do at k = 1"
    return run_recipe(RECIPE, config, "Visual: what RL and distilling added to a model that sees", [note])
