"""Compare models on the problems they share: curves, paired differences, crossings, solved sets, gaps, verdicts.

All models are measured on the same problems, with the same resamples, up to the same k: the largest for which every
model has an estimate on each of these problems (the smallest number of scored samples, unless drawn adaptively).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from reachlab.boundary import gap
from reachlab.boundary.bands import Band
from reachlab.boundary.bootstrap import EQUAL, Floats, Interval, Weights, resampled_means, resampling_weights
from reachlab.boundary.coverage import Coverage, coverage
from reachlab.boundary.crossing import Crossing, Crossings
from reachlab.boundary.gap import Gap, sampling_efficiency_gap
from reachlab.boundary.histogram import Histogram, accuracy_histogram
from reachlab.boundary.noise import Noise, Over
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.signflip import adjusted_p, even, random_signs
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
    """One model on the shared problems; ``solved`` are those with a right sample.

    ``mean_n`` and ``unscored`` count its samples there; ``not_shared`` its problems that some other model was
    not asked; ``not_scored`` the shared problems left out because this model has no scored sample of them.
    """

    name: str
    curve: Curve
    histogram: Histogram
    solved: tuple[str, ...]
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
    gap: Gap
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
    over: Over

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; None for an open end of a crossing."""
        found: dict[str, Any] = _plain(self)
        return found


def compare(
    outcomes: Sequence[Outcomes],
    *,
    base: int = 0,
    ks: Sequence[int] | None = None,
    gap_k: int = gap.K,
    resamples: int = 10_000,
    level: float = 0.95,
    over: Over = "problems",
    seed: int = 0,
) -> Comparison:
    """Compare models with the one at position `base`.

    Args:
        outcomes: the models; names must differ.
        base: position of the model that the others are held against.
        ks: values of k, each at most the common n; 1 is always among them. None: every k up to the common n,
            thinned out above 1,024.
        gap_k: k of the sampling-efficiency gap, or the common n where that is less.
        resamples: of the bootstrap, at least 2 / (1 − level); they take 4 bytes × resamples × problems (and × n for
            every model, if samples are resampled).
        level: of the intervals, bands and tests.
        over: what is resampled for the intervals: problems, their samples, or both (see `noise`).
        seed: of the resamples; nothing else is random.

    Raises:
        ReachlabError: no model, two of one name, no problem that all have scored samples of, k beyond the
            common n.
    """
    names = [o.name for o in outcomes]
    if not 0 <= base < len(names):
        raise ReachlabError(f"compare: there is no model at position {base} of {len(names)}")
    if 0 < level < 1 and resamples * (1 - level) < 2 - 1e-9:
        raise ReachlabError(
            f"compare: {resamples} resamples say nothing at level {level:g}; ask for {round(2 / (1 - level))} or more"
        )
    if len(set(names)) < len(names):
        raise ReachlabError(f"compare: two models have the same name; rename one of: {', '.join(names)}")
    asked = set.intersection(*(set(o.problem_ids) for o in outcomes))
    order = [i for i in outcomes[base].problem_ids if i in asked]
    shared = [o.select(order) for o in outcomes]
    scored_P = np.all([o.n_P > 0 for o in shared], axis=0)
    if not scored_P.any():
        raise ReachlabError(f"compare: no problem has a scored sample of each of: {', '.join(names)}")
    problem_ids = tuple(i for i, keep in zip(order, scored_P, strict=True) if keep)
    kept = [o.select(problem_ids) for o in shared]
    grid = _grid(kept, ks)

    draw = _Resamples(kept, grid, resamples, level, over, seed)
    models = tuple(
        Model(
            name=used.name,
            curve=draw.curve(i),
            histogram=accuracy_histogram(*_accuracies(used)),
            solved=tuple(p for p, c in zip(problem_ids, used.c_P, strict=True) if c),
            mean_n=float(used.n_P.mean()),
            unscored=int(used.unscored_P.sum()),
            not_shared=len(given.problem_ids) - len(order),
            not_scored=int((common.n_P == 0).sum()),
        )
        for i, (given, common, used) in enumerate(zip(outcomes, shared, kept, strict=True))
    )
    pairs = []
    for i, other in enumerate(kept):
        if i == base:
            continue
        difference, crossing = draw.difference(i, base)
        pairs.append(
            Pair(
                name=other.name,
                difference=difference,
                crossing=crossing,
                coverage=coverage(kept[base], other, level),
                gap=draw.gap(base, i, gap_k),
                verdict=verdict(grid, difference, crossing),
            )
        )
    return Comparison(
        base=names[base],
        problem_ids=problem_ids,
        ks=grid,
        models=models,
        pairs=tuple(pairs),
        resamples=resamples,
        level=level,
        seed=seed,
        over=over,
    )


