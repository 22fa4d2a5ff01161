"""The demo: results A and C on a laptop, from nothing, in minutes.

A base model learns Countdown from ordinary attempts, half of them wrong, that never divide. From it come three models:
GRPO on 16 rollouts; GRPO on 16 of 64 rollouts chosen for their reward variance (PODS); and a model distilled from a
solver that does divide. Each answers the same held-out problems many times. What the paper found in large models
(arXiv 2504.13837) can be looked for in the report: does RL make right answers likelier and yet solve fewer problems at
large k than its base, and does distillation solve more?
"""

import os
import time
from pathlib import Path

from rich.console import Console

from reachlab.boundary.compare import compare
from reachlab.report.page import write_report
from reachlab.report.tables import print_comparison
from reachlab.runs import RunFolder
from reachlab.sampling.store import SampleStore
from reachlab.studies.config import DemoConfig
from reachlab.studies.stages import Stage, run_stages

MODELS = ("base", "grpo", "pods", "distilled")
TASK = "countdown,division=0.2"
ANSWER_TOKENS = "14"


def demo_stages(config: DemoConfig) -> list[Stage]:
    """Every command of the demo. Each can be run by hand."""
    made_by = {"base": "pretrain base", "grpo": "RL, GRPO 16", "pods": "RL, PODS 64 to 16", "distilled": "distil"}

    def stage(name: str, folder: str, words: str, model: str = "", threads: int = 1) -> Stage:
        where = ("--seed", str(config.seed), "--out", f"{config.out}/{folder}")
        source = ("--model", f"{config.out}/{model}") if model else ()
        return Stage(name, (*words.split(), *source, *where), (made_by[model],) if model else (), threads)

    def train(name: str, words: str, steps: int, model: str = "", threads: int = 1) -> Stage:
        length = f"--steps {max(2, round(steps * config.scale))} --threads {threads}"
        return stage(made_by[name], name, f"{words} {length}", model, threads)

    shape = "--family qwen3" if config.routing == "dense" else f"--family olmoe --routing {config.routing}"
    rl = f"rl --task {TASK} --prompts 24 --max-tokens {ANSWER_TOKENS}"
    asked = f"--task {TASK} --problems {config.problems} --samples {config.samples} --max-tokens {ANSWER_TOKENS}"
    return [
        train("base", f"pretrain --data countdown,division=0 {shape}", 480, threads=2),
        # The longest first, so that no core waits at the end.
        train("pods", f"{rl} --rollouts 64 --keep 16 --rule max_variance", 100, "base"),
        train("distilled", f"distill --teacher solver --task {TASK}", 320, "base"),
        train("grpo", f"{rl} --rollouts 16", 100, "base"),
        *(stage(f"sample {name}", f"samples/{name}", f"sample {asked}", name) for name in MODELS),
    ]


def run_demo(config: DemoConfig) -> Path:
    """Run every stage that is not finished, compare the four models, print the table, write the report."""
    began = time.monotonic()
    seconds = run_stages(demo_stages(config), cores=len(os.sched_getaffinity(0)))
    folders = [RunFolder(f"{config.out}/samples/{name}") for name in MODELS]
    comparison = compare([SampleStore(folder).outcomes() for folder in folders], seed=config.seed)
    print_comparison(comparison)
    times = {f"time of {name}": f"{taken:.0f} s" for name, taken in seconds.items()}
    page = write_report(
        comparison,
        folders,
        Path(config.out) / "report.html",
        title="Demo: what RL and distilling added",
        extra=times,
    )
    Console().print(f"{time.monotonic() - began:.0f} s in all; the report is {page}", highlight=False)
    return page
