"""How hard problems are, as a distribution fitted to counts: a share that is never solved, and a beta or two.

A problem's success probability p is 0 with probability z, else drawn from Σ_j w_j Beta(a_j, b_j); of its n samples,
c ~ Binomial(n, p) are right. Then P(c | n) = z [c = 0] + (1 − z) Σ_j w_j C(n, c) B(a_j + c, b_j + n − c) / B(a_j, b_j),
and given (n, c) p has a distribution of the same kind, so that every prediction is in closed form:
E[(1 − p)^k] = B(a, b + k) / B(a, b). One beta is the zero-inflated beta-binomial. The second makes room for a benchmark
that is easy problems and hard ones, which one beta cannot describe.

Source: Griffiths 1973, *Maximum Likelihood Estimation for the Beta-Binomial Distribution*; of pass@k, Kazdan et al.
2025, *Efficient Prediction of Pass@k Scaling in Large Language Models* (arXiv 2510.05197). Where we depart: maximum
likelihood by Newton's method on the distinct pairs (n, c), for many weightings of them at once (`mixture_fit`).

The likelihood stays right where samples were drawn until enough were correct: the rule that stopped them depends on
them alone, so it is a factor without p.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincc, betaln

from reachlab.boundary.mixture_fit import Pairs, betas, fit, log_beta_binomial
from reachlab.boundary.stopping import Floats, Ints
from reachlab.errors import ReachlabError


@dataclass(frozen=True, slots=True, eq=False)
class BetaBinomial:
    """z, and J betas: ``alpha``, ``beta`` and ``share``, their weights of sum 1, are (J,)."""

    zero: float
    alpha: Floats
    beta: Floats
    share: Floats = field(default_factory=lambda: np.ones(1))

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "share"):
            object.__setattr__(self, name, np.atleast_1d(np.array(getattr(self, name), np.float64)))
        bad = not 0 <= self.zero <= 1 or abs(self.share.sum() - 1) > 1e-9 or (self.share < 0).any()
        if bad or not (np.isfinite([self.alpha, self.beta]).all() and (self.alpha > 0).all() and (self.beta > 0).all()):
            raise ReachlabError(
                f"beta-binomial: zero={self.zero} and shares {self.share.tolist()} must be shares, "
                f"alpha={self.alpha.tolist()} and beta={self.beta.tolist()} above 0"
            )

    def log_likelihood(self, n_P: ArrayLike, c_P: ArrayLike) -> float:
        """Sum of log P(c | n) over problems; −∞ where a problem cannot be."""
        pairs, _, counts_U = distinct(n_P, c_P)
        return float(counts_U @ self._log_chances(pairs)[1])

    def pass_at_k(self, ks: ArrayLike) -> Floats:
        """pass@k of the population, at any k ≥ 1: (1 − z) Σ_j w_j (1 − E_j[(1 − p)^k]), as (K,)."""
        ks_K = np.atleast_1d(np.asarray(ks, np.float64))
        solved_KJ = -np.expm1(log_failing(self.alpha, self.beta, ks_K[:, None]))
        found_K: Floats = (1 - self.zero) * (solved_KJ @ self.share)
        return found_K

    def posterior_pass_at_k(self, n_P: ArrayLike, c_P: ArrayLike, ks: ArrayLike) -> Floats:
        """The chance that k fresh samples of these very problems hold a right one, given (n, c): (P, K)."""
        pairs, row_P, _ = distinct(n_P, c_P)
        ks_K = np.atleast_1d(np.asarray(ks, np.float64))
        return self._chances(pairs, np.broadcast_to(ks_K, (len(pairs.n), len(ks_K))))[row_P]

    def solved_chance(self, n_P: ArrayLike, c_P: ArrayLike, more: ArrayLike) -> Floats:
        """The chance that a problem is solved once `more` further samples are drawn: (P,); 1 where it is already.

        `more` is one number, or one a problem.
        """
        n_P, c_P = np.asarray(n_P, np.int64), np.asarray(c_P, np.int64)
        more_P = np.broadcast_to(np.asarray(more, np.float64), n_P.shape)
        wanted, row_P = np.unique(np.stack([n_P.astype(np.float64), more_P]), axis=1, return_inverse=True)
        n_U = wanted[0].astype(np.int64)
        chance_U = self._chances(Pairs(n_U, np.zeros_like(n_U)), wanted[1][:, None])[:, 0]
        return np.where(c_P > 0, 1.0, chance_U[row_P.reshape(-1)])

    def share_at_least(self, tau: ArrayLike) -> Floats:
        """The population's share of problems with p ≥ τ, for each τ: (K,)."""
        tau_K = np.atleast_1d(np.asarray(tau, np.float64))
        above_KJ = betaincc(self.alpha, self.beta, np.clip(tau_K, 0, 1)[:, None])
        share_K: Floats = (1 - self.zero) * (above_KJ @ self.share) + self.zero * (tau_K <= 0)
        return share_K

    def posterior_share_at_least(self, n_P: ArrayLike, c_P: ArrayLike, tau: ArrayLike) -> Floats:
        """The chance that each of these very problems has p ≥ τ, given (n, c): (P, K)."""
        pairs, row_P, _ = distinct(n_P, c_P)
        tau_K = np.atleast_1d(np.asarray(tau, np.float64))
        weight_JU, a_JU, b_JU = self._posterior(pairs)
        table_UK = np.empty((len(pairs.n), len(tau_K)))
        for column_U, one in zip(table_UK.T, tau_K, strict=True):
            above_JU = betaincc(a_JU, b_JU, min(max(one, 0.0), 1.0))
            column_U[:] = (weight_JU * above_JU).sum(axis=0) if one > 0 else 1.0
        return np.minimum(table_UK, 1)[row_P]

    def _log_chances(self, pairs: Pairs) -> tuple[Floats, Floats]:
        """log (1 − z) w_j P_j(c | n), as (J, U), and log P(c | n) of the whole, as (U,)."""
        with np.errstate(divide="ignore"):
            log_share_J = np.log((1 - self.zero) * self.share)
            log_zero = np.log(self.zero)
        log_JU = log_share_J[:, None] + log_beta_binomial(self.alpha[:, None], self.beta[:, None], pairs)
        log_zero_U = np.where(pairs.c == 0, log_zero, -np.inf)
        return log_JU, np.logaddexp.reduce([*log_JU, log_zero_U], axis=0)

    def _posterior(self, pairs: Pairs) -> tuple[Floats, Floats, Floats]:
        """Each beta's weight given (n, c), and its parameters then: (J, U); the weight left to 1 is that of p = 0."""
        log_JU, log_U = self._log_chances(pairs)
        possible_U = np.isfinite(log_U)  # z = 1 has no place for c > 0
        weight_JU = np.where(possible_U, np.exp(log_JU - np.where(possible_U, log_U, 0)), self.share[:, None])
        return weight_JU, self.alpha[:, None] + pairs.c, self.beta[:, None] + (pairs.n - pairs.c)

    def _chances(self, pairs: Pairs, more_UK: Floats) -> Floats:
        """The chance that `more` samples, drawn after (n, c), hold a right one: (U, K)."""
        weight_JU, a_JU, b_JU = self._posterior(pairs)
        solved_JUK = -np.expm1(log_failing(a_JU[..., None], b_JU[..., None], more_UK))
        found_UK: Floats = np.minimum((weight_JU[..., None] * solved_JUK).sum(axis=0), 1)
        return found_UK


