"""How surprising one model's answers are to another: perplexity for every pair of judge and writer.

    PPL_m(Y | x) = exp(−1/T Σ_t log P_m(y_t | x, y_<t))

Source: arXiv 2504.13837, section 4.1: answers of an RL-trained model with a low perplexity under the base model are
answers that the base could have given. There it is shown as one distribution of answers a pair, over two problems. Here
also as one number with an interval: a corpus's perplexity, exp(−Σ log P / Σ T) over all answers, each token counted
once, with an interval over problems (`bootstrap.py`). All tokens are the judge's own, so judges compare where they cut
text into the same tokens.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import Floats, Interval, Weights
from reachlab.errors import ReachlabError

IMPOSSIBLE = -1e30
"""Stands for log 0, so that a resample without such an answer stays finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Of one writer's answers under one judge.

    ``median``, the quartiles and ``mean`` are over answers, whatever their length; ``mean`` is geometric, the
    exponential of the mean log-perplexity. ``corpus`` is over tokens, ``low`` and ``high`` its interval over problems,
    not numbers for a single problem.
    """

    samples: int
    problems: int
    tokens: int
    median: float
    lower_quartile: float
    upper_quartile: float
    mean: float
    corpus: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswers:
    """One writer under one judge. ``own``: the judge is the model that wrote.

    ``all`` is of all scored answers, ``correct`` of those that are right; None without one. ``samples`` counts what the
    run holds, ``impossible`` the answers that this judge cannot score.
    """

    own: bool
    samples: int
    impossible: int
    all: Perplexity | None
    correct: Perplexity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerplexityMatrix:
    """Writers under judges; a pair without scores is missing."""

    judges: tuple[str, ...]
    writers: tuple[str, ...]
    cells: Mapping[tuple[str, str], JudgedAnswers]
    """By (judge, writer)."""
    same_tokens: bool
    """Whether all judges cut every writer's answers into as many tokens: else perplexities compare along a column, and
    not along a row."""
    resamples: int
    level: float
    seed: int

    def cell(self, judge: str, writer: str) -> JudgedAnswers | None:
        """One writer under one judge."""
        return self.cells.get((judge, writer))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; what is not a finite number is None."""
        return {
            "judges": list(self.judges),
            "writers": list(self.writers),
            "cells": [
                {"judge": judge, "writer": writer, **_plain(asdict(cell))}
                for (judge, writer), cell in self.cells.items()
            ],
            "same_tokens": self.same_tokens,
            "resamples": self.resamples,
            "level": self.level,
            "seed": self.seed,
        }


def perplexity(
    problem_N: NDArray[np.int64],
    logprob_N: NDArray[np.floating[Any]],
    tokens_N: NDArray[np.integer[Any]],
    weights_BP: Weights,
    level: float = 0.95,
) -> Perplexity:
    """Summarise N answers to P problems.

    Args:
        problem_N: which problem each answers, from 0 to P - 1; each problem has an answer.
        logprob_N: Σ log P of each answer's tokens, at most 0, in nats.
        tokens_N: how many tokens each has, 1 or more.
        weights_BP: how often each problem is drawn in each resample (`resampling_weights`).
        level: share of the resamples inside the interval.

    Raises:
        ReachlabError: no answer, one without a token, a log-probability that is not a number, or problems that do not
            go with the weights.
    """
    if not len(problem_N) or tokens_N.min() < 1:
        raise ReachlabError("perplexity: no answer, or one without a token")
    if np.isnan(logprob_N).any():
        raise ReachlabError("perplexity: a log-probability is not a number")
    tokens_P = np.bincount(problem_N, tokens_N).astype(np.float64)
    if len(tokens_P) != weights_BP.shape[1] or not tokens_P.all():
        raise ReachlabError(f"perplexity: {np.count_nonzero(tokens_P)} problems, weights of {weights_BP.shape[1]}")
    logprob_N = np.maximum(logprob_N.astype(np.float64), IMPOSSIBLE)
    logprob_P = np.bincount(problem_N, logprob_N).astype(np.float64)
    log_N, log = -logprob_N / tokens_N, -logprob_P.sum() / tokens_P.sum()
    low, high = nan, nan
    with np.errstate(over="ignore"):
        if len(tokens_P) > 1:
            low, high = (float(np.exp(end)) for end in _interval(-logprob_P, tokens_P, weights_BP, level))
        lower, median, upper = np.exp(np.quantile(log_N, (0.25, 0.5, 0.75)))
        return Perplexity(
            samples=len(problem_N),
            problems=len(tokens_P),
            tokens=int(tokens_P.sum()),
            median=float(median),
            lower_quartile=float(lower),
            upper_quartile=float(upper),
            mean=float(np.exp(log_N.mean())),
            corpus=float(np.exp(log)),
            low=low,
            high=high,
        )


def _interval(nats_P: Floats, tokens_P: Floats, weights_BP: Weights, level: float) -> tuple[float, float]:
    """Of Σ nats / Σ tokens. What BCa asks of each problem is how it pulls that ratio."""
    nats_B, tokens_B = (weights_BP @ np.stack([nats_P, tokens_P], axis=1).astype(np.float32)).T
    ratio = nats_P.sum() / tokens_P.sum()
    pulled_P = ratio + (nats_P - ratio * tokens_P) / tokens_P.mean()
    interval = Interval(pulled_P[:, None], len(weights_BP), level)
    interval.add(slice(0, 1), (nats_B / tokens_B)[None])
    return float(interval.low_K[0]), float(interval.high_K[0])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
