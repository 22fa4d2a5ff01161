"""From nothing to a report: a base, GRPO, GRPO with PODS, a distilled model, and the samples of all four.

`demo.py` and `visual.py` are two recipes. Every stage is one command that can be run by hand and goes on where it was.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from reachlab.boundary.compare import compare
from reachlab.report.page import write_report
from reachlab.report.tables import print_comparison
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies.config import DemoConfig, VisualConfig
from reachlab.studies.stages import Stage, check_study, run_stages

MODELS = ("base", "grpo", "pods", "distilled")
MADE_BY = {"base": "pretrain base", "grpo": "RL, GRPO 16", "pods": "RL, PODS 64 to 16", "distilled": "distil"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a study's commands say. `steps` by model; `blind` are the models that are also asked with noise for pictures
    (the task's ``blind=true``)."""

    task: str
    pretrain: str
    distill: str = ""
    answer_tokens: int
    steps: dict[str, int]
    blind: tuple[str, ...] = ()


def runs_of(recipe: Recipe) -> list[str]:
    """The names of the runs that are compared, the base's first."""
    return [*MODELS, *(f"{name}-blind" for name in recipe.blind)]


def recipe_stages(recipe: Recipe, config: DemoConfig | VisualConfig) -> list[Stage]:
    """Every command of the study."""

    def stage(name: str, folder: str, words: str, model: str = "", threads: int = 1) -> Stage:
        where = ("--seed", str(config.seed), "--out", f"{config.out}/{folder}")
        source = ("--model", f"{config.out}/{model}") if model else ()
        return Stage(name, (*words.split(), *source, *where), (MADE_BY[model],) if model else (), threads)

    def train(name: str, words: str, model: str = "", threads: int = 1) -> Stage:
        length = f"--steps {max(2, round(recipe.steps[name] * config.scale))} --threads {threads}"
        return stage(MADE_BY[name], name, f"{words} {length}", model, threads)

    def ask(run: str) -> Stage:
        name = run.removesuffix("-blind")
        task = recipe.task if run == name else f"{recipe.task},blind=true"
        asked = f"--problems {config.problems} --samples {config.samples} --max-tokens {recipe.answer_tokens}"
        return stage(f"sample {run}", f"samples/{run}", f"sample --task {task} {asked}", name)

    rl = f"rl --task {recipe.task} --prompts 24 --max-tokens {recipe.answer_tokens}"
    return [
        train("base", recipe.pretrain, threads=2),
        # The longest first, so that no core waits at the end.
        train("pods", f"{rl} --rollouts 64 --keep 16 --rule max_variance", "base"),
        train("distilled", f"distill --teacher solver --task {recipe.task} {recipe.distill}", "base"),
        train("grpo", f"{rl} --rollouts 16", "base"),
        *map(ask, runs_of(recipe)),
    ]


def run_recipe(recipe: Recipe, config: DemoConfig | VisualConfig, title: str, notes: Sequence[str] = ()) -> Path:
    """Run every stage that is not finished, compare the models, print the table and the notes, write the report."""
    began = time.monotonic()
    check_study(config.out, *(f"{name}/run.json" for name in MODELS))
    seconds = run_stages(recipe_stages(recipe, config), cores=len(os.sched_getaffinity(0)))
    folders = [RunFolder(f"{config.out}/samples/{name}") for name in runs_of(recipe)]
    comparison = compare([SampleStore(folder).outcomes() for folder in folders], seed=config.seed)
    print_comparison(comparison)
    times = {f"time of {name}": f"{taken:.0f} s" for name, taken in seconds.items()}
    page = write_report(comparison, folders, Path(config.out) / "report.html", title=title, extra=times)
    for note in (*notes, f"{time.monotonic() - began:.0f} s in all; the report is {page}"):
        Console().print(note, highlight=False)
    return page
