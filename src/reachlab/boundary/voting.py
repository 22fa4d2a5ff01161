"""maj@k: the chance that a plurality vote among k samples, drawn without replacement from n, is right.

A sample votes for its final answer; the answer with most votes wins, and a tie is split evenly among those that have
most. Let a_l be the votes for answer l among all n. maj@k is the sum over t of the chance that a right answer wins with
t votes,

    [x^k] ∫_0^1 A_t'(s) B_t(s) ds / C(n, k),     A_t, B_t = Π_l ( Σ_{c<t} C(a_l, c) x^c + s C(a_l, t) x^t )

over the right and over the wrong answers: the coefficient of s^j is where j answers are at t and none is above, and ∫
p s^(p−1) s^q ds = p/(p+q) is the right share of a tie of p right and q wrong ones. All coefficients are positive and
at most C(n, k), so that doubles hold them for n up to 1,000 or so. This is exact, and cheap where n is small or few
answers have many votes; where it is not, k-subsets are drawn instead (multivariate hypergeometric, nested over k), so
many that the standard error which that adds to the mean over problems is at most 0.004, and it is reported.

A sample without a final answer is silent: it is drawn like others and votes for nothing. A vote of silent samples
alone is wrong.

Source: Wang et al. 2022, *Self-Consistency Improves Chain of Thought Reasoning in Language Models* (arXiv
2203.11171), who vote once over all samples; the expectation over subsets is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb, gammaln

from reachlab.errors import ReachlabError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

EXACT_WORK = 2e5
"""Multiplications that the exact way may take for one problem, a few milliseconds; beyond, subsets are drawn."""
EXACT_N = 1000
"""Beyond, C(n, k) may not fit a double."""
DRAWS = 16_384
"""Subsets drawn in all, over the problems that are too large for the exact way: 0.5 / √16384 = 0.004."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ballots:
    """How P problems' samples would vote: for each of C pairs of problem and answer, how many samples gave it.

    ``row_C`` is the answer's problem, ``right_C`` whether it is right; ``silent_P`` counts samples without an answer.
    """

    row_C: Ints
    votes_C: Ints
    right_C: NDArray[np.bool_]
    silent_P: Ints

    @property
    def samples(self) -> Ints:
        """Samples of each problem, (P,)."""
        votes_P = np.bincount(self.row_C, weights=self.votes_C, minlength=len(self.silent_P))
        n_P: Ints = votes_P.astype(np.int64) + self.silent_P
        return n_P

    def select(self, rows_P: Ints) -> "Ballots":
        """The ballots of these problems, in this order."""
        place_P = np.full(len(self.silent_P), -1)
        place_P[rows_P] = np.arange(len(rows_P))
        kept_C = place_P[self.row_C] >= 0
        return Ballots(
            row_C=place_P[self.row_C[kept_C]],
            votes_C=self.votes_C[kept_C],
            right_C=self.right_C[kept_C],
            silent_P=self.silent_P[rows_P],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """maj@k of each problem, and the standard error that drawing subsets adds to its mean over problems."""

    table_PK: Floats
    error_K: Floats


def majority_at_k(ballots: Ballots, ks: Sequence[int], *, draws: int = DRAWS, seed: int = 0) -> Votes:
    """The expected accuracy of a vote of k samples, ties split evenly.

    Args:
        ballots: the answers and how many samples gave each.
        ks: the values of k, rising, at least 1, each at most the samples of any problem.
        draws: k-subsets drawn in all for problems that are too large for the exact way.
        seed: of these draws; nothing else is random.

    Raises:
        ReachlabError: k outside 1 to the samples of some problem, or not rising.
    """
    n_P = ballots.samples
    problems, most = len(n_P), int(n_P.min()) if len(n_P) else 0
    if not len(ks) or min(ks) < 1 or max(ks) > most:
        raise ReachlabError(f"maj@k: every k must be 1 to {most}, the fewest samples of a problem: {list(ks)}")
    if any(a >= b for a, b in pairwise(ks)):
        raise ReachlabError(f"maj@k: the values of k must rise: {list(ks)}")
    order_C = np.argsort(ballots.row_C, kind="stable")
    ends_P = np.cumsum(np.bincount(ballots.row_C, minlength=problems))
    table_PK, variance_PK = np.zeros((2, problems, len(ks)))
    known: dict[tuple[tuple[int, ...], tuple[int, ...], int], Floats] = {}
    hard: list[tuple[int, Ints, NDArray[np.bool_]]] = []
    for p, here in enumerate(np.split(order_C, ends_P[:-1])):
        votes, right = ballots.votes_C[here], ballots.right_C[here]
        silent = int(ballots.silent_P[p])
        if not right.any():
            continue
        if right.all():
            table_PK[p] = 1 - _all_silent(int(n_P[p]), silent, ks)
            continue
        case = tuple(sorted(votes[right].tolist())), tuple(sorted(votes[~right].tolist())), silent
        if case in known:
            table_PK[p] = known[case]
        elif n_P[p] <= EXACT_N and _work(votes, max(ks)) <= EXACT_WORK:
            table_PK[p] = known[case] = _exact(*case, ks)
        else:
            hard.append((p, votes, right))
    rng = np.random.default_rng(seed)
    for p, votes, right in hard:
        values_RK = _draw(rng, votes, right, int(ballots.silent_P[p]), ks, -(-draws // len(hard)))
        if ks[0] == 1:
            values_RK[:, 0] = votes[right].sum() / n_P[p]  # a single vote wins: nothing to draw
        table_PK[p] = values_RK.mean(axis=0)
        variance_PK[p] = values_RK.var(axis=0) / len(values_RK)
    return Votes(table_PK, np.sqrt(variance_PK.sum(axis=0)) / problems)


def _all_silent(n: int, silent: int, ks: Sequence[int]) -> Floats:
    """The chance that k of n are all among the silent ones."""
    k = np.minimum(np.array(ks), silent)
    logs = gammaln(silent + 1) - gammaln(silent - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return np.where(np.array(ks) <= silent, np.exp(logs), 0.0)


def _work(votes: Ints, most: int) -> float:
    """About how many multiplications `_exact` takes: each t, each answer with t votes or more, an (s, x) table."""
    falling = np.sort(votes)[::-1]
    t = np.arange(1, min(int(falling[0]), most) + 1)
    able_T = np.searchsorted(-falling, -t, side="right")
    return float((able_T * np.minimum(able_T, most // t) * (most + 1.0) * (t + 1)).sum())


def _exact(right: tuple[int, ...], wrong: tuple[int, ...], silent: int, ks: Sequence[int]) -> Floats:
    """maj@k of one problem, summed over t, the votes of the winner."""
    most, n = max(ks), sum(right) + sum(wrong) + silent
    wins_X = np.zeros(most + 1)
    for t in range(1, min(max(right), most) + 1):
        # Answers that cannot have t votes, and the silent ones, are drawn freely: together (1 + x)^rest.
        able_right, able_wrong = ([a for a in side if a >= t] for side in (right, wrong))
        rest = n - sum(able_right) - sum(able_wrong)
        free = comb(rest, np.arange(most + 1))
        ties = most // t
        a_SX = _product(np.eye(1, most + 1), able_right, t, ties)
        b_SX = _product(free[None], able_wrong, t, ties)
        for p in range(1, len(a_SX)):
            for q in range(min(len(b_SX), ties - p + 1)):
                wins_X += p / (p + q) * np.convolve(a_SX[p], b_SX[q])[: most + 1]
    chosen = np.array(ks)
    found: Floats = np.clip(wins_X[chosen] / comb(n, chosen), 0, 1)
    return found


def _product(start_SX: Floats, answers: Sequence[int], t: int, ties: int) -> Floats:
    """`start` times each answer's polynomial in s (at t votes) and x (votes), cut at s^ties and at the most of x."""
    found_SX = start_SX
    for a in answers:
        below_XX, at = _multiplier(a, t, found_SX.shape[1])
        grown_SX = np.zeros((min(len(found_SX) + 1, ties + 1), found_SX.shape[1]))
        kept = min(len(found_SX), len(grown_SX))
        grown_SX[:kept] = found_SX[:kept] @ below_XX
        grown_SX[1:, t:] += at * found_SX[: len(grown_SX) - 1, : found_SX.shape[1] - t]
        found_SX = grown_SX
    return found_SX


@lru_cache(maxsize=256)
def _multiplier(a: int, t: int, width: int) -> tuple[Floats, float]:
    """Σ_{c<t} C(a, c) x^c as a matrix that multiplies by it, and C(a, t)."""
    line = np.zeros(2 * width)
    line[width : width + t] = comb(a, np.arange(t))[:width]
    at = np.arange(width)
    return line[width + at[None, :] - at[:, None]], float(comb(a, t))


def _draw(
    rng: np.random.Generator, votes: Ints, right: NDArray[np.bool_], silent: int, ks: Sequence[int], draws: int
) -> Floats:
    """The right share of the winners in `draws` random orders of the samples, after the first k of each: (R, K)."""
    answers = len(votes)
    ballot_N = np.repeat(np.arange(answers + 1), [*votes.tolist(), silent]).astype(np.int32)
    values_RK = np.empty((draws, len(ks)))
    step = max(1, (1 << 21) // max(len(ballot_N), answers + 1))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        order_RN = rng.permuted(np.broadcast_to(ballot_N, (rows, len(ballot_N))), axis=1)
        order_RN += (np.arange(rows, dtype=np.int32) * (answers + 1))[:, None]
        count_RC = np.zeros((rows, answers + 1), np.int64)
        drawn = 0
        for i, k in enumerate(ks):
            fresh = order_RN[:, drawn:k].reshape(-1)
            count_RC += np.bincount(fresh, minlength=count_RC.size).reshape(count_RC.shape)
            drawn = k
            cast_RC = count_RC[:, :answers]
            top_R = cast_RC.max(axis=1, keepdims=True)
            tied_RC = (cast_RC == top_R) & (top_R > 0)
            values_RK[start : start + rows, i] = tied_RC[:, right].sum(axis=1) / np.maximum(tied_RC.sum(axis=1), 1)
    return values_RK
