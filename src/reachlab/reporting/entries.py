"""What the page knows of each model: its numbers, its verdict, its run and the training behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reachlab.boundary.comparison import Findings, Model, Pair
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.recipe import Recipe
from reachlab.errors import ReachlabError
from reachlab.measures.measured_run import Intervals, MeasuredRun, Shared
from reachlab.measures.results import Results, measure_runs
from reachlab.reporting.lineage import Ancestor, ancestors
from reachlab.reporting.styles import Style
from reachlab.reporting.tables import percent
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore

Runs = RunFolder | SampleStore | Sequence[SampleStore]
"""Where a model's samples are: one run, or several of a recipe."""
SELDOM = 1e-6
"""The accuracy of a problem that is solved more seldom than can be told."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model, as the page speaks of it: `label` and `verdict` are its sentence; the base has no `pair`.

    Of a recipe of several runs `outcomes` holds the samples of all; the samples that the page shows, and what it has to
    say beyond the curves, are those of the first run, `store`; `stores` are all.
    """

    name: str
    style: Style
    label: str
    verdict: str
    model: Model
    pair: Pair | None
    outcomes: Outcomes
    store: SampleStore
    stores: tuple[SampleStore, ...]
    document: dict[str, Any]
    trainings: list[Ancestor]

    @property
    def accuracy(self) -> np.ndarray:
        """pass@1 of each problem, (P,); the comparison keeps no problem without scored samples.

        A solved problem is above 0: where samples stopped when one was right, its pass@1 may be 0, and it is not
        "never solved".
        """
        pass_1_P = self.outcomes.pass_at_k([1])[:, 0]
        return np.where(self.outcomes.c_P > 0, np.maximum(pass_1_P, SELDOM), 0.0)

    def to_measure(self, intervals: Intervals) -> MeasuredRun:
        """The run for `measures/`, with what it is among the compared models."""
        shared = Shared(outcomes=self.outcomes, pair=self.pair, runs=len(self.model.runs))
        return MeasuredRun(self.store, intervals, name=self.name, shared=shared)

    def part(self, key: str) -> dict[str, Any]:
        """An object inside `run.json`: `config`, `facts` or `provenance`; empty where the run has none."""
        found = self.document.get(key)
        return found if isinstance(found, dict) else {}


def read_entries(comparison: Findings, runs: Sequence[Runs]) -> list[Entry]:
    """Read every model of the comparison, the base first; of a store its problems' ids are those of the comparison.

    Raises:
        ReachlabError: there is not one run a model, or a run lacks problems that the comparison has.
    """
    if len(runs) != len(comparison.models):
        raise ReachlabError(f"report: {len(runs)} runs for {len(comparison.models)} models; give one run a model")
    pairs = {pair.name: pair for pair in comparison.pairs}
    both = sorted(zip(comparison.models, runs, strict=True), key=lambda both: both[0].name != comparison.base)
    return [
        _entry(comparison, model, pairs.get(model.name), run, Style(index)) for index, (model, run) in enumerate(both)
    ]


def measure_entries(comparison: Findings, entries: Sequence[Entry]) -> Results:
    """Every measure of the models, with the comparison's resamples, level and seed.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    intervals = Intervals(comparison.resamples, comparison.level, comparison.seed)
    return measure_runs([entry.to_measure(intervals) for entry in entries])


def _entry(comparison: Findings, model: Model, pair: Pair | None, given: Runs, style: Style) -> Entry:
    several = given if isinstance(given, Sequence) else (given,)
    stores = [SampleStore(one) if isinstance(one, RunFolder) else one for one in several]
    outcomes = [read_outcomes(store.folder.name, store, comparison.problem_ids) for store in stores]
    store = stores[0]
    run, document = store.folder, store.folder.read_json("run.json")
    label, _, verdict = (pair.verdict.sentence if pair else _alone(model, comparison)).partition(": ")
    return Entry(
        name=model.name,
        style=style,
        label=label.capitalize(),
        verdict=verdict,
        model=model,
        pair=pair,
        outcomes=Recipe(model.name, tuple(outcomes)).pooled,
        store=store,
        stores=tuple(stores),
        document=document,
        trainings=ancestors(document, run),
    )


def _alone(model: Model, comparison: Findings) -> str:
    """A sentence about a model that is held against no other."""
    role = "base" if comparison.pairs else "measured"
    reach = f", {percent(model.curve.values[-1])} of problems solved within {comparison.ks[-1]}"
    return f"{role}: {percent(model.curve.values[0])} of single samples right{reach if len(comparison.ks) > 1 else ''}"


def read_outcomes(name: str, store: SampleStore, problem_ids: Sequence[str]) -> Outcomes:
    """A run's outcomes on these problems, in this order, under a name.

    Raises:
        ReachlabError: the run lacks a problem.
    """
    found = store.outcomes()
    known = set(found.problem_ids)
    if missing := next((i for i in problem_ids if i not in known), None):
        raise ReachlabError(f"{store.folder.url}: no problem {missing!r} here; the comparison is of other runs")
    return replace(found.select(problem_ids), name=name)
