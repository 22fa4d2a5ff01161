"""Commands that say what samples mean."""

from dataclasses import dataclass

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_json, print_meaning, print_table, remark
from reachlab.measures.config import ChanceConfig, MeasuresConfig, PerplexityConfig


@dataclass(frozen=True, kw_only=True)
class PerplexityCommand:
    """Perplexity of every run's answers under every model that has scored them."""

    perplexity: Flat[PerplexityConfig]
    json: bool = False
    """Print everything as JSON."""


def perplexity(config: Flat[PerplexityCommand]) -> None:
    """Show how surprising each run's answers are to each model that has scored them. Over all tokens with an interval
    over problems, and for the median answer; `reachlab score` comes first.

    Example: reachlab perplexity runs/demo/samples/base runs/demo/samples/grpo
    """
    from reachlab.comparing.perplexities import compare_perplexities
    from reachlab.measures.surprise import NOTE_OTHER_TOKENS, READING, perplexity_rows

    matrix = compare_perplexities(config.perplexity, remark)
    if config.json:
        print_json(matrix.to_dict())
        return
    level = f"{100 * config.perplexity.level:g}%"
    for title, correct in (("all answers", False), ("right answers", True)):
        print(f"perplexity of {title}: over all tokens ({level} interval) [of the median answer]")
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

    measures: Flat[MeasuresConfig]
    json: bool = False
    """Print JSON."""


def measures(config: Flat[MeasuresCommand]) -> None:
    """Read what runs say beyond pass@k. Whole chains, majority votes, the entropy of final answers, the best of k,
    distinct solutions, copies that a broken seed would leave, and luck where `reachlab chance` has measured it.

    Example: reachlab measures runs/demo/samples/base runs/demo/samples/distilled
    """
    from reachlab.measures.results import measure_folders
    from reachlab.reporting.run_table import print_measures

    results = measure_folders(config.measures)
    if config.json:
        print_json([run.to_dict() for run in results])
        return
    for run in results:
        print_measures(run, config.measures.level)
