"""Commands that hold models against each other: compare, report, power."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json, print_meaning, remark
from reachlab.errors import ReachlabError
from reachlab.limits import RESAMPLING, check_numbers
from reachlab.runs import RunFolder


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare runs of samples on the problems they share."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Models: RUN, NAME=RUN, or NAME=RUN,RUN,RUN, several runs of one recipe, a seed each, whose verdict is then about
    the recipe. The first is the base that the others are compared with."""
    names: tuple[str, ...] = ()
    """Names of the models, in the order of the runs, instead of NAME=RUN: --names base GRPO PODS."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: .npz, .npy or .csv files of 0 and 1, a row a problem and a column a sample; a key of an .npz or
    a file is a model, the first the base. A page needs runs."""
    match: Literal["id", "question", "unchecked"] = "id"
    """How problems of different runs are paired: by id, where those of one id have to ask the same; by question, gold
    answer and pictures, whatever their ids; or by id, unchecked, where you know better."""
    pairs: Literal["base", "all"] = "base"
    """Compare each model with the base, or all with each other. Words hold for all pairs together."""
    cluster: str = ""
    """Problems that belong together, such as those of one template: a field of their metadata, or a .json or .csv file
    of ids and clusters. Whole clusters are then resampled."""
    over: Literal["problems", "samples", "both"] = "problems"
    """What intervals are over: other problems like these; these very problems answered again; both."""
    same_within: float = 3.0
    """Points of pass@k within which two models count as the same."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    k: tuple[int, ...] = ()
    """Values of k; default every one up to the smallest number of samples."""
    gap_k: int = 256
    """k of the sampling-efficiency gap, ΔSE = pass@k(base) − pass@1(model); with fewer samples, their number."""
    seed: int = 0
    """Of the bootstrap."""
    memory: tuple[str, ...] = ()
    """Runs of `reachlab sample --prefix` by the compared models, as RUN or NAME=RUN: reach or memory?"""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples", "k"), most=RESAMPLING)
        if self.names:
            self._check_names()
        if self.memory and self.matrix:
            raise ReachlabError("--memory goes with runs: a table does not hold what was asked, nor of which model")
        if self.gap_k < 1:
            raise ReachlabError(f"gap_k={self.gap_k} must be 1 or more")
        if not 0 < self.same_within < 100:
            raise ReachlabError(f"same_within={self.same_within:g} must be above 0 and below 100 points")
        if self.same_within < 0.1:
            raise ReachlabError(
                f"same_within={self.same_within:g} is in points, and {100 * self.same_within:g} would be that share"
            )

    def _check_names(self) -> None:
        if self.matrix:
            raise ReachlabError("--names goes with runs; in a table a file or a key of it names the model")
        if len(self.names) != len(self.runs):
            raise ReachlabError(
                f"--names: {len(self.names)} names for {len(self.runs)} models; give one each, in order"
            )
        if bad := next((name for name in self.names if not name.strip() or set(name) & set("=/\\:")), None):
            raise ReachlabError(f"--names: {bad!r} is no name of a model: it may not be empty or hold = / \\ :")

    @property
    def models(self) -> tuple[str, ...]:
        """The models as NAME=RUN, where names are given."""
        if not self.names:
            return self.runs
        return tuple(f"{name}={run}" for name, run in zip(self.names, self.runs, strict=True))


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare runs of samples."""

    compare: Flat[CompareConfig]
    json: bool = False
    """Print everything as JSON."""


def compare(config: Flat[CompareCommand]) -> None:
    """Compare models by their samples: pass@k with intervals, crossing, problems gained and lost, a verdict.

    Example: reachlab compare runs/demo/samples/base runs/demo/samples/grpo runs/demo/samples/distilled

    Example: reachlab compare base=runs/demo/samples/base rl=runs/demo/samples/grpo,runs/demo/samples/pods

    Example: reachlab compare --matrix examples/data/base.csv examples/data/rl.csv
    """
    from reachlab.pairing.conditions import conditions
    from reachlab.report.condition_table import print_conditions
    from reachlab.report.memory_table import print_memories
    from reachlab.report.tables import print_comparison

    comparison, compared = compare_models(config.compare)
    memories = read_completions(config.compare, comparison, compared)
    differing = [] if compared is None else conditions(compared.matched.stores, compared.names)
    if config.json:
        print_json(_document(comparison, compared, differing, memories))
        return
    print_comparison(comparison)
    print_meaning("compare" if comparison.pairs else "one")
    print_conditions(differing)
    print_memories(memories)


