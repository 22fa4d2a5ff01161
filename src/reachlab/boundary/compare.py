"""Compare models on the problems they share: curves, paired differences, crossings, solved sets, verdicts.

All models are measured on the same problems, with the same resamples, up to the same k: the smallest number
of scored samples that any of them has on any of these problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from reachlab.boundary.bootstrap import Floats, Weights, percentile_interval, resampling_weights
from reachlab.boundary.coverage import Coverage, coverage
from reachlab.boundary.crossing import EQUAL, Crossing, find_crossing
from reachlab.boundary.histogram import Histogram, accuracy_histogram
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.verdict import Difference, Verdict, surely, verdict
from reachlab.errors import ReachlabError

EVERY_K = 1024
"""Up to here every k is computed unless asked otherwise; beyond, 64 values an octave."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """pass@k of one model, the mean over problems, with its interval at each k; all are (K,)."""

    values: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Model:
    """One model on the shared problems.

    ``mean_n`` and ``unscored`` count its samples there; ``not_shared`` its problems that some other model was
    not asked; ``not_scored`` the shared problems left out because this model has no scored sample of them.
    """

    name: str
    curve: Curve
    histogram: Histogram
    mean_n: float
    unscored: int
    not_shared: int
    not_scored: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """One model against the base; ``difference`` is the model's pass@k minus the base's."""

    name: str
    difference: Difference
    crossing: Crossing
    coverage: Coverage
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Comparison:
    """Everything that the samples say; ``pairs`` holds the models other than the base, in their order."""

    base: str
    problem_ids: tuple[str, ...]
    ks: Ints
    models: tuple[Model, ...]
    pairs: tuple[Pair, ...]
    resamples: int
    level: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; None for an open end of a crossing."""
        found: dict[str, Any] = _plain(self)
        return found


def compare(
    outcomes: Sequence[Outcomes],
    *,
    base: int = 0,
    ks: Sequence[int] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare models with the one at position `base`.

    Args:
        outcomes: the models; names must differ.
        base: position of the model that the others are held against.
        ks: values of k, each at most the common n; 1 is always among them. None: every k up to the common n,
            thinned out above 1,024.
        resamples: bootstrap resamples over problems; they take 4 bytes × resamples × problems.
        level: share of the resamples inside each interval.
        seed: of the resamples; nothing else is random.

    Raises:
        ReachlabError: no model, two of one name, no problem that all have scored samples of, k beyond the
            common n.
    """
    names = [o.name for o in outcomes]
    if not 0 <= base < len(names):
        raise ReachlabError(f"compare: there is no model at position {base} of {len(names)}")
    if len(set(names)) < len(names):
        raise ReachlabError(f"compare: two models have the same name; rename one of: {', '.join(names)}")
    asked = set.intersection(*(set(o.problem_ids) for o in outcomes))
    shared = [_restrict(o, asked, outcomes[base]) for o in outcomes]
    scored_P = np.all([o.n_P > 0 for o in shared], axis=0)
    if not scored_P.any():
        raise ReachlabError(f"compare: no problem has a scored sample of each of: {', '.join(names)}")
    problem_ids = tuple(i for i, keep in zip(shared[0].problem_ids, scored_P, strict=True) if keep)
    kept = [_restrict(o, set(problem_ids), o) for o in shared]
    grid = _grid(kept, ks)

    weights_BP = resampling_weights(len(problem_ids), resamples, seed)
    tables = [pass_at_k(o.n_P, o.c_P, grid) for o in kept]
    models = tuple(
        Model(
            name=used.name,
            curve=Curve(table_PK.mean(axis=0), *percentile_interval(table_PK, weights_BP, level)),
            histogram=accuracy_histogram(used.n_P, used.c_P),
            mean_n=float(used.n_P.mean()),
            unscored=int(used.unscored_P.sum()),
            not_shared=len(given.problem_ids) - len(common.problem_ids),
            not_scored=int((common.n_P == 0).sum()),
        )
        for given, common, used, table_PK in zip(outcomes, shared, kept, tables, strict=True)
    )
    pairs = tuple(
        _pair(kept[base], other, table_PK - tables[base], grid, weights_BP, level)
        for i, (other, table_PK) in enumerate(zip(kept, tables, strict=True))
        if i != base
    )
    return Comparison(
        base=names[base],
        problem_ids=problem_ids,
        ks=grid,
        models=models,
        pairs=pairs,
        resamples=resamples,
        level=level,
        seed=seed,
    )


def _restrict(outcomes: Outcomes, wanted: set[str], order: Outcomes) -> Outcomes:
    """The outcomes on the wanted problems, in the order of another model."""
    ids = tuple(i for i in order.problem_ids if i in wanted)
    position = {problem_id: at for at, problem_id in enumerate(outcomes.problem_ids)}
    at_P = np.array([position[i] for i in ids], np.int64)
    return Outcomes(outcomes.name, ids, outcomes.n_P[at_P], outcomes.c_P[at_P], outcomes.unscored_P[at_P])


def _grid(kept: Sequence[Outcomes], ks: Sequence[int] | None) -> Ints:
    fewest = min(kept, key=lambda o: int(o.n_P.min()))
    n = int(fewest.n_P.min())
    if ks is None:
        octaves = np.log2(max(n, EVERY_K) / EVERY_K)
        thin = np.geomspace(EVERY_K, max(n, EVERY_K), int(64 * octaves) + 2).round().astype(np.int64)
        return np.union1d(np.arange(1, min(n, EVERY_K) + 1), thin[thin <= n])
    if bad := [k for k in ks if not 1 <= k <= n]:
        where = fewest.problem_ids[int(fewest.n_P.argmin())]
        raise ReachlabError(
            f"k = {bad[0]} is outside 1 to {n}: {fewest.name} has {n} scored samples of problem {where!r}"
        )
    return np.union1d([1], np.array(ks, np.int64))


def _pair(
    base: Outcomes,
    other: Outcomes,
    difference_PK: Floats,
    ks: Ints,
    weights_BP: Weights,
    level: float,
) -> Pair:
    low_K, high_K = percentile_interval(difference_PK, weights_BP, level)
    differing_K = np.count_nonzero(np.abs(difference_PK) > EQUAL, axis=0)
    difference = Difference(
        values=difference_PK.mean(axis=0),
        low=low_K,
        high=high_K,
        differing=differing_K,
        sign=surely(low_K, high_K, differing_K, level),
    )
    crossing = find_crossing(difference_PK, ks, weights_BP, level)
    return Pair(
        name=other.name,
        difference=difference,
        crossing=crossing,
        coverage=coverage(base.problem_ids, base.c_P, other.c_P),
        verdict=verdict(ks, difference, crossing),
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
