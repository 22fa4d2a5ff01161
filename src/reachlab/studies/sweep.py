"""One choice of RL, made in several ways from one base and with several seeds, measured at k = 1 and at large k.

    ΔSE = pass@K(base) − pass@1(trained),   K = the samples drawn a problem

The sampling-efficiency gap: how far a trained model's single answer is from what its base reaches in K (arXiv
2504.13837, Table 2). Each variant is trained from the same base with the same seeds; its numbers are means over seeds,
with intervals from resampled problems and, within each resample, resampled seeds. What is swept is a row of variants:
`algorithms.py`, `rollouts.py` and `kl.py` have one each.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.special import ndtri

from reachlab.boundary import student
from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.commands.words import with_words
from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.reporting.page import write_report
from reachlab.runs import RunFolder, write_atomically
from reachlab.sampling.config import SampleConfig
from reachlab.store.samples import SampleStore
from reachlab.studies.config import SweepConfig
from reachlab.studies.stages import Stage, at_once, check_study, pinned, run_stages
from reachlab.studies.study import Tell
from reachlab.training.config import PretrainConfig
from reachlab.training.rl_config import RLConfig

RESAMPLES = 10_000
LEVEL = 0.95
WIDE = 120
"""Characters a line in which the table has room for intervals beside their numbers."""

Interval = tuple[float, float, float]
"""A number, and the ends of its interval."""


@dataclass(frozen=True)
class Variant:
    """One way to train."""

    name: str
    """What the table calls it."""
    changes: Mapping[str, Any]
    """Fields of the `RLConfig` that all variants share, and what they are here."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A row of variants."""

    file: str
    """Of the results, FILE.json."""
    column: str
    """What the variants are: the head of the table's first column."""
    title: str
    """Of the report."""
    folder: str
    """What begins the name of a variant's runs, before the variant's own."""
    variants: tuple[Variant, ...]
    ordered: bool
    """Whether the variants are values of a quantity: the last is then held against the first."""

    def run(self, variant: Variant, seed: int) -> str:
        """The folder's name of a variant's run."""
        return f"{self.folder}{variant.name}-{seed}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant's numbers; the base has no gap of its own."""

    name: str
    pass_1: Interval
    pass_most: Interval
    gap: Interval
    """ΔSE."""
    moved: Interval
    """pass@K less the base's: below 0 the boundary has narrowed."""


def sweep_stages(sweep: Sweep, config: SweepConfig, cores: int) -> list[Stage]:
    """Every command of the study; the last variants, which take longest, come first.

    Raises:
        ReachlabError: `config.select` has words that `reachlab rl` does not take.
    """
    out, base, first = config.out, config.base, list[Stage]()
    needs: tuple[str, ...] = ()
    if not base:
        base, needs = f"{out}/base", ("base",)
        data = "countdown,division=0" if config.task.startswith("countdown") else config.task
        loop = replace(PretrainConfig.loop, steps=480, threads=cores)
        first.append(Stage("base", PretrainConfig(data=data, out=base, loop=loop), threads=cores))
    taken = RLConfig(
        model=base,
        task=config.task,
        prompts=config.prompts,
        max_tokens=config.max_tokens,
        loop=replace(RLConfig.loop, steps=config.steps, threads=1),
    )

    def train(variant: Variant, seed: int) -> Stage:
        run = sweep.run(variant, seed)
        chosen = with_words(replace(taken, **variant.changes), config.select, "--select")
        return Stage(run, replace(chosen, out=f"{out}/{run}", loop=replace(chosen.loop, seed=seed)), needs)

    def sample(name: str, model: str, needs: tuple[str, ...]) -> Stage:
        asked = SampleConfig(
            model=model,
            task=config.task,
            out=f"{out}/samples/{name}",
            problems=config.problems,
            samples=config.samples,
            decoding=DecodingChoice(max_tokens=config.max_tokens),
        )
        return Stage(f"sample {name}", asked, needs)

    trained = [train(variant, seed) for seed in range(config.seeds) for variant in reversed(sweep.variants)]
    drawn = [sample(stage.name, f"{out}/{stage.name}", (stage.name,)) for stage in trained]
    return [*first, *trained, sample("base", base, needs), *drawn]