class _Resamples:
    """What all models are resampled with, and what comes out of it."""

    def __init__(self, kept: Sequence[Outcomes], ks: Ints, resamples: int, level: float, over: Over, seed: int):
        self.kept, self.ks, self.level, self.seed = kept, ks, level, seed
        self.tables = [o.pass_at_k(ks) for o in kept]
        self.problems = len(kept[0].problem_ids)
        self.weights_BP = resampling_weights(self.problems, resamples, seed)
        self.signs_BP = random_signs(self.problems, resamples, seed)
        self.fixed = over == "samples"
        if self.fixed:
            self.weights_BP = np.ones_like(self.weights_BP)
        self.noises = [Noise(o, self.weights_BP, seed + i) for i, o in enumerate(kept)] if over != "problems" else None

    def curve(self, i: int) -> Curve:
        """A model's pass@k, the mean over problems, with its interval."""
        interval = self._interval(self.tables[i])
        for rows, means_KB in resampled_means(*self._rows(self.tables[i], (i, 1, self.ks))):
            interval.add(rows, means_KB)
        return Curve(self.tables[i].mean(axis=0), interval.low_K, interval.high_K)

    def difference(self, other: int, base: int) -> tuple[Difference, Crossing]:
        """The paired difference of two models, and where it crosses."""
        difference_PK = self.tables[other] - self.tables[base]
        values_K = difference_PK.mean(axis=0)
        differing_K = np.count_nonzero(np.abs(difference_PK) > EQUAL, axis=0)
        resamples = len(self.weights_BP)
        band, crossings = Band(values_K, differing_K, resamples), Crossings(resamples)
        interval = self._interval(difference_PK)
        parts = ((other, 1, self.ks), (base, -1, self.ks))
        for rows, means_KB in resampled_means(*self._rows(difference_PK, *parts)):
            band.add(rows, means_KB)
            crossings.add(rows, means_KB)
            interval.add(rows, means_KB)
        band_low_K, band_high_K = band.result(self.level, 1 if self.fixed else self.problems)
        p_K = self._p(other, base)
        difference = Difference(
            values=values_K,
            low=interval.low_K,
            high=interval.high_K,
            band_low=band_low_K,
            band_high=band_high_K,
            p=p_K,
            differing=differing_K,
            sign=surely(band_low_K, band_high_K, p_K, self.level),
        )
        return difference, crossings.result(difference_PK, self.ks, self.level)

    def gap(self, base: int, trained: int, k: int) -> Gap:
        """ΔSE at k, or at the common n where that is less."""
        k = min(k, *(o.largest_k for o in self.kept))
        at_k, at_1 = np.array([k]), np.array([1])
        reach_P1, single_P1 = self.kept[base].pass_at_k(at_k), self.kept[trained].pass_at_k(at_1)
        interval = self._interval(reach_P1 - single_P1)
        parts = ((base, 1, at_k), (trained, -1, at_1))
        for rows, means_KB in resampled_means(*self._rows(reach_P1 - single_P1, *parts)):
            interval.add(rows, means_KB)
        value = sampling_efficiency_gap(float(reach_P1.mean()), float(single_P1.mean()))
        return Gap(k, value, float(interval.low_K[0]), float(interval.high_K[0]))

    def _p(self, other: int, base: int) -> Floats:
        """The sign-flip test's, on as many samples of both; 1 where the two were not sampled by one rule."""
        pair = even(self.kept[other], self.kept[base], self.seed)
        if pair is None:
            return np.ones(len(self.ks))
        return adjusted_p(pair[0].pass_at_k(self.ks) - pair[1].pass_at_k(self.ks), self.signs_BP)

    def _interval(self, values_PK: Floats) -> Interval:
        return Interval(values_PK, len(self.weights_BP), self.level, self.fixed)

    def _rows(self, values_PK: Floats, *parts: tuple[int, int, Ints]) -> tuple[Floats, Weights, int]:
        """What `resampled_means` takes: the problems' values; then each model's redrawn samples, with their sign."""
        if self.noises is None:
            return values_PK, self.weights_BP, self.problems
        values, weights, centred_PK = list[Floats](), [self.weights_BP], values_PK.copy()
        for i, sign, ks in parts:
            noise = self.noises[i]
            centred_PK -= sign * noise.mean(ks)
            values.append(sign * noise.table(ks))
            weights.append(noise.counts_BC)
        return np.concatenate([centred_PK, *values]), np.concatenate(weights, axis=1), self.problems


def _accuracies(outcomes: Outcomes) -> tuple[Ints, Ints]:
    """Accuracies as fractions (n, c). Of problems that stopped when they were solved c / n is too high; pass@1 is not.

    A solved problem is never counted as never solved, though its first samples, which are all that pass@1 looks at,
    may all be wrong.
    """
    if outcomes.stopping is None:
        return outcomes.n_P, outcomes.c_P
    parts = 10**6
    c_P = (parts * outcomes.pass_at_k([1])[:, 0]).round().astype(np.int64)
    return np.full(len(c_P), parts), np.where(outcomes.c_P > 0, np.maximum(c_P, 1), 0)


def _grid(kept: Sequence[Outcomes], ks: Sequence[int] | None) -> Ints:
    fewest = min(kept, key=lambda o: o.largest_k)
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


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
