"""pass@k beyond the samples drawn: what is measured stays, and a fit says how many unsolved problems would be solved.

For a problem with n samples, c of them right, pass@k is estimated by

    the unbiased 1 − C(n−c, k) / C(n, k)           for k ≤ n,
    1                                              for k > n and c > 0: it is solved already,
    1 − E[(1 − p)^(k−n) | c = 0 of n]              for k > n and c = 0, under a fitted distribution of p.

The curve therefore goes on from the measured one without a step, never falls, and is what drawing on would show.
The distribution is an average of four zero-inflated beta-binomials (`averaged_fit`).

Every extrapolation carries its back-test: each problem is thinned to a part of its samples (hypergeometric counts),
the same is done with these, and compared with the unbiased pass@k of all samples.

The interval is over problems: refits to bootstrap resamples, each with its four fits in proportion to their weights, so
that not knowing which of the four is right is part of it. It is widened to the back-test's error where that is more:
where none of the four is right, the fits agree on what is wrong, and only the back-test sees it.

Source: Kazdan et al. 2025, *Efficient Prediction of Pass@k Scaling in Large Language Models* (arXiv 2510.05197), which
fits a beta-binomial. Where we depart: the average, the estimate for these very problems, the interval, the back-test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachlab.boundary.averaged_fit import Unknown, WeightedFit, fit_average, sum_by
from reachlab.boundary.beta_binomial import BetaBinomial, distinct, fit_beta_binomial
from reachlab.boundary.bootstrap import SHARE, bootstrap_interval, resampling_weights, tail
from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.stopping import Floats, Ints
from reachlab.errors import ReachlabError

__all__ = ["BackTest", "BetaBinomial", "Extrapolation", "WeightedFit", "extrapolate", "fit_beta_binomial"]

STEPS = {4: (2, 4), 16: (8, 16)}
"""The back-test's parts, 1/4 and 1/16 of the samples, and the k, as multiples of a part, that each has to get right."""
THINNINGS = 4
"""Times that each part is drawn."""
FEWEST_KEPT = 4
"""Samples of a problem that a part must have left."""
FEWEST_PROBLEMS = 20
"""With fewer, a back-test passes or fails by chance."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BackTest:
    """What 1/`part` of the samples would have said of the pass@k that all samples show.

    ``samples`` is how many the problem with the fewest kept. The arrays are (K,): k, the mean prediction over
    thinnings, the unbiased pass@k of all samples, and the mean over thinnings of a prediction's absolute error.
    """

    part: int
    samples: int
    ks: Ints
    predicted: Floats
    observed: Floats
    error: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Extrapolation(Curve):
    """pass@k with its interval (see above); the arrays are (K,).

    Up to ``largest_k`` the values are measured. Up to ``trusted_to`` they are trusted: a back-test that went as far
    beyond its samples was within ``tolerance``. ``words`` says so in a sentence. ``population`` is the fitted pass@k
    of whatever these problems were drawn from.
    """

    name: str
    population: Floats
    largest_k: int
    trusted_to: int
    words: str
    fits: tuple[WeightedFit, ...]
    back_tests: tuple[BackTest, ...]
    tolerance: float
    resamples: int
    seed: int

    def besides(self) -> dict[str, Any]:
        """Whether each point is beyond the samples, and whether it is trusted."""
        return {"extrapolated": self.x > self.largest_k, "trusted": self.x <= self.trusted_to}

    @property
    def trusted(self) -> bool:
        """Whether every k asked for is trusted."""
        return int(self.x[-1]) <= self.trusted_to


def extrapolate(
    outcomes: Outcomes,
    ks: Sequence[int] | Ints,
    *,
    resamples: int = 200,
    level: float = 0.95,
    tolerance: float = 0.05,
    seed: int = 0,
) -> Extrapolation:
    """Estimate pass@k at any k.

    Outcomes of adaptive sampling can be extrapolated, as their likelihood is the same; but they cannot be thinned, so
    they have no back-test, and nothing beyond what is measured is trusted.

    Args:
        outcomes: problems without scored samples are left out.
        ks: the values of k, 1 or more.
        resamples: bootstrap resamples over problems; each takes four refits.
        level: share of the resamples inside the interval.
        tolerance: the error up to which a back-test has passed; 0.05 is five points. A back-test has a part of the
            samples to go by, and is further off than the extrapolation that it vouches for.
        seed: of the resamples and the thinnings.

    Raises:
        ReachlabError: no k, or one below 1; no problem with a scored sample.
    """
    ks_K = np.unique(np.array(ks, np.int64))
    if not ks_K.size or ks_K[0] < 1:
        raise ReachlabError(f"extrapolate: every k must be at least 1, and there must be one: {ks_K.tolist()}")
    used = outcomes.select([i for i, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n > 0])
    if not used.problem_ids:
        raise ReachlabError(f"extrapolate: {outcomes.name} has no problem with a scored sample")
    beyond = tail(level, len(used.n_P))
    weights_BP = resampling_weights(len(used.n_P), resamples, seed)
    pairs, row_P, counts_U = distinct(used.n_P, used.c_P)
    average = fit_average(pairs, counts_U[None])

    far = ks_K > used.largest_k
    values_K, low_K, high_K = np.empty((3, len(ks_K)))
    if not far.all():
        table_PK = used.pass_at_k(ks_K[~far])
        values_K[~far] = table_PK.mean(axis=0)
        low_K[~far], high_K[~far] = bootstrap_interval(table_PK, weights_BP, level, SHARE)
    if far.any():
        unknown = Unknown.of(pairs, ks_K[far], stopped=used.stopping is not None)
        values_K[far] = average.mean(unknown)[0]
        if used.c_P.any():
            resampled = fit_average(pairs, sum_by(row_P, weights_BP, len(pairs.n)), near=average)
            low_K[far], high_K[far] = resampled.ends(unknown, (beyond, 1 - beyond))
        else:
            low_K[far], high_K[far] = 0.0, 1.0  # without a right sample nothing says how rare they are
    back_tests = tuple(_back_test(used, part, seed) for part in STEPS if _can_thin(used, part))
    error_K = _error_at(ks_K / used.largest_k, back_tests)
    low_K, high_K = np.minimum(low_K, values_K - error_K), np.maximum(high_K, values_K + error_K)
    fits = average.fits()
    trusted_to, words = _trust(used, back_tests, tolerance)
    return Extrapolation(
        name=used.name,
        x=ks_K,
        values=values_K,
        low=np.maximum(low_K, 0),
        high=np.minimum(high_K, 1),
        population=np.sum([one.weight * one.fit.pass_at_k(ks_K) for one in fits], axis=0),
        largest_k=used.largest_k,
        trusted_to=trusted_to,
        words=words,
        fits=fits,
        back_tests=back_tests,
        tolerance=tolerance,
        resamples=resamples,
        level=level,
        seed=seed,
    )


def _can_thin(used: Outcomes, part: int) -> bool:
    return used.stopping is None and used.largest_k // part >= FEWEST_KEPT


def _back_test(used: Outcomes, part: int, seed: int) -> BackTest:
    """Thin every problem to 1/part of its samples, extrapolate from that to as many samples as all problems have."""
    rng = np.random.default_rng((seed, part))
    kept_P = used.n_P // part
    drawn_IP = rng.hypergeometric(used.c_P, used.n_P - used.c_P, kept_P, size=(THINNINGS, len(kept_P)))
    pairs, row_F, _ = distinct(np.tile(kept_P, THINNINGS), drawn_IP.reshape(-1))
    counts_IU = np.zeros((THINNINGS, len(pairs.n)))
    np.add.at(counts_IU, (np.arange(THINNINGS)[:, None], row_F.reshape(drawn_IP.shape)), 1)
    samples = int(kept_P.min())
    ks = np.unique(np.minimum(samples * 2 ** np.arange(1, part.bit_length()), used.largest_k))
    predicted_IK = fit_average(pairs, counts_IU).mean(Unknown.of(pairs, ks, stopped=False))
    observed_K = used.pass_at_k(ks).mean(axis=0)
    return BackTest(
        part=part,
        samples=samples,
        ks=ks,
        predicted=predicted_IK.mean(axis=0),
        observed=observed_K,
        error=np.abs(predicted_IK - observed_K).mean(axis=0),
    )


def _error_at(times_K: Floats, back_tests: tuple[BackTest, ...]) -> Floats:
    """The back-tests' error at so many times the samples: 0 up to 1, then over octaves, and no more beyond the last."""
    steps, errors = [1], [0.0]
    for test in back_tests:
        for k, error in zip(test.ks, test.error, strict=True):
            if (times := round(int(k) / test.samples)) in STEPS[test.part]:
                steps.append(times)
                errors.append(float(error))
    return np.interp(np.log2(times_K), np.log2(steps), errors)


