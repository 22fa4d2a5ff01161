"""Commands that say what samples mean."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.shown import print_json, print_table, remark
from reachlab.errors import ReachlabError
from reachlab.limits import RESAMPLING, check_numbers
from reachlab.sampling.config import GuessConfig


@dataclass(frozen=True, kw_only=True)
class PerplexityCommand:
    """Perplexity of every run's answers under every model that has scored them."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders that `reachlab score` has been at; each is a writer."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    seed: int = 0
    """Of the bootstrap."""
    json: bool = False
    """Print everything as JSON."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples",), most=RESAMPLING)


def perplexity(config: Flat[PerplexityCommand]) -> None:
    """Show how surprising each run's answers are to each model that has scored them, over all tokens with an interval
    over problems, and for the median answer.

    Example: reachlab perplexity runs/base-samples runs/pods-samples runs/reference
    """
    from reachlab.runs import RunFolder
    from reachlab.sampling.perplexities import NOTE_OTHER_TOKENS, READING, perplexity_rows, read_perplexities
    from reachlab.sampling.store import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    matrix = read_perplexities(
        [SampleStore(RunFolder(run)) for run in config.runs],
        resamples=config.resamples,
        level=config.level,
        seed=config.seed,
    )
    if config.json:
        print_json(matrix.to_dict())
        return
    for title, correct in (("all answers", False), ("right answers", True)):
        print(f"perplexity of {title}: over all tokens ({config.level:.0%} interval) [of the median answer]")
        print_table(perplexity_rows(matrix, correct))
        print()
    print(READING)
    if not matrix.same_tokens:
        print(NOTE_OTHER_TOKENS)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare runs of samples on the problems they share."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders; the first is the base that the others are compared with."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: .npz, .npy or .csv files of 0 and 1, a row a problem and a column a sample; a key of an .npz or
    a file is a model, the first the base. A page needs runs."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    over: Literal["problems", "samples", "both"] = "problems"
    """What intervals are over: other problems like these; these very problems answered again; both."""
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
        if self.gap_k < 1:
            raise ReachlabError(f"gap_k={self.gap_k} must be 1 or more")
        if self.memory and self.matrix:
            raise ReachlabError("--memory goes with runs: a table does not hold what was asked, nor of which model")


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare runs of samples."""

    compare: Flat[CompareConfig]
    json: bool = False
    """Print everything as JSON."""


def compare(config: Flat[CompareCommand]) -> None:
    """Compare models by their samples: pass@k with intervals, crossing, problems gained and lost, a verdict.

    Example: reachlab compare runs/base-samples runs/pods-samples --json

    Example: reachlab compare --matrix right.npz
    """
    from reachlab.report.memory import print_memories
    from reachlab.report.tables import print_comparison

    comparison, folders = _compare(config.compare)
    memories = _memories(config.compare, comparison, folders)
    if config.json and config.compare.matrix:
        from reachlab.report.support import supports_of

        print_json(comparison.to_dict() | {"support": [None, *(x.to_dict() for x in supports_of(comparison))]})
    elif config.json:
        from reachlab.report.entries import read_entries
        from reachlab.report.findings import gather

        found = gather(comparison, read_entries(comparison, folders)).to_dict()
        print_json(comparison.to_dict() | found | {"memory": [asdict(memory) for memory in memories]})
    else:
        print_comparison(comparison)
        print_memories(memories)


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write the report of a comparison."""

    compare: Flat[CompareConfig]
    out: str = "report.html"
    """The page, one file that opens offline."""
    title: str = "What training added"
    """Its heading."""


def report(config: Flat[ReportCommand]) -> None:
    """Compare models by their samples and write one HTML page that opens offline.

    Example: reachlab report runs/base-samples runs/pods-samples --out report.html
    """
    from reachlab.report.page import write_report
    from reachlab.runs import check_page

    if config.compare.matrix:
        raise ReachlabError("report: a page shows samples, which tables do not hold; `reachlab compare --matrix` does")
    check_page(config.out)
    comparison, folders = _compare(config.compare)
    memories = _memories(config.compare, comparison, folders)
    print(write_report(comparison, folders, config.out, title=config.title, memories=memories))


@dataclass(frozen=True, kw_only=True)
class PowerCommand:
    """Plan a comparison from two runs of samples."""

    base: tyro.conf.Positional[str] = ""
    """The base model's run folder."""
    other: tyro.conf.Positional[str] = ""
    """The other model's."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: two tables, as of `reachlab compare --matrix`."""
    k: tuple[int, ...] = ()
    """Values of k; default 1 and the smallest number of samples."""
    points: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Differences to find, in percentage points."""
    samples: tuple[int, ...] = ()
    """Samples of each problem to plan with; default a quarter of the present ones, these, and four times as many."""
    level: float = 0.95
    """Of the two-sided test that is to find it."""
    power: float = 0.8
    """Chance to find it."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("k", "samples"))