def _document(comparison: Any, compared: Any, differing: Sequence[Any], memories: Sequence[Any]) -> dict[str, Any]:
    """All of a comparison as JSON has it; of tables there is less."""
    from reachlab.measures.kept import supports_of
    from reachlab.report.entries import measure_entries, read_entries

    document: dict[str, Any] = comparison.to_dict()
    if compared is None:
        return document | {"support": [None, *(x.to_dict() for x in supports_of(comparison))]}
    results = measure_entries(comparison, read_entries(comparison, compared.stores))
    further = {
        "matching": compared.matched.to_dict(),
        "conditions": [one.to_dict() for one in differing],
        "memory": [asdict(memory) for memory in memories],
    }
    return document | results.to_dict() | further


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write the report of a comparison."""

    compare: Flat[CompareConfig]
    out: str = "report.html"
    """The page, one file that opens offline."""
    title: str = ""
    """Its heading; default the models and the task, and what they are compared for."""


def report(config: Flat[ReportCommand]) -> None:
    """Compare models by their samples and write one HTML page that opens offline.

    Example: reachlab report runs/demo/samples/base runs/demo/samples/grpo --out report.html

    Example: reachlab report runs/demo/samples/base runs/demo/samples/pods --names base PODS --title "What PODS added"
    """
    from reachlab.commands.words import words_of
    from reachlab.report.making import Extra
    from reachlab.report.page import write_report
    from reachlab.runs import check_page

    if config.compare.matrix:
        raise ReachlabError("report: a page shows samples, which tables do not hold; `reachlab compare --matrix` does")
    check_page(config.out)
    comparison, compared = compare_models(config.compare)
    page = write_report(
        comparison,
        compared.stores,
        config.out,
        title=config.title,
        notes=compared.matched.remarks,
        memories=read_completions(config.compare, comparison, compared),
        extra=Extra(command=words_of(config, "report")),
    )
    print(page)


@dataclass(frozen=True, kw_only=True)
class PowerCommand:
    """Plan a comparison from two runs of samples."""

    base: tyro.conf.Positional[str] = ""
    """The base model's run folder."""
    other: tyro.conf.Positional[str] = ""
    """The other model's."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: two tables, as of `reachlab compare --matrix`."""
    match: Literal["id", "question", "unchecked"] = "id"
    """How problems are paired: as of `reachlab compare`."""
    k: tuple[int, ...] = ()
    """Values of k; default 1, the smallest number of samples n, and n / 2, where noise is half of what it is at n."""
    points: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Differences to find, in percentage points."""
    samples: tuple[int, ...] = ()
    """Samples of each problem to plan with; default a quarter of the present ones, these, and four times as many."""
    level: float = 0.95
    """Of the verdict that is to say it."""
    power: float = 0.8
    """Chance to find it."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("k", "samples"))


def power(config: Flat[PowerCommand]) -> None:
    """Say how many problems, and samples of each, would show a difference of so many points between two models.

    Example: reachlab power runs/demo/samples/base runs/demo/samples/grpo --points 2 5 --k 1 64
    """
    from reachlab.boundary.power import power_analysis
    from reachlab.report.power_table import print_power

    runs = tuple(run for run in (config.base, config.other) if run)
    if not runs and not config.matrix:
        raise ReachlabError("power: takes two models, and 0 are named")
    recipes, _ = _models(runs, config.matrix, config.match)
    if len(recipes) != 2:
        raise ReachlabError(f"power: takes two models, and {len(recipes)} are named")
    if several := next((recipe.name for recipe in recipes if len(recipe.runs) > 1), None):
        raise ReachlabError(f"power: plans from one run of each model, and {several} has more")
    base, other = (recipe.pooled for recipe in recipes)
    plan = power_analysis(base, other, config.k, config.points, config.samples, config.level, config.power)
    if config.json:
        print_json(plan.to_dict())
    else:
        print_power(plan)
        print_meaning("power", power=plan.power)


def _models(
    runs: tuple[str, ...],
    matrix: tuple[str, ...],
    match: Literal["id", "question", "unchecked"],
    say: Callable[[str], None] = remark,
    folder: Callable[[str], RunFolder] = RunFolder,
) -> tuple[list[Any], Any]:
    """The models as recipes, and where they came from (`Compared`); tables have no runs. Remarks are told."""
    from reachlab.boundary.recipe import Recipe

    if matrix:
        from reachlab.imports.matrix import read_matrices

        if runs:
            raise ReachlabError(f"{runs[0]}: runs or --matrix, not both; put the tables behind --matrix")
        if match != "id":
            raise ReachlabError("--match question: tables hold no questions")
        return [Recipe.of(outcomes) for outcomes in read_matrices(matrix)], None
    from reachlab.pairing.compared import read_compared

    compared = read_compared(runs, match, folder)
    for said in compared.matched.remarks:
        say(said)
    return list(compared.recipes), compared


def compare_models(
    config: CompareConfig, say: Callable[[str], None] = remark, folder: Callable[[str], RunFolder] = RunFolder
) -> tuple[Any, Any]:
    """The comparison, and what was compared (`Compared`, None of tables)."""
    from reachlab.boundary.compare import compare

    recipes, compared = _models(config.models, config.matrix, config.match, say, folder)
    clusters = None
    if config.cluster:
        from reachlab.pairing.clusters import read_clusters

        clusters = read_clusters(config.cluster, None if compared is None else compared.stores[0][0].problems())
    comparison = compare(
        recipes,
        ks=config.k or None,
        gap_k=config.gap_k,
        resamples=config.resamples,
        level=config.level,
        over=config.over,
        clusters=clusters,
        pairs=config.pairs,
        same_within=config.same_within / 100,
        seed=config.seed,
    )
    for model in comparison.models if compared is None else ():
        if left := model.not_shared:
            say(f"{model.name}: {left:,} of its problems left out, which another table lacks")
        if left := model.not_scored:
            say(f"{model.name}: of the shared problems {left:,} without a scored sample, left out for all")
    return comparison, compared


def read_completions(config: CompareConfig, comparison: Any, compared: Any) -> Any:
    """How the compared models complete questions, where runs say."""
    if not config.memory:
        return []
    from reachlab.report.memory_table import read_memories

    models = [(model.name, stores) for model, stores in zip(comparison.models, compared.stores, strict=True)]
    return read_memories(config.memory, models, comparison.problem_ids, config.level)
