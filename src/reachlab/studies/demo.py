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
    out, seed = config.out, ("--seed", str(config.seed))

    def steps(n: int) -> tuple[str, str]:
        return "--steps", str(max(2, round(n * config.scale)))

    def folder(name: str) -> str:
        return f"{out}/{name}"

    shape = ("--family", "qwen3") if config.routing == "dense" else ("--family", "olmoe")
    rl = (
        "rl",
        "--model",
        folder("base"),
        "--task",
        TASK,
        *steps(100),
        "--max-tokens",
        ANSWER_TOKENS,
        "--threads",
        "1",
        *seed,
    )
    training = [
        Stage(
            "pretrain base",
            (
                "pretrain",
                "--data",
                "countdown,division=0",
                *shape,
                *steps(800),
                "--threads",
                "2",
                *seed,
                "--out",
                folder("base"),
            ),
            threads=2,
        ),
        Stage(
            "distil",
            (
                "distill",
                "--model",
                folder("base"),
                "--teacher",
                "solver",
                "--task",
                TASK,
                *steps(800),
                "--threads",
                "1",
                *seed,
            )
            + ("--out", folder("distilled")),
            needs=("pretrain base",),
        ),
        Stage(
            "RL, PODS 64 to 16",
            (*rl, "--rollouts", "64", "--keep", "16", "--rule", "max_variance", "--out", folder("pods")),
            needs=("pretrain base",),
        ),
        Stage("RL, GRPO 16", (*rl, "--rollouts", "16", "--out", folder("grpo")), needs=("pretrain base",)),
    ]
    made_by = dict(zip(MODELS, ("pretrain base", "RL, GRPO 16", "RL, PODS 64 to 16", "distil"), strict=True))
    sampling = [
        Stage(
            f"sample {name}",
            ("sample", "--model", folder(name), "--task", TASK, "--problems", str(config.problems))
            + (
                "--samples",
                str(config.samples),
                "--max-tokens",
                ANSWER_TOKENS,
                *seed,
                "--out",
                f"{out}/samples/{name}",
            ),
            needs=(made_by[name],),
        )
        for name in MODELS
    ]
    return training + sampling


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
