"""What must be known of a comparison's numbers, a line each: under the terminal's tables, under the page's verdicts."""

from collections.abc import Iterator

from reachlab.boundary.comparison import Findings, Model, Pair

FEW = 4
"""Samples of a problem up to which the posterior is said beside pass@1."""


def footnotes(comparison: Findings) -> Iterator[str]:
    """Lines without a full stop."""
    yield from _seeds(comparison.models)
    for model in comparison.models:
        if model.short and len(model.runs) == 1 and int(comparison.ks[-1]) == model.least_n:
            yield (
                f"k ends at {model.least_n}: {model.name} has no more scored samples of problem {model.least!r}; "
                f"{model.short:,} of its problems have less than half as many as is usual there, and without them k "
                "would go on"
            )
    if comparison.clusters is not None:
        yield (
            "clusters are in the intervals of pass@k, its differences, crossing and ΔSE, and in the verdicts; Cover@τ, "
            "support ratios and what is beside pass@k take every problem for itself"
        )
    for pair in (*comparison.pairs, *comparison.others):
        yield from _of_pair(comparison, pair)
    for model in comparison.models:
        if model.posterior is not None and model.mean_n <= FEW:
            value, low, high = (100 * x[0] for x in (model.posterior.values, model.posterior.low, model.posterior.high))
            yield (
                f"{model.name}: answering these very problems over and over, it would be right {value:.1f}% "
                f"[{low:.1f}, {high:.1f}] of the time (Bayes@N, a posterior)"
            )


def _seeds(models: tuple[Model, ...]) -> Iterator[str]:
    if all(len(model.runs) == 1 for model in models):
        return
    for model in models:
        if len(model.runs) > 1:
            yield (
                f"{model.name} is a recipe: the mean over {len(model.runs)} runs ({', '.join(model.runs)}), with "
                "intervals that hold for other seeds; solved problems are counted over all their samples; on the page "
                f"the samples, and what is beside pass@k, are of {model.runs[0]}"
            )
        else:
            yield f"{model.name} is one run: what is said of it is of this very model, and says nothing of other seeds"


def _of_pair(comparison: Findings, pair: Pair) -> Iterator[str]:
    sets, both = pair.coverage, f"{pair.name} and {pair.base}"
    if sets.thinned:
        counts = {model.name: f"{model.mean_n:,.1f}".removesuffix(".0") for model in comparison.models}
        yield (
            f"{both}: gained and lost are counted on equally many samples of both ({counts[pair.name]} and "
            f"{counts[pair.base]} a problem in all; those of the one that has more are drawn by lot)"
        )
    if not pair.difference.tested:
        yield (
            f"{both}: sampled by different rules, so gained and lost are counted on unequal numbers of samples, and no "
            "word about the two is sure"
        )
    if sets.mid_p is not None:
        alone = len(comparison.pairs) + len(comparison.others) == 1
        by_itself = "" if alone else " of these two alone, and the words are about all pairs"
        yield f"{both}: one sample of each, McNemar's mid-p is {sets.mid_p:.3g}{by_itself}"