def run_sweep(sweep: Sweep, config: SweepConfig, tell: Tell = lambda _: None) -> Path:
    """Run every stage that is not finished, print the table, write it as JSON beside a report of the first seed's runs.
    `tell` hears remarks before.

    Raises:
        ReachlabError: a stage failed.
    """
    check_study(config.out, "base/run.json", "samples/base/run.json", f"{sweep.folder}*/run.json")
    config = replace(config, base=pinned(config.base, config.out, tell) if config.base else "")
    run_stages(sweep_stages(sweep, config, len(os.sched_getaffinity(0))), at_once())

    def read(run: str) -> Outcomes:
        return SampleStore(RunFolder(f"{config.out}/samples/{run}")).outcomes()

    base, trained, left_out = scored_everywhere(
        read("base"), {v.name: [read(sweep.run(v, seed)) for seed in range(config.seeds)] for v in sweep.variants}
    )
    rows, most = summarise(base, trained), largest_k([base, *(run for runs in trained.values() for run in runs)])
    document: dict[str, Any] = {"k": most, "config": asdict(config), "rows": [asdict(row) for row in rows]}
    print_rows(rows, most, column=sweep.column)
    if left_out:
        Console().print(f"problems left out, for want of a scored sample in some run: {left_out}")
    if config.seeds == 1:
        Console().print("one seed: intervals are over problems alone, and say nothing of other seeds")
    if sweep.ordered and len(sweep.variants) > 1:
        first, last = sweep.variants[0].name, sweep.variants[-1].name
        pass_1, pass_most = effect(trained[first], trained[last], most)
        document["effect"] = {"of": last, "against": first, "pass_1": pass_1, "pass_most": pass_most}
        cells = f"pass@1 {_cell(*pass_1, sign='+')}, pass@{most} {_cell(*pass_most, sign='+')}"
        Console().print(f"{sweep.column} {last} less {first}: {cells}", highlight=False)
    write_atomically(Path(config.out) / f"{sweep.file}.json", (json.dumps(document, indent=2) + "\n").encode())
    folders = [RunFolder(f"{config.out}/samples/{run}") for run in ("base", *(sweep.run(v, 0) for v in sweep.variants))]
    comparison = compare([SampleStore(folder).outcomes() for folder in folders])
    return write_report(comparison, folders, Path(config.out) / "report.html", title=sweep.title)


def summarise(base: Outcomes, trained: dict[str, list[Outcomes]], resamples: int = RESAMPLES) -> list[Row]:
    """The base's row and one a variant; K is the largest that all runs have an estimate of.

    Raises:
        ReachlabError: runs on different problems.
    """
    base, trained, _ = scored_everywhere(base, trained)
    most = largest_k([base, *(run for seeds in trained.values() for run in seeds)])
    rng = np.random.default_rng(0)
    problems = len(base.problem_ids)
    who_BP = rng.integers(problems, size=(resamples, problems))
    start_P2 = base.pass_at_k([1, most])
    start_B2 = start_P2[who_BP].mean(1)
    rows = [_row("base", start_P2.mean(0), start_B2, start_P2.mean(0), start_B2)]
    for name, seeds in trained.items():
        found_2, found_B2 = _resampled(seeds, most, who_BP, rng)
        rows.append(_row(name, found_2, found_B2, start_P2.mean(0), start_B2))
    return rows


def effect(
    first: Sequence[Outcomes], last: Sequence[Outcomes], most: int, resamples: int = RESAMPLES
) -> tuple[Interval, Interval]:
    """pass@1 and pass@K of one variant less another's, on the same resampled problems, each with seeds of its own."""
    rng = np.random.default_rng(0)
    problems = len(first[0].problem_ids)
    who_BP = rng.integers(problems, size=(resamples, problems))
    (before_2, before_B2), (after_2, after_B2) = (_resampled(seeds, most, who_BP, rng) for seeds in (first, last))
    moved_2, moved_B2 = after_2 - before_2, after_B2 - before_B2
    return _interval(moved_2[0], moved_B2[:, 0]), _interval(moved_2[1], moved_B2[:, 1])


