"""Answer-level entropy: how many ways a model's samples of one problem come down, in nats.

Of a problem whose final answers have the probabilities p_i it is H = −Σ p_i log p_i. With the frequencies of m samples
in their place it comes out too low, by about (answers − 1) / 2m: a model with fewer samples would look narrower.
Instead, since −log p = Σ_{v≥1} (1 − p)^v / v, the part of H that m samples can show is

    H_m = Σ_{v=1}^{m−1} (1/v) Σ_i p_i (1 − p_i)^v,

which rises to H with m and has an estimate from n ≥ m samples without any bias: with a_i of them for answer i,

    Ĥ_m = Σ_i (a_i / n) Σ_{v=1}^{m−1} (1/v) C(n − a_i, v) / C(n − 1, v);      Ĥ_n = Σ_i (a_i / n) (ψ(n) − ψ(a_i)).

Two models are compared at the same m, as pass@k is at the same k: of equal models the difference is 0 in the mean,
however many samples each has. What is left out, Σ_{v≥m}, are answers that m samples seldom hold.

A sample that states no final answer counts as one more answer, as in the paper; an unscored one is left out.

Sources: the quantity, Wu et al. 2025, *The Invisible Leash* (arXiv 2507.14843), section 5, who take frequencies; the
estimate, Zhang 2012, *Entropy Estimation in Turing's Perspective* (Neural Computation 24), and for its closed form at
m = n Chao, Wang & Jost 2013, *Entropy and the Species Accumulation Curve*.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reachlab.boundary.voting import Ballots, Floats, Ints
from reachlab.errors import ReachlabError


def answer_entropy(ballots: Ballots, ms: Sequence[int]) -> Floats:
    """Ĥ_m of every problem at every m, (P, M), in nats; 0 at m = 1, which shows nothing.

    Raises:
        ReachlabError: m outside 1 to the samples of some problem, or not rising.
    """
    n_P = ballots.samples
    fewest = int(n_P.min()) if len(n_P) else 0
    if not len(ms) or min(ms) < 1 or max(ms) > fewest:
        raise ReachlabError(
            f"answer entropy: every m must be 1 to {fewest}, the fewest samples of a problem: {list(ms)}"
        )
    if any(a >= b for a, b in pairwise(ms)):
        raise ReachlabError(f"answer entropy: the values of m must rise: {list(ms)}")
    row_C, votes_C = _counts(ballots)
    # Many answers share (n, a): each pair is summed once.
    (n_U, a_U), of_C = _distinct(n_P[row_C], votes_C)
    table_PM = np.zeros((len(n_P), len(ms)))
    share_U, sum_U = a_U / n_U, np.zeros(len(n_U))
    ratio_U, drawn = np.ones(len(n_U)), 0
    for i, m in enumerate(ms):
        for v in range(drawn + 1, m):
            # C(n − a, v) / C(n − 1, v), which is 0 from v = n − a + 1 on.
            ratio_U = ratio_U * np.maximum(n_U - a_U - v + 1, 0) / (n_U - v)
            sum_U = sum_U + ratio_U / v
        drawn = m - 1
        table_PM[:, i] = np.bincount(row_C, weights=(share_U * sum_U)[of_C], minlength=len(n_P))
    return table_PM


def frequency_entropy(ballots: Ballots) -> Floats:
    """−Σ f log f of the frequencies themselves, (P,): the paper's number, too low where samples are few."""
    n_P = ballots.samples
    row_C, votes_C = _counts(ballots)
    share_C: Floats = votes_C / n_P[row_C]
    found: Floats = np.bincount(row_C, weights=share_C * np.log(1 / share_C), minlength=len(n_P)).astype(np.float64)
    return found


def _counts(ballots: Ballots) -> tuple[Ints, Ints]:
    """The problem and the size of every answer, silence among them."""
    silent = np.flatnonzero(ballots.silent_P)
    row_C = np.concatenate([ballots.row_C, silent])
    votes_C = np.concatenate([ballots.votes_C, ballots.silent_P[silent]])
    return row_C[votes_C > 0], votes_C[votes_C > 0]


def _distinct(n_C: Ints, a_C: Ints) -> tuple[Ints, Ints]:
    """The pairs (n, a) that there are, and which of them each answer has."""
    pairs_U2, of_C = np.unique(np.stack([n_C, a_C], axis=1), axis=0, return_inverse=True)
    return pairs_U2.T, of_C.reshape(-1)
