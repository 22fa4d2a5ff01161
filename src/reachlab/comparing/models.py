"""Models as they are given, runs or tables, held against each other: for `compare`, `report`, `serve` and `power`.

What a user should know beside the numbers is told to `say`, a sentence each.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from reachlab.boundary.comparison import Findings
from reachlab.boundary.power import Power
from reachlab.boundary.recipe import Recipe
from reachlab.comparing.config import CompareConfig, PowerConfig
from reachlab.errors import ReachlabError
from reachlab.pairing.compared import Compared
from reachlab.pairing.matching import Match
from reachlab.runs import RunFolder

Say = Callable[[str], None]


def read_models(
    runs: Sequence[str],
    matrix: Sequence[str],
    match: Match,
    say: Say,
    folder: Callable[[str], RunFolder] = RunFolder,
) -> tuple[list[Recipe], Compared | None]:
    """The models as recipes, and where they came from; tables have no runs.

    Raises:
        ReachlabError: runs and tables together, or as of `read_matrices` and `read_compared`.
    """
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
    config: CompareConfig, say: Say, folder: Callable[[str], RunFolder] = RunFolder
) -> tuple[Findings, Compared | None]:
    """The comparison, and what was compared (None of tables).

    Raises:
        ReachlabError: as of `read_models` and `compare_recipes`.
    """
    recipes, compared = read_models(config.models, config.matrix, config.match, say, folder)
    return compare_recipes(config, recipes, compared, say), compared


def compare_recipes(config: CompareConfig, recipes: Sequence[Recipe], compared: Compared | None, say: Say) -> Findings:
    """Hold models against each other that have been read, with the options of a configuration.

    Raises:
        ReachlabError: as of `boundary.compare.compare`, or clusters that cannot be read.
    """
    from reachlab.boundary.compare import compare

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
    return comparison


def read_completions(config: CompareConfig, comparison: Findings, compared: Compared | None) -> list[Any]:
    """How the compared models complete questions, where runs say.

    Raises:
        ReachlabError: as of `read_memories`.
    """
    if not config.memory or compared is None:
        return []
    from reachlab.reporting.memory_table import read_memories

    models = [(model.name, stores) for model, stores in zip(comparison.models, compared.stores, strict=True)]
    return list(read_memories(config.memory, models, comparison.problem_ids, config.level))


def document(
    comparison: Findings, compared: Compared | None, differing: Sequence[Any], memories: Sequence[Any]
) -> dict[str, Any]:
    """All of a comparison as JSON has it; of tables there is less.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    from reachlab.measures.kept import supports_of
    from reachlab.reporting.entries import measure_entries, read_entries

    found: dict[str, Any] = comparison.to_dict()
    if compared is None:
        return found | {"support": [None, *(x.to_dict() for x in supports_of(comparison))]}
    results = measure_entries(comparison, read_entries(comparison, compared.stores))
    further = {
        "matching": compared.matched.to_dict(),
        "conditions": [one.to_dict() for one in differing],
        "memory": [asdict(memory) for memory in memories],
    }
    return found | results.to_dict() | further


def plan_power(config: PowerConfig, recipes: Sequence[Recipe]) -> Power:
    """The problems and samples that a difference between two models takes.

    Raises:
        ReachlabError: not two models of one run each, or as of `power_analysis`.
    """
    from reachlab.boundary.power import power_analysis

    if len(recipes) != 2:
        raise ReachlabError(f"power: takes two models, and {len(recipes)} are named")
    if several := next((recipe.name for recipe in recipes if len(recipe.runs) > 1), None):
        raise ReachlabError(f"power: plans from one run of each model, and {several} has more")
    base, other = (recipe.pooled for recipe in recipes)
    return power_analysis(base, other, config.k, config.points, config.samples, config.level, config.power)