def _trust(used: Outcomes, back_tests: tuple[BackTest, ...], tolerance: float) -> tuple[int, str]:
    """Up to which k the back-tests reach with small errors, and why in words."""
    n = used.largest_k
    if used.stopping is not None:
        return n, f"not trusted beyond k = {n:,}: what was drawn until enough was right cannot be back-tested"
    if not used.c_P.any():
        return n, f"not trusted beyond k = {n:,}: no sample is right, so there is nothing to go by"
    if not back_tests:
        needed = min(STEPS) * FEWEST_KEPT
        return n, f"not trusted beyond k = {n:,}: a back-test needs {needed} samples of every problem"
    trusted = 1
    for test in back_tests:
        for k, error in zip(test.ks, test.error, strict=True):
            times = round(int(k) / test.samples)
            if times in STEPS[test.part] and times == 2 * trusted and error <= tolerance:
                trusted = times
    seen = ", ".join(
        f"from {test.samples} samples it was {100 * test.error[-1]:.1f} points off at k = {test.ks[-1]:,}"
        for test in back_tests
    )
    if len(used.n_P) < FEWEST_PROBLEMS:
        few = f"{len(used.n_P)} problems are too few for a back-test to say much"
        return n, f"not trusted beyond k = {n:,}: {few} ({seen})"
    return n * trusted, f"trusted to k = {n * trusted:,}: {seen}"