def scored_everywhere(
    base: Outcomes, trained: dict[str, list[Outcomes]]
) -> tuple[Outcomes, dict[str, list[Outcomes]], int]:
    """The runs on the problems of which every one of them has a scored sample, and how many that leaves out.

    Raises:
        ReachlabError: runs on different problems, or none that all have a scored sample of.
    """
    runs = [base, *(run for seeds in trained.values() for run in seeds)]
    if any(run.problem_ids != base.problem_ids for run in runs):
        raise ReachlabError("the runs are not on the same problems; sample them with the same --problems")
    scored_P = np.all([run.n_P > 0 for run in runs], axis=0)
    ids = [i for i, scored in zip(base.problem_ids, scored_P, strict=True) if scored]
    if not ids:
        raise ReachlabError("no problem has a scored sample in every run")
    kept = {name: [run.select(ids) for run in seeds] for name, seeds in trained.items()}
    return base.select(ids), kept, len(base.problem_ids) - len(ids)


def largest_k(runs: Sequence[Outcomes]) -> int:
    """The largest k for which every run has an estimate on every problem."""
    return min(run.largest_k for run in runs)


def stretch(seeds: int) -> float:
    """√(S / (S − 1)) t / z: how much further S seeds have to move a mean than drawing S of them with replacement does.

    Such a mean spreads by √((S − 1) / S) of what it should, and a few seeds do not know their own spread: t is
    Student's quantile with S − 1 degrees of freedom, z the normal one. One seed says nothing of others. Where problems
    add nothing, the percentiles of such means hold the truth in 95 % for 3 seeds and more, in 93 % for 2 (simulated).
    """
    if seeds < 2:
        return 0.0
    return float((seeds / (seeds - 1)) ** 0.5 * student.quantile(seeds, LEVEL) / ndtri((1 + LEVEL) / 2))


def _resampled(
    seeds: Sequence[Outcomes], most: int, who_BP: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over seeds and problems of pass@1 and pass@K: as they are (2,), and resampled (B, 2).

    What the drawn seeds move is stretched (`stretch`).
    """
    found_SP2 = np.stack([run.pass_at_k([1, most]) for run in seeds])
    seeds_BS = rng.integers(len(seeds), size=(len(who_BP), len(seeds)))
    wider = stretch(len(seeds))
    resampled_B2 = np.empty((len(who_BP), 2))
    for b, (s, p) in enumerate(zip(seeds_BS, who_BP, strict=True)):
        mean_S2 = found_SP2[:, p].mean(1)
        middle_2 = mean_S2.mean(0)
        resampled_B2[b] = middle_2 + wider * (mean_S2[s].mean(0) - middle_2)
    return found_SP2.mean((0, 1)), resampled_B2


def _interval(value: float, values_B: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(value), float(low), float(high)


def _row(
    name: str,
    found_2: NDArray[np.float64],
    found_B2: NDArray[np.float64],
    start_2: NDArray[np.float64],
    start_B2: NDArray[np.float64],
) -> Row:
    return Row(
        name=name,
        pass_1=_interval(found_2[0], found_B2[:, 0]),
        pass_most=_interval(found_2[1], found_B2[:, 1]),
        gap=_interval(start_2[1] - found_2[0], start_B2[:, 1] - found_B2[:, 0]),
        moved=_interval(found_2[1] - start_2[1], found_B2[:, 1] - start_B2[:, 1]),
    )


def print_rows(rows: Sequence[Row], most: int, console: Console | None = None, column: str = "") -> None:
    """The table, in percent and percentage points; where there is little room, intervals go below their numbers."""
    console = console or Console()
    wide = console.width >= WIDE or not console.is_terminal
    if not console.is_terminal:
        console.width = max(console.width, WIDE)  # a file has no width
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(column)
    for name in ("pass@1", f"pass@{most}", "ΔSE", f"pass@{most}{' ' if wide else chr(10)}less the base's"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_cell(*found, wide=wide) for found in (row.pass_1, row.pass_most, row.gap)]
        table.add_row(row.name, *cells, "" if row.name == "base" else _cell(*row.moved, sign="+", wide=wide))
    console.print(table)


def _cell(value: float, low: float, high: float, sign: str = "", wide: bool = True) -> str:
    ends = f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}"
    return f"{100 * value:{sign}.1f} ({ends})" if wide else f"{100 * value:{sign}.1f}\n{ends}"
