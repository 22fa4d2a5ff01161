"""Table 2 of arXiv 2504.13837 in small: several RL algorithms from one base, at k = 1 and at large k.

    ΔSE = pass@K(base) − pass@1(trained),   K = the samples drawn a problem

The sampling-efficiency gap: how far a trained model's single answer is from what its base reaches in K. The paper found
it large for every algorithm, and the algorithms nearly alike. Each algorithm is trained from the same base with several
seeds; its numbers are means over seeds, with intervals from resampled problems and, within each resample, resampled
seeds.
"""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.errors import ReachlabError
from reachlab.report.page import write_report
from reachlab.runs import RunFolder, write_atomically
from reachlab.sampling.store import SampleStore
from reachlab.studies.config import AlgorithmsConfig
from reachlab.studies.stages import Stage, run_stages
from reachlab.training.rl_config import AlgorithmName

NAMES: tuple[str, ...] = get_args(AlgorithmName)
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Row:
    """One algorithm's numbers, each with the ends of its interval; the base has no gap of its own."""

    name: str
    pass_1: tuple[float, float, float]
    pass_most: tuple[float, float, float]
    gap: tuple[float, float, float]
    """ΔSE."""
    moved: tuple[float, float, float]
    """pass@K less the base's: below 0 the boundary has narrowed."""


def algorithm_stages(config: AlgorithmsConfig, cores: int) -> list[Stage]:
    """Every command of the study; the slowest algorithms come first."""
    out = config.out
    asked = ("--task", config.task, "--max-tokens", str(config.max_tokens))
    measured = ("--problems", str(config.problems), "--samples", str(config.samples))
    taken = f"--prompts {config.prompts} --rollouts {config.rollouts} --steps {config.steps} --threads 1".split()

    def sample(name: str, model: str, needs: tuple[str, ...]) -> Stage:
        words = ("sample", "--model", model, *asked, *measured, "--out", f"{out}/samples/{name}")
        return Stage(f"sample {name}", words, needs)

    base, stages = config.base, list[Stage]()
    needs: tuple[str, ...] = ()
    if not base:
        base, needs = f"{out}/base", ("base",)
        data = "countdown,division=0" if config.task.startswith("countdown") else config.task
        pretraining = ("pretrain", "--data", data, "--steps", "480", "--threads", str(cores), "--out", base)
        stages.append(Stage("base", pretraining, threads=cores))
    runs = [(name, f"{name}-{seed}", seed) for seed in range(config.seeds) for name in reversed(NAMES)]
    for name, run, seed in runs:
        chosen = ("--algorithm", name, *shlex.split(config.select), "--seed", str(seed))
        words = ("rl", "--model", base, *asked, *taken, *chosen, "--out", f"{out}/{run}")
        stages.append(Stage(run, words, needs))
    stages.append(sample("base", base, needs))
    return [*stages, *(sample(run, f"{out}/{run}", (run,)) for _, run, _ in runs)]


def run_algorithms(config: AlgorithmsConfig) -> Path:
    """Run every stage that is not finished, print the table, write it as JSON beside a report of the first seed's runs.

    Raises:
        ReachlabError: a stage failed.
    """
    cores = len(os.sched_getaffinity(0))
    run_stages(algorithm_stages(config, cores), cores)

    def read(run: str) -> Outcomes:
        return SampleStore(RunFolder(f"{config.out}/samples/{run}")).outcomes()

    base, trained = read("base"), {name: [read(f"{name}-{s}") for s in range(config.seeds)] for name in NAMES}
    rows, most = summarise(base, trained), largest_k([base, *(run for runs in trained.values() for run in runs)])
    document = {"k": most, "config": asdict(config), "rows": [asdict(row) for row in rows]}
    write_atomically(Path(config.out) / "algorithms.json", (json.dumps(document, indent=2) + "\n").encode())
    print_rows(rows, most)
    folders = [RunFolder(f"{config.out}/samples/{run}") for run in ("base", *(f"{name}-0" for name in NAMES))]
    comparison = compare([SampleStore(folder).outcomes() for folder in folders])
    return write_report(
        comparison, folders, Path(config.out) / "report.html", title="Seven algorithms from one base, seed 0"
    )


def summarise(base: Outcomes, trained: dict[str, list[Outcomes]], resamples: int = RESAMPLES) -> list[Row]:
    """The base's row and one an algorithm; K is the smallest number of scored samples of any problem.

    Raises:
        ReachlabError: runs on different problems.
    """
    runs = [run for seeds in trained.values() for run in seeds]
    if any(run.problem_ids != base.problem_ids for run in runs):
        raise ReachlabError("the runs are not on the same problems; sample them with the same --problems")
    most = largest_k([base, *runs])

    def values(run: Outcomes) -> NDArray[np.float64]:
        return pass_at_k(run.n_P, run.c_P, [1, most])

    rng = np.random.default_rng(0)
    problems = len(base.problem_ids)
    who_BP = rng.integers(problems, size=(resamples, problems))
    start_P2 = values(base)
    start_B2 = start_P2[who_BP].mean(1)
    rows = [_row("base", start_P2.mean(0), start_B2, start_P2.mean(0), start_B2)]
    for name, seeds in trained.items():
        found_SP2 = np.stack([values(run) for run in seeds])
        seeds_BS = rng.integers(len(seeds), size=(resamples, len(seeds)))
        found_B2 = np.stack([found_SP2[s][:, p].mean((0, 1)) for s, p in zip(seeds_BS, who_BP, strict=True)])
        rows.append(_row(name, found_SP2.mean((0, 1)), found_B2, start_P2.mean(0), start_B2))
    return rows


def largest_k(runs: Sequence[Outcomes]) -> int:
    """The smallest number of scored samples of any problem in any run."""
    return int(min(run.n_P.min() for run in runs))


def _row(
    name: str,
    found_2: NDArray[np.float64],
    found_B2: NDArray[np.float64],
    start_2: NDArray[np.float64],
    start_B2: NDArray[np.float64],
) -> Row:
    def interval(value: float, values_B: NDArray[np.float64]) -> tuple[float, float, float]:
        low, high = np.quantile(values_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(value), float(low), float(high)

    return Row(
        name=name,
        pass_1=interval(found_2[0], found_B2[:, 0]),
        pass_most=interval(found_2[1], found_B2[:, 1]),
        gap=interval(start_2[1] - found_2[0], start_B2[:, 1] - found_B2[:, 0]),
        moved=interval(found_2[1] - start_2[1], found_B2[:, 1] - start_B2[:, 1]),
    )


def print_rows(rows: list[Row], most: int, console: Console | None = None) -> None:
    """The table, in percent and percentage points."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("algorithm")
    for name in ("pass@1", f"pass@{most}", "ΔSE", f"pass@{most} less the base's"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_cell(*found) for found in (row.pass_1, row.pass_most, row.gap)]
        table.add_row(row.name, *cells, "" if row.name == "base" else _cell(*row.moved, sign="+"))
    (console or Console()).print(table)


def _cell(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"
