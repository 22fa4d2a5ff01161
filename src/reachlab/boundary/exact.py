"""Whether one problem is solved more often by one of two models: Fisher's exact test, Holm's correction for many.

Given the c₁ + c₂ right among n₁ + n₂ samples, the first model's share of them is hypergeometric if the models are
alike; p is the chance of all splits that are no likelier than the one seen. Of P problems tested, those stay that
Holm's step-down keeps: no false one among them with probability 1 − α.

Source: Fisher 1922; Holm 1979, *A Simple Sequentially Rejective Multiple Test Procedure*. McNemar's test with mid-p:
Fagerland, Lydersen and Laake 2013, *The McNemar Test for Binary Matched-Pairs Data*.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reachlab.boundary.bootstrap import Floats

TIE = 1e-7
"""Relative: splits of the same probability come out apart in the last bits."""


def fisher_p(n_P: ArrayLike, c_P: ArrayLike, other_n_P: ArrayLike, other_c_P: ArrayLike) -> Floats:
    """Two-sided p-values, one a problem: (P,).

    Args:
        n_P, c_P: one model's samples and the right ones among them; other_n_P, other_c_P: the other's.

    Example:
        3 of 64 right against 12 of 64:

        >>> fisher_p([64], [3], [64], [12]).round(4).tolist()
        [0.0252]
    """
    counts_P4 = np.stack([np.asarray(x, np.int64) for x in (n_P, c_P, other_n_P, other_c_P)], axis=-1).reshape(-1, 4)
    distinct, row_P = np.unique(counts_P4, axis=0, return_inverse=True)
    if not len(distinct):
        return np.empty(0)
    logfactorial = special.gammaln(np.arange(int((distinct[:, 0] + distinct[:, 2]).max()) + 2) + 1)
    found = np.empty(len(distinct))
    for i, (n, c, other_n, other_c) in enumerate(distinct.tolist()):
        right = c + other_c
        split = np.arange(max(0, right - other_n), min(right, n) + 1)
        log_p = (
            logfactorial[n] - logfactorial[split] - logfactorial[n - split]
            + logfactorial[other_n] - logfactorial[right - split] - logfactorial[other_n - right + split]
        )  # fmt: skip
        p = np.exp(log_p - log_p.max())
        found[i] = p[log_p <= log_p[c - split[0]] + TIE].sum() / p.sum()
    return np.minimum(found, 1.0)[row_P.reshape(-1)]


def holm(p_P: Floats) -> Floats:
    """Adjusted p-values: those at most α are the ones that the step-down procedure keeps at α.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_P, kind="stable")
    steps = np.maximum.accumulate(p_P[order] * np.arange(len(p_P), 0, -1))
    adjusted_P = np.empty(len(p_P))
    adjusted_P[order] = np.minimum(steps, 1.0)
    return adjusted_P


def mid_p_mcnemar(gained: int, lost: int) -> float:
    """Two-sided: of so many problems on which one sample of each model differed, could a fair coin have dealt them so?

    Half of the observed split's own chance is left out, which makes the exact test less timid and keeps its level in
    practice.

    Example:
        >>> round(mid_p_mcnemar(gained=9, lost=2), 3)
        0.039
    """
    total, fewest = gained + lost, min(gained, lost)
    if gained == lost:
        return 1.0
    log_ways = special.gammaln(total + 1) - special.gammaln(fewest + 1) - special.gammaln(total - fewest + 1)
    return float(2 * special.bdtr(fewest, total, 0.5) - np.exp(log_ways - total * np.log(2)))
