"""All measures of a run, and of all runs of a comparison, computed once for the page, the terminal and `--json`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.measures import MEASURES, load_measures
from reachlab.measures.config import MeasuresConfig
from reachlab.measures.measure import AnyMeasure, Computed, JointMeasure, Measure, Missing, Result, result_of
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore


@dataclass(frozen=True, eq=False, kw_only=True)
class RunResults:
    """What one run says; `of` has a result for each measure that it has data for, and `notes` say of others why not.

    `problems` have a scored sample, `samples` are the scored ones that measures look at.
    """

    name: str
    folder: str
    problems: int
    samples: int
    unscored: int
    of: Mapping[str, Result]
    notes: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; None for what is missing. What only compared models have is in
        `Results`."""
        found: dict[str, Any] = {"name": self.folder, "problems": self.problems, "samples": self.samples}
        found["unscored"] = self.unscored
        found["meanings"] = {m.name: m.caption for m in each_measure() if m.name in self.of and not m.compared}
        for measure in each_measure():
            if not measure.compared:
                result = self.of.get(measure.name)
                _put(found, measure.name.split("."), None if result is None else result.to_dict())
        return found | {"notes": dict(self.notes)}

    @property
    def look_at(self) -> dict[str, int]:
        """Of problems a sample that a person should see."""
        return {problem: sample for result in self.of.values() for problem, sample in result.look_at.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class Results:
    """What all runs of a comparison say, the base first: of each run, of each less the base, and of all together.

    `notes` say by name of what is of all together why it is missing, or in part.
    """

    runs: tuple[RunResults, ...]
    against: Mapping[str, tuple[Result | None, ...]]
    joint: Mapping[str, Result | None]
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON: a place a run, None where there is no data."""
        found: dict[str, Any] = {"evidence": [run.to_dict() for run in self.runs], "notes": dict(self.notes)}
        found["meanings"] = {
            m.name: m.caption for m in load_measures() if m.compared and (self.joint.get(m.name) or self._has(m.name))
        }
        for measure in each_measure():
            if measure.compared:
                found[measure.name] = [_plain(run.of.get(measure.name)) for run in self.runs]
            if measure.name in self.against:
                found[f"{measure.name}_difference"] = [_plain(result) for result in self.against[measure.name]]
        return found | {name: _plain(result) for name, result in self.joint.items()}

    def _has(self, name: str) -> bool:
        return any(name in run.of for run in self.runs)


def each_measure() -> Iterator[Measure]:
    """Those that are of each run."""
    return (measure for measure in load_measures() if isinstance(measure, Measure))


def measure_folders(config: MeasuresConfig) -> list[RunResults]:
    """Every measure of each of the runs, by itself.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    intervals = Intervals(config.resamples, config.level, config.seed)
    stores = [SampleStore(RunFolder(run)) for run in config.runs]
    return [measure_run(MeasuredRun(store, intervals, config.k or None)) for store in stores]


def measure_run(run: MeasuredRun) -> RunResults:
    """Compute every measure of a run.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    of: dict[str, Result] = {}
    notes: dict[str, str] = {}
    if run.below is not None:
        notes["adaptive"] = f"all but pass@k is of the first {run.below:,} samples of each problem"
    for measure in each_measure():
        if measure.compared and run.shared is None:
            continue
        result = computed(measure, measure.compute, run)
        if isinstance(result, Result):
            of[measure.name] = result
            notes |= result.notes
        elif result.why:
            notes[measure.name.split(".")[0]] = result.why
    return RunResults(
        name=run.name,
        folder=run.store.folder.name,
        problems=int((run.outcomes.n_P > 0).sum()),
        samples=len(run.row_N),
        unscored=int(run.outcomes.unscored_P.sum()),
        of=of,
        notes=notes,
    )


def measure_runs(runs: Sequence[MeasuredRun]) -> Results:
    """Compute every measure of compared runs, the base first.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    base, *others = runs
    against = {
        measure.name: (None, *(_found(computed(measure, measure.against.compute, base, other)) for other in others))
        for measure in each_measure()
        if measure.against is not None
    }
    together = {m.name: computed(m, m.compute, runs) for m in load_measures() if isinstance(m, JointMeasure)}
    notes = {name: found.why for name, found in together.items() if isinstance(found, Missing) and found.why}
    for found in together.values():
        notes |= found.notes if isinstance(found, Result) else {}
    joint = {name: _found(found) for name, found in together.items()}
    return Results(runs=tuple(map(measure_run, runs)), against=against, joint=joint, notes=notes)


def computed(measure: AnyMeasure, compute: Callable[..., Computed], *of: Any) -> Result | Missing:
    """What a measure says. One that is not ours and raises is missing, with the reason; ours passes its error on."""
    try:
        return result_of(compute(*of))
    except Exception as error:
        if (origin := MEASURES.origin(measure.name)) is None or isinstance(error, ReachlabError):
            raise
        return Missing(f"{measure.name} of {origin} raises {type(error).__name__}: {error}")


def _found(result: Result | Missing) -> Result | None:
    return result if isinstance(result, Result) else None


def _plain(result: Result | None) -> dict[str, Any] | None:
    return None if result is None else result.to_dict()


def _put(document: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Put a value at a place; one of which all parts are missing is None."""
    key, *deeper = keys
    if not deeper:
        document[key] = value
        return
    inside = document.setdefault(key, None)
    if value is not None:
        if inside is None:
            inside = document[key] = {}
        _put(inside, deeper, value)