def power(config: Flat[PowerCommand]) -> None:
    """Say how many problems, and samples of each, would show a difference of so many points between two models.

    Example: reachlab power runs/base-samples runs/pods-samples --points 1 2 5 --k 1 256
    """
    from reachlab.boundary.power import power_analysis
    from reachlab.report.power import print_power

    runs = tuple(run for run in (config.base, config.other) if run)
    outcomes, _ = _outcomes(runs, config.matrix)
    if len(outcomes) != 2:
        raise ReachlabError(f"power: takes two models, and {len(outcomes)} are named")
    base, other = outcomes
    plan = power_analysis(base, other, config.k, config.points, config.samples, config.level, config.power)
    if config.json:
        print_json(plan.to_dict())
    else:
        print_power(plan)


def _outcomes(runs: tuple[str, ...], matrix: tuple[str, ...] = ()) -> tuple[list[Any], list[Any]]:
    """The outcomes of each run, and the folders; or those of tables, which have none."""
    if matrix:
        from reachlab.imports.matrix import read_matrices

        if runs:
            raise ReachlabError(f"{runs[0]}: runs or --matrix, not both; put the tables behind --matrix")
        return read_matrices(matrix), []
    from reachlab.runs import RunFolder
    from reachlab.sampling.completions import check_same_part
    from reachlab.sampling.store import SampleStore

    folders = [RunFolder(run) for run in runs]
    check_same_part([SampleStore(folder) for folder in folders])
    outcomes = [SampleStore(folder).outcomes() for folder in folders]
    if len({o.name for o in outcomes}) < len(outcomes):
        # Folders of one name in different places: the places tell them apart.
        outcomes = [replace(o, name=folder.url.rstrip("/")) for o, folder in zip(outcomes, folders, strict=True)]
    return outcomes, folders


def _compare(config: CompareConfig) -> tuple[Any, Any]:
    from reachlab.boundary.compare import compare

    if not config.runs and not config.matrix:
        raise ReachlabError("name at least one run folder")
    outcomes, folders = _outcomes(config.runs, config.matrix)
    comparison = compare(
        outcomes,
        ks=config.k or None,
        gap_k=config.gap_k,
        resamples=config.resamples,
        level=config.level,
        over=config.over,
        seed=config.seed,
    )
    for model in comparison.models if config.matrix else ():
        if left := model.not_shared:
            remark(f"{model.name}: {left:,} of its problems left out, which another table lacks")
        if left := model.not_scored:
            remark(f"{model.name}: {left:,} of the shared problems have no scored sample, and are left out for all")
    return comparison, folders


def _memories(config: CompareConfig, comparison: Any, folders: Any) -> Any:
    """How the compared models complete questions, where runs say."""
    if not config.memory:
        return []
    from reachlab.report.memory import read_memories
    from reachlab.sampling.store import SampleStore

    models = [(model.name, [SampleStore(folder)]) for model, folder in zip(comparison.models, folders, strict=True)]
    return read_memories(config.memory, models, comparison.problem_ids, config.level)


@dataclass(frozen=True, kw_only=True)
class GuessCommand:
    """Judge answers against other problems' gold answers."""

    guess: Flat[GuessConfig]
    json: bool = False
    """Print JSON."""


def guess(config: Flat[GuessCommand]) -> None:
    """Measure luck: judge a run's stored answers against the gold answers of other problems, and keep what comes out
    beside the run.

    Example: reachlab guess runs/base-samples --shuffles 3
    """
    from reachlab.sampling.guessing import guess

    found = guess(config.guess)
    if config.json:
        print_json(found.to_dict())
        return
    print_table(found.rows())
    if lost := int(found.unscored_SP.sum()):
        print(f"{lost:,} answers were not scored")
    if found.left_out:
        print(f"{found.left_out:,} problems have no other of their kind with another gold answer")


@dataclass(frozen=True, kw_only=True)
class EvidenceCommand:
    """What samples say beyond pass@k."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    k: tuple[int, ...] = ()
    """Values of k; default powers of two and the largest."""
    seed: int = 0
    """Of the bootstrap, and of the subsets drawn for votes."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples", "k"), most=RESAMPLING)


def evidence(config: Flat[EvidenceCommand]) -> None:
    """Read what runs say beyond pass@k: whole chains, majority votes, the entropy of final answers, the best of k,
    distinct solutions, copies that a broken seed would leave, and luck where `reachlab guess` has measured it.

    Example: reachlab evidence runs/base-samples runs/pods-samples
    """
    from reachlab.report.evidence_table import print_evidence
    from reachlab.runs import RunFolder
    from reachlab.sampling.evidence import read_evidence
    from reachlab.sampling.store import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    if bad := [k for k in config.k if k < 1]:
        raise ReachlabError(f"k={bad[0]} must be 1 or more")
    found = [
        read_evidence(
            SampleStore(RunFolder(run)),
            ks=config.k or None,
            resamples=config.resamples,
            level=config.level,
            seed=config.seed,
        )
        for run in config.runs
    ]
    if config.json:
        print_json([one.to_dict() for one in found])
        return
    for one in found:
        print_evidence(one, config.level)
