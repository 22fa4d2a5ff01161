"""Commands that say what samples mean."""

from dataclasses import dataclass

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json, print_meaning, print_table, remark
from reachlab.errors import ReachlabError
from reachlab.limits import RESAMPLING, check_numbers
from reachlab.measures.config import ChanceConfig


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
    """Show how surprising each run's answers are to each model that has scored them. Over all tokens with an interval
    over problems, and for the median answer; `reachlab score` comes first.

    Example: reachlab perplexity runs/demo/samples/base runs/demo/samples/grpo
    """
    from reachlab.measures.surprise import NOTE_OTHER_TOKENS, READING, perplexity_rows, read_perplexities
    from reachlab.pairing.matching import remarks_on
    from reachlab.runs import RunFolder
    from reachlab.store.samples import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    stores = [SampleStore(RunFolder(run)) for run in config.runs]
    matrix = read_perplexities(stores, resamples=config.resamples, level=config.level, seed=config.seed)
    for said in remarks_on(stores, matrix.writers):
        remark(said)
    if config.json:
        print_json(matrix.to_dict())
        return
    for title, correct in (("all answers", False), ("right answers", True)):
        print(f"perplexity of {title}: over all tokens ({100 * config.level:g}% interval) [of the median answer]")
        print_table(perplexity_rows(matrix, correct))
        print()
    print(READING)
    if not matrix.same_tokens:
        print(NOTE_OTHER_TOKENS)


@dataclass(frozen=True, kw_only=True)
class ChanceCommand:
    """Judge answers against other problems' gold answers."""

    chance: Flat[ChanceConfig]
    json: bool = False
    """Print JSON."""


def chance(config: Flat[ChanceCommand]) -> None:
    """Measure luck: how often an answer is right for a problem that it was not meant for. A run's stored answers are
    judged against the gold answers of other problems, and what comes out is kept beside the run.

    Example: reachlab chance runs/demo/samples/base
    """
    from reachlab.measures.chance_rate import measure_chance

    found = measure_chance(config.chance)
    if config.json:
        print_json(found.to_dict())
        return
    print_table(found.rows())
    if lost := int(found.unscored_SP.sum()):
        print(f"{lost:,} answers were not scored")
    if found.left_out:
        print(f"{found.left_out:,} problems have no other of their kind with another gold answer")
    print_meaning("chance")


@dataclass(frozen=True, kw_only=True)
class MeasuresCommand:
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


def measures(config: Flat[MeasuresCommand]) -> None:
    """Read what runs say beyond pass@k. Whole chains, majority votes, the entropy of final answers, the best of k,
    distinct solutions, copies that a broken seed would leave, and luck where `reachlab chance` has measured it.

    Example: reachlab measures runs/demo/samples/base runs/demo/samples/distilled
    """
    from reachlab.measures.measured_run import Intervals, MeasuredRun
    from reachlab.measures.results import measure_run
    from reachlab.report.run_table import print_measures
    from reachlab.runs import RunFolder
    from reachlab.store.samples import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    if bad := [k for k in config.k if k < 1]:
        raise ReachlabError(f"k={bad[0]} must be 1 or more")
    intervals = Intervals(config.resamples, config.level, config.seed)
    results = [
        measure_run(MeasuredRun(SampleStore(RunFolder(run)), intervals, config.k or None)) for run in config.runs
    ]
    if config.json:
        print_json([run.to_dict() for run in results])
        return
    for run in results:
        print_measures(run, config.level)