def fit_beta_binomial(n_P: ArrayLike, c_P: ArrayLike, *, components: int = 1, zero: bool = True) -> BetaBinomial:
    """Fit by maximum likelihood.

    Where no sample is right, or all are, the likelihood only grows towards "impossible" or "certain". Then the fit is
    one p for all problems with Jeffreys' posterior, Beta(½, ½ + Σ n), so that never seen does not become impossible.

    Args:
        n_P: samples of each problem; one without samples says nothing.
        c_P: right ones among them.
        components: betas, 1 or 2.
        zero: whether a share of the problems may be impossible; else z = 0.

    Raises:
        ReachlabError: no sample at all, c outside [0, n], lists of different lengths.
    """
    if components not in (1, 2):
        raise ReachlabError(f"beta-binomial: components={components} must be 1 or 2")
    pairs, _, counts_U = distinct(n_P, c_P)
    if not pairs.n.sum():
        raise ReachlabError("beta-binomial: there is no scored sample to fit to")
    theta_BQ, _ = fit(pairs, counts_U[None], components=components, zero=zero)
    return from_parameters(theta_BQ)[0]


def from_parameters(theta_BQ: Floats) -> list[BetaBinomial]:
    """The fits that the rows of parameters of `mixture_fit` stand for."""
    return [BetaBinomial(float(z), a, b, share) for z, share, a, b in zip(*betas(theta_BQ), strict=True)]


def log_failing(a: Floats, b: Floats, k: Floats) -> Floats:
    """log E[(1 − p)^k] for p ~ Beta(a, b)."""
    found: Floats = betaln(a, b + k) - betaln(a, b)
    return found


def distinct(n_P: ArrayLike, c_P: ArrayLike) -> tuple[Pairs, Ints, Floats]:
    """The distinct pairs (n, c), which of them each problem has, and how many problems have each."""
    n_P, c_P = np.asarray(n_P, np.int64), np.asarray(c_P, np.int64)
    if n_P.ndim != 1 or n_P.shape != c_P.shape:
        raise ReachlabError(
            f"beta-binomial: n and c must be lists of one length, not of shapes {n_P.shape}, {c_P.shape}"
        )
    if (bad_P := (c_P < 0) | (c_P > n_P)).any():
        at = int(bad_P.argmax())
        raise ReachlabError(f"beta-binomial: problem {at} has c = {c_P[at]} correct of n = {n_P[at]}")
    found, row_P, counts_U = np.unique(np.stack([n_P, c_P], axis=1), axis=0, return_inverse=True, return_counts=True)
    return Pairs(found[:, 0], found[:, 1]), row_P.reshape(-1), counts_U.astype(np.float64)
