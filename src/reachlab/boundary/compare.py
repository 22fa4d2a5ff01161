"""Compare models on the problems they share: curves, paired differences, crossings, solved sets, gaps, verdicts.

All models are measured on the same problems, with the same resamples, up to the same k: the largest for which every
model has an estimate on each of these problems (the smallest number of scored samples, unless drawn adaptively). All
pairs that are compared are one family (`family`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from reachlab.boundary import gap
from reachlab.boundary.cluster_mean import Clusters
from reachlab.boundary.comparison import Findings, Model
from reachlab.boundary.curve import Curve
from reachlab.boundary.family import Family
from reachlab.boundary.histogram import accuracy_histogram
from reachlab.boundary.noise import Over
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.posterior import MOST_SAMPLES, posterior_pass_at_k
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.verdict import SAME_WITHIN
from reachlab.errors import ReachlabError

EVERY_K = 1024
"""Up to here every k is computed unless asked otherwise; beyond, 64 values an octave."""

Pairs = Literal["base", "all"]
"""Which pairs are compared: each model with the base, or every one with every other."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """How models are compared; nothing but the resamples and what is thinned by lot is random."""

    base: int = 0
    """Position of the model that the others are held against."""
    ks: Sequence[int] | None = None
    """Values of k, each at most the common n; 1 is always among them. None: every k up to the common n, thinned out
    above 1,024."""
    gap_k: int = gap.K
    """k of the sampling-efficiency gap, or the common n where that is less."""
    resamples: int = 10_000
    """Of the bootstrap, at least 2 / (1 − level); they take 4 bytes × resamples × problems (and × n for every run, if
    samples are resampled)."""
    level: float = 0.95
    """Of the intervals, bands and tests."""
    over: Over = "problems"
    """What is resampled for the intervals: problems, their samples, or both (see `noise`)."""
    clusters: Mapping[str, str] | None = None
    """The cluster of each problem; whole clusters are resampled, and signs flipped by cluster."""
    pairs: Pairs = "base"
    """Whether models are compared with the base only, or all with each other."""
    same_within: float = SAME_WITHIN
    """δ, the share within which pass@k counts as the same."""
    seed: int = 0
    """Of the resamples, and of what is thinned by lot."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse what models of these names cannot be compared by.

        Raises:
            ReachlabError: what is wrong.
        """
        if not 0 <= self.base < len(names):
            raise ReachlabError(f"compare: there is no model at position {self.base} of {len(names)}")
        if not 0 < self.level < 1:
            raise ReachlabError(f"compare: level {self.level:g} is not between 0 and 1")
        if self.resamples * (1 - self.level) < 2 - 1e-9:
            raise ReachlabError(
                f"compare: {self.resamples} resamples say nothing at level {self.level:g}; ask for "
                f"{round(2 / (1 - self.level))} or more"
            )
        if not 0 < self.same_within < 1:
            raise ReachlabError(f"compare: same_within={self.same_within:g} must be between 0 and 1, as a share")
        if len(set(names)) < len(names):
            raise ReachlabError(f"compare: two models have the same name; rename one of: {', '.join(names)}")
        for name, value, known in (("over", self.over, get_args(Over)), ("pairs", self.pairs, get_args(Pairs))):
            if value not in known:
                raise ReachlabError(f"compare: {name}={value!r} must be one of {', '.join(known)}")
        if self.clusters is not None and self.over == "samples":
            raise ReachlabError(
                "compare: clusters are of problems, and over samples these stay as they are; leave out the clusters, "
                "or resample problems"
            )


def compare(models: Sequence[Outcomes | Recipe], **settings: Any) -> Findings:
    """Compare models with a base among them.

    Args:
        models: one run each, or recipes of several; names must differ.
        settings: the fields of `CompareSettings`, such as ``ks=[1, 8]`` or ``level=0.9``.

    Raises:
        ReachlabError: no model, two of one name, no problem that all have scored samples of, k beyond the
            common n, a problem without a cluster.
    """
    recipes = [Recipe.of(model) for model in models]
    how = CompareSettings(**settings)
    how.check([recipe.name for recipe in recipes])
    base, level = how.base, how.level
    shared, problem_ids = _shared(recipes, base)
    kept = [recipe.select(problem_ids) for recipe in shared]
    of_problems = _clusters(problem_ids, how.clusters)
    grid = _grid(kept, how.ks)
    family = Family(kept, of_problems, grid, resamples=how.resamples, level=level, over=how.over, seed=how.seed)
    against_base = [(i, base) for i in range(len(kept)) if i != base]
    others = [
        (i, j) for j in range(len(kept)) for i in range(j + 1, len(kept)) if how.pairs == "all" and base not in (i, j)
    ]
    curves, found = family.compare([*against_base, *others], how.gap_k, how.same_within)
    return Findings(
        base=recipes[base].name,
        problem_ids=problem_ids,
        clusters=None if how.clusters is None else of_problems.count,
        ks=grid,
        models=tuple(
            _model(recipe, curve, given, common, grid, level)
            for recipe, curve, given, common in zip(kept, curves, recipes, shared, strict=True)
        ),
        pairs=tuple(found[: len(against_base)]),
        others=tuple(found[len(against_base) :]),
        resamples=how.resamples,
        level=level,
        same_within=how.same_within,
        seed=how.seed,
        over=how.over,
    )


def _shared(recipes: Sequence[Recipe], base: int) -> tuple[list[Recipe], tuple[str, ...]]:
    """The models on the problems that all were asked, in the base's order, and those of which all have a scored
    sample."""
    asked = set.intersection(*(set(recipe.problem_ids) for recipe in recipes))
    order = [i for i in recipes[base].problem_ids if i in asked]
    shared = [recipe.select(order) for recipe in recipes]
    scored_P = np.all([recipe.scored for recipe in shared], axis=0)
    if not scored_P.any():
        names = ", ".join(recipe.name for recipe in recipes)
        raise ReachlabError(f"compare: no problem has a scored sample of each of: {names}")
    return shared, tuple(i for i, keep in zip(order, scored_P, strict=True) if keep)


def _clusters(problem_ids: Sequence[str], clusters: Mapping[str, str] | None) -> Clusters:
    if clusters is None:
        return Clusters(len(problem_ids))
    if missing := next((i for i in problem_ids if i not in clusters), None):
        raise ReachlabError(f"compare: problem {missing!r} is in no cluster")
    return Clusters(len(problem_ids), [clusters[i] for i in problem_ids])


def _model(used: Recipe, curve: Curve, given: Recipe, common: Recipe, ks: Ints, level: float) -> Model:
    pooled = used.pooled
    few = len(used.runs) == 1 and int(pooled.n_P.max()) <= MOST_SAMPLES
    return Model(
        name=used.name,
        runs=tuple(run.name for run in used.runs),
        curve=curve,
        posterior=posterior_pass_at_k(pooled, ks, level) if few else None,
        histogram=accuracy_histogram(*pooled.fractions()),
        solved=tuple(p for p, c in zip(pooled.problem_ids, pooled.c_P, strict=True) if c),
        mean_n=float(pooled.n_P.mean()),
        least_n=int(pooled.n_P.min()),
        least=pooled.problem_ids[int(pooled.n_P.argmin())],
        short=int((pooled.n_P < np.median(pooled.n_P) / 2).sum()) if pooled.stopping is None else 0,
        unscored=int(pooled.unscored_P.sum()),
        not_shared=len(given.problem_ids) - len(common.problem_ids),
        not_scored=int((~common.scored).sum()),
    )


def _grid(kept: Sequence[Recipe], ks: Sequence[int] | None) -> Ints:
    fewest = min((run for recipe in kept for run in recipe.runs), key=lambda o: o.largest_k)
    n = fewest.largest_k
    if ks is None:
        octaves = np.log2(max(n, EVERY_K) / EVERY_K)
        thin = np.geomspace(EVERY_K, max(n, EVERY_K), int(64 * octaves) + 2).round().astype(np.int64)
        return np.union1d(np.arange(1, min(n, EVERY_K) + 1), thin[thin <= n])
    if bad := [k for k in ks if not 1 <= k <= n]:
        why = f"{fewest.name} was sampled adaptively up to {n} samples"
        if fewest.stopping is None:
            why = f"{fewest.name} has {n} scored samples of problem {fewest.problem_ids[int(fewest.n_P.argmin())]!r}"
        raise ReachlabError(f"k = {bad[0]} is outside 1 to {n}: {why}")
    return np.union1d([1], np.array(ks, np.int64))
