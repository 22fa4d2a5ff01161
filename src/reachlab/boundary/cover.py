"""Cover@τ: the share of problems whose success probability p is at least τ.

Where pass@k asks how many problems a model solves if it may try k times, Cover@τ asks how many it solves reliably: at
small τ it counts what can be guessed, at large τ what is mastered. The two are one thing seen twice: pass@k is the mean
of Cover@τ over τ ~ Beta(1, k).

*Measured* is the plug-in of the paper, the share of problems with c ≥ τ n. It is not unbiased: sampling noise moves
problems over the threshold, to both sides, and more to the side where fewer problems are. *Smoothed* takes the noise
off: the mean over problems of P(p ≥ τ | n, c) under a fitted distribution of p (`averaged_fit`).

c ≥ τ n is decided in whole numbers, with τ the decimal that was written: 3 of 10 is at least 0.3.

Source: Dragoi et al. 2025, *Beyond Pass@k: Breadth-Depth Metrics for Reasoning Boundaries* (arXiv 2510.08325). The
intervals, the paired difference and the smoothed version are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from reachlab.boundary.averaged_fit import WeightedFit, fit_average
from reachlab.boundary.beta_binomial import distinct
from reachlab.boundary.bootstrap import SHARE, bootstrap_interval, resampling_weights
from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.stopping import Floats, Ints
from reachlab.errors import ReachlabError

TAUS = tuple(i / 20 for i in range(1, 21))
"""The grid unless asked otherwise: 0.05, 0.1, ..., 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cover(Curve):
    """Cover@τ of one model over τ, as measured, which the interval is of, and ``smoothed``."""

    name: str
    smoothed: Floats

    OVER: ClassVar[str] = "taus"

    def besides(self) -> dict[str, Any]:
        """What is smoothed."""
        return {"smoothed": self.smoothed}

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; `measured` is what `values` was called before."""
        found = Curve.to_dict(self)
        return found | {"measured": found["values"]}


@dataclass(frozen=True, eq=False, kw_only=True)
class CoverDifference(Cover):
    """Cover@τ of one model minus the base's on the problems both have, with paired intervals."""

    base: str
    problems: int


def cover(
    outcomes: Outcomes,
    taus: Sequence[float] = TAUS,
    *,
    fits: Sequence[WeightedFit] = (),
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Cover:
    """Cover@τ of one model; problems without scored samples are left out.

    Args:
        outcomes: the model's.
        taus: thresholds, above 0 and at most 1.
        fits: the model's own fits, where there are some already (`Extrapolation.fits`); else it is fitted here.
        resamples: bootstrap resamples over problems.
        level: of the interval.
        seed: of the resamples.

    Raises:
        ReachlabError: a τ outside (0, 1], no scored sample, or samples drawn adaptively.
    """
    ids = _scored(outcomes)
    covered_PK, smoothed_PK = _tables(outcomes.select(ids), taus, fits)
    low_K, high_K = bootstrap_interval(covered_PK, resampling_weights(len(ids), resamples, seed), level, SHARE)
    return Cover(
        name=outcomes.name,
        x=np.array(taus, np.float64),
        values=covered_PK.mean(axis=0),
        low=low_K,
        high=high_K,
        smoothed=smoothed_PK.mean(axis=0),
        level=level,
    )


def cover_difference(
    base: Outcomes,
    other: Outcomes,
    taus: Sequence[float] = TAUS,
    *,
    fits: tuple[Sequence[WeightedFit], Sequence[WeightedFit]] = ((), ()),
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> CoverDifference:
    """Cover@τ of `other` minus that of `base`, on the problems of which both have scored samples; else as `cover`.

    `fits` are the base's and the other's.
    """
    theirs = set(_scored(other))
    ids = [i for i in _scored(base) if i in theirs]
    if not ids:
        raise ReachlabError(f"Cover@τ: {base.name} and {other.name} have no scored samples of a common problem")
    base_PK, base_smoothed_PK = _tables(base.select(ids), taus, fits[0])
    other_PK, other_smoothed_PK = _tables(other.select(ids), taus, fits[1])
    difference_PK = other_PK - base_PK
    low_K, high_K = bootstrap_interval(difference_PK, resampling_weights(len(ids), resamples, seed), level, (-1, 1))
    return CoverDifference(
        name=other.name,
        base=base.name,
        problems=len(ids),
        x=np.array(taus, np.float64),
        values=difference_PK.mean(axis=0),
        low=low_K,
        high=high_K,
        smoothed=(other_smoothed_PK - base_smoothed_PK).mean(axis=0),
        level=level,
    )


def at_least(n_P: Ints, c_P: Ints, taus: Sequence[float]) -> Floats:
    """Whether c ≥ τ n, as 1 or 0: (P, K).

    Example:
        >>> at_least(np.array([10, 10]), np.array([1, 5]), [0.1, 0.5]).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    if not len(taus) or not all(0 < tau <= 1 for tau in taus):
        raise ReachlabError(f"Cover@τ: every τ must be above 0 and at most 1, and there must be one: {list(taus)}")
    n_U, row_P = np.unique(n_P, return_inverse=True)
    exact = [Fraction(repr(float(tau))) for tau in taus]
    needed_UK = np.array([[-(-tau.numerator * int(n) // tau.denominator) for tau in exact] for n in n_U], np.int64)
    return (c_P[:, None] >= needed_UK[row_P]).astype(np.float64)


def _scored(outcomes: Outcomes) -> list[str]:
    if outcomes.stopping is not None:
        raise ReachlabError(
            f"Cover@τ: {outcomes.name} was sampled adaptively, so that c/n is too high where sampling stopped; "
            "draw a fixed number of samples of every problem"
        )
    if not outcomes.n_P.any():
        raise ReachlabError(f"Cover@τ: {outcomes.name} has no scored sample")
    return [i for i, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n]


def _tables(outcomes: Outcomes, taus: Sequence[float], fits: Sequence[WeightedFit]) -> tuple[Floats, Floats]:
    """Whether each problem's c ≥ τ n, and the chance that its p ≥ τ: (P, K) both."""
    covered_PK = at_least(outcomes.n_P, outcomes.c_P, taus)
    pairs, row_P, counts_U = distinct(outcomes.n_P, outcomes.c_P)
    chance_UK = np.zeros((len(pairs.n), len(taus)))
    for one in fits or fit_average(pairs, counts_U[None]).fits():
        chance_UK += one.weight * one.fit.posterior_share_at_least(pairs.n, pairs.c, taus)
    return covered_PK, chance_UK[row_P]
