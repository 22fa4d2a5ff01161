"""From nothing to a report: a base, GRPO, GRPO with PODS, a distilled model, and the samples of all four.

`demo.py` and `visual.py` are two recipes. Every stage is one command that can be run by hand and goes on where it was.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from reachlab.boundary.compare import compare
from reachlab.engines.config import DecodingChoice
from reachlab.reporting.making import Extra
from reachlab.reporting.page import write_report
from reachlab.reporting.tables import print_comparison
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.store.samples import SampleStore
from reachlab.studies.config import DemoConfig, VisualConfig
from reachlab.studies.stages import Stage, check_study, run_stages
from reachlab.studies.times import StageTimes
from reachlab.training.config import DistillConfig, LoopConfig, PretrainConfig
from reachlab.training.rl_config import BudgetConfig, RLConfig, SelectionConfig

MODELS = ("base", "grpo", "pods", "distilled")
MADE_BY = {"base": "pretrain base", "grpo": "RL, GRPO 16", "pods": "RL, PODS 64 to 16", "distilled": "distil"}


@dataclass(frozen=True, kw_only=True)
class StudyRecipe:
    """What a study's commands take. `steps` by model; `blind` are the models that are also asked with noise for
    pictures (the task's ``blind=true``)."""

    task: str
    pretrain: PretrainConfig
    """Of the base; folder, seed and steps follow."""
    batch: int = 0
    """Answers a step of distilling; 0 takes the recipe's."""
    answer_tokens: int
    steps: dict[str, int]
    blind: tuple[str, ...] = ()


def runs_of(recipe: StudyRecipe) -> list[str]:
    """The names of the runs that are compared, the base's first."""
    return [*MODELS, *(f"{name}-blind" for name in recipe.blind)]


def recipe_stages(recipe: StudyRecipe, config: DemoConfig | VisualConfig) -> list[Stage]:
    """Every command of the study."""
    out, base = config.out, f"{config.out}/base"

    def loop(name: str, usual: LoopConfig, threads: int = 1) -> LoopConfig:
        steps = max(2, round(recipe.steps[name] * config.scale))
        return replace(usual, steps=steps, threads=threads, seed=config.seed)

    def rl(name: str, selection: SelectionConfig, rollouts: int) -> Stage:
        asked = RLConfig(
            model=base,
            task=recipe.task,
            out=f"{out}/{name}",
            prompts=24,
            max_tokens=recipe.answer_tokens,
            selection=selection,
            budget=BudgetConfig(rollouts=rollouts),
            loop=loop(name, RLConfig.loop),
        )
        return Stage(MADE_BY[name], asked, (MADE_BY["base"],))

    def ask(run: str) -> Stage:
        name = run.removesuffix("-blind")
        asked = SampleConfig(
            model=f"{out}/{name}",
            task=recipe.task if run == name else f"{recipe.task},blind=true",
            out=f"{out}/samples/{run}",
            problems=config.problems,
            samples=config.samples,
            decoding=DecodingChoice(max_tokens=recipe.answer_tokens),
            seed=config.seed,
        )
        return Stage(f"sample {run}", asked, (MADE_BY[name],))

    pretraining = replace(recipe.pretrain, out=base, loop=loop("base", recipe.pretrain.loop, threads=2))
    distilling = DistillConfig(
        model=base,
        teacher="solver",
        task=recipe.task,
        out=f"{out}/distilled",
        batch=recipe.batch,
        loop=loop("distilled", DistillConfig.loop),
    )
    return [
        Stage(MADE_BY["base"], pretraining, threads=2),
        # The longest first, so that no core waits at the end.
        rl("pods", SelectionConfig(rule="max_variance", keep=16), 64),
        Stage(MADE_BY["distilled"], distilling, (MADE_BY["base"],)),
        rl("grpo", SelectionConfig(), 16),
        *map(ask, runs_of(recipe)),
    ]


def run_recipe(recipe: StudyRecipe, config: DemoConfig | VisualConfig, title: str, notes: Sequence[str] = ()) -> Path:
    """Run every stage that is not finished, compare the models, print the table and the notes, write the report."""
    began = time.monotonic()
    check_study(config.out, *(f"{name}/run.json" for name in MODELS))
    stages, times = recipe_stages(recipe, config), StageTimes(config.out)
    run_stages(stages, len(os.sched_getaffinity(0)), times)
    folders = [RunFolder(f"{config.out}/samples/{name}") for name in runs_of(recipe)]
    comparison = compare([SampleStore(folder).outcomes() for folder in folders], seed=config.seed)
    print_comparison(comparison)
    extra = {f"time of {stage.name}, with starting up": times.words(stage.name) for stage in stages}
    page = write_report(comparison, folders, Path(config.out) / "report.html", title=title, extra=Extra(rows=extra))
    for note in (*notes, f"{time.monotonic() - began:.0f} s in all; the report is {page}"):
        Console().print(note, highlight=False)
    return page
