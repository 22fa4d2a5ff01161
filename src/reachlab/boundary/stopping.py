"""pass@k of a problem that was drawn until it had enough right samples, without the bias that stopping brings.

A problem is looked at after h_1 < h_2 < ... < h_J samples and stops at the first look with c ≥ r right ones (r is
``enough``). Its stopped c/n is too high, and so is the ordinary pass@k of (n, c). Unbiased is

    pass@k = 1 − P(the first k draws are all wrong | n, c at the stop),

because 1 − (all k first draws are wrong) is unbiased by itself, and every order of draws that leads to the same stop is
equally likely, whatever p. Orders that stop at n with c right, m being the look before, are those with s < r right ones
among the first m (earlier looks ask less, as counts only grow), so

    pass@k = 1 − Σ_{s<r} C(m−k, s) C(n−m, c−s) / Σ_{s<r} C(m, s) C(n−m, c−s)     for k ≤ m
           = 1 − C(n−k, c) / Σ_{s<r} C(m, s) C(n−m, c−s)                         for m < k ≤ n
           = 1                                                                   for k > n.

For r = 1 that is 0 up to m and beyond it the ordinary pass@(k−m) of the n−m samples drawn last. A problem that never
had enough has the ordinary pass@k of (n, c): all orders lead there.

Unscored samples are neither right nor wrong. Looks come after drawn samples; n and m count the scored ones among them.
Given which samples are scored, the scored ones are independent draws of a right answer, looked at after known numbers
of them: the argument holds with n and m as they are.

Source: Girshick, Mosteller and Savage, *Unbiased Estimates for Certain Binomial Sampling Problems with Applications*
(1946); the looks at horizons and pass@k are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.passk import pass_at_k as ordinary_pass_at_k
from reachlab.errors import ReachlabError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stopping:
    """The rule that ended some problems' sampling; the array is copied and read-only.

    ``before_P`` has, for a problem that the rule stopped, its scored samples at the look before that (0 where it
    stopped at the first), and -1 for one that it did not stop. ``horizon`` is the last look that there would have been
    for a problem that never stops; None where it is not known.
    """

    enough: int
    before_P: Ints
    horizon: int | None = None

    def __post_init__(self) -> None:
        if self.enough < 1:
            raise ReachlabError(f"stopping: enough = {self.enough} right samples must be 1 or more")
        before_P = np.array(self.before_P)
        if before_P.ndim != 1 or (before_P.size and (before_P.dtype.kind not in "iu" or before_P.min() < -1)):
            raise ReachlabError("stopping: before_P must hold a whole number a problem, none below -1")
        before_P = before_P.astype(np.int64)
        before_P.setflags(write=False)
        object.__setattr__(self, "before_P", before_P)

    def select(self, at_P: Ints) -> "Stopping":
        """The same of some problems, by position."""
        return replace(self, before_P=self.before_P[at_P])


def largest_k(n_P: Ints, stopping: Stopping) -> int:
    """The largest k for which every problem has an estimate: the fewest samples of a problem that was not stopped.

    Where all were stopped, pass@k is known up to the last look that there would have been.
    """
    going_P = stopping.before_P < 0
    if going_P.any():
        return int(n_P[going_P].min())
    most = int(n_P.max(initial=0))
    return most if stopping.horizon is None else max(most, stopping.horizon)


def pass_at_k(n_P: Ints, c_P: Ints, stopping: Stopping, ks: Sequence[int] | Ints) -> Floats:
    """Estimate pass@k per problem, as a (P, K) table; its mean over problems is the curve.

    Args:
        n_P: scored samples of each problem when it stopped, or when the run did.
        c_P: right ones among them.
        stopping: the rule, and which problems it stopped.
        ks: the values of k, from 1 to `largest_k`, in any order.

    Raises:
        ReachlabError: a k outside 1 to `largest_k`; counts that the rule could not have left.
    """
    n_P, c_P, ks = np.asarray(n_P, np.int64), np.asarray(c_P, np.int64), np.asarray(ks, np.int64)
    check(n_P, c_P, stopping)
    if not ks.size or ks.min() < 1:
        raise ReachlabError(f"pass@k: every k must be at least 1, and there must be one: {ks.tolist()}")
    going_P = stopping.before_P < 0
    if (most := int(ks.max())) > (limit := largest_k(n_P, stopping)):
        raise ReachlabError(f"pass@k: k = {most} is more than {limit}, up to which every problem has an estimate")
    table_PK = np.empty((len(n_P), len(ks)))
    if going_P.any():
        table_PK[going_P] = ordinary_pass_at_k(n_P[going_P], c_P[going_P], ks)
    stops = np.stack([n_P, c_P, stopping.before_P], axis=1)[~going_P]
    different, row = np.unique(stops, axis=0, return_inverse=True)
    rows = [_stopped(int(n), int(c), int(m), stopping.enough, ks) for n, c, m in different]
    if rows:
        table_PK[~going_P] = np.array(rows)[row.reshape(-1)]
    return table_PK


def check(n_P: Ints, c_P: Ints, stopping: Stopping) -> None:
    """Refuse counts that the rule could not have left.

    Raises:
        ReachlabError: lengths differ; a stopped problem that has not enough right samples, or had them at the look
            before.
    """
    if not n_P.shape == c_P.shape == stopping.before_P.shape:
        shapes = f"{n_P.shape}, {c_P.shape}, {stopping.before_P.shape}"
        raise ReachlabError(f"stopping: n, c and before must be lists of one length, not of shapes {shapes}")
    stopped_P = stopping.before_P >= 0
    if (bad_P := stopped_P & ((c_P < stopping.enough) | (c_P > n_P))).any():
        at = int(bad_P.argmax())
        raise ReachlabError(
            f"stopping: problem {at} was stopped with {c_P[at]} right of {n_P[at]}, not {stopping.enough} or more"
        )
    # Of the samples since the look before at least c − (r − 1) must be right.
    if (bad_P := stopped_P & (n_P - stopping.before_P < c_P - stopping.enough + 1)).any():
        at = int(bad_P.argmax())
        raise ReachlabError(
            f"stopping: problem {at} with {c_P[at]} right of {n_P[at]} would have stopped at {stopping.before_P[at]}"
        )


def _stopped(n: int, c: int, m: int, enough: int, ks: Ints) -> Floats:
    """pass@k at each k of a problem that stopped at n with c right, the look before being at m."""
    first, weights = _right_before(n, c, m, enough)
    early_K = ks <= m
    # The chance that the k first of m are wrong where s of the m are right: Π_{i<s} (m−k−i) / (m−i).
    i = np.arange(first + len(weights) - 1)[:, None]
    wrong_SK = np.cumprod(np.maximum(m - ks[early_K] - i, 0) / (m - i), axis=0)
    wrong_SK = np.concatenate([np.ones((1, wrong_SK.shape[1])), wrong_SK])
    wrong_K = np.zeros(len(ks))
    wrong_K[early_K] = weights @ wrong_SK[first:]
    if first == 0:
        wrong_K[~early_K] = weights[0] * _all_wrong(n - m, c, ks[~early_K] - m)
    return 1.0 - wrong_K


def _right_before(n: int, c: int, m: int, enough: int) -> tuple[int, Floats]:
    """How likely it is that s of the c were right at m: C(m, s) C(n−m, c−s), normalised, from the first possible s on.

    Through ratios of neighbours, so that n may be as large as it likes.
    """
    s = np.arange(max(0, c - (n - m)), min(enough - 1, c, m) + 1)
    ratios = (m - s[:-1]) / (s[:-1] + 1) * (c - s[:-1]) / (n - m - c + s[:-1] + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    weights = np.exp(logs - logs.max())
    return int(s[0]), weights / weights.sum()


def _all_wrong(n: int, c: int, ks: Ints) -> Floats:
    """The chance that k samples drawn without replacement from n, c of them right, are all wrong; 0 for k > n."""
    drawn = np.arange(min(int(ks.max(initial=0)), n))
    wrong = np.concatenate([[1.0], np.cumprod(np.maximum(n - c - drawn, 0) / (n - drawn))])
    return np.where(ks <= n, wrong[np.minimum(ks, len(drawn))], 0.0)
