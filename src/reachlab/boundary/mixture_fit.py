"""Fit z [c = 0] + (1 − z) Σ_j w_j BetaBinomial(a_j, b_j) to counts, by Newton's method, many weightings at once.

With f(u) the mixture at the distinct pair u = (n, c), the log-likelihood Σ_u counts_u log f(u), its gradient and its
Hessian are in closed form: a beta-binomial's logarithm differentiates into digammas and trigammas, and f is linear in
the weights. Betas are written as (μ, s) = (logit a / (a + b), log (a + b)), nearly orthogonal, and parameters θ are
(z, w, μ_1, s_1, μ_2, s_2), or (z, μ_1, s_1) for one beta.

A step is along |−H|⁻¹ ∇, eigenvalue by eigenvalue, so it goes uphill also where the likelihood is not concave; it is
halved until the likelihood rises. Parameters stay in a box, and those that lean against it are left out of the step:
z = 0 is reached, not approached. A weighting that has converged is no longer worked on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logit, psi

from reachlab.boundary.stopping import Floats, Ints

LOGIT_BOUND = 25.0
"""A beta's mean stays within logistic(±25)."""
LOG_SIZE_BOUNDS = (float(np.log(1e-4)), float(np.log(1e6)))
"""log(a + b) stays within these: from problems that are all 0 or 1 to problems that are all alike."""
BLOCK = 1 << 17
"""Numbers in a block of work, weightings × betas × pairs: it should stay in the cache."""
LARGEST_LOG_RATIO = 60.0
"""How far a beta without weight may surpass the mixture, as a logarithm, before the square of it overflows."""
LARGEST_STEP = 2.0
"""Of a parameter, in one iteration."""
ITERATIONS, HALVINGS = 60, 25
"""Ten iterations are usual; where the likelihood is flat, more would gain next to nothing."""
TOLERANCE, REFIT_TOLERANCE = 1e-8, 1e-3
"""Of the log-likelihood. A refit that is 1e-3 below its maximum is off by 4 % of its own standard error."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The distinct pairs (n, c) that weightings are over; arrays are (U,)."""

    n: Ints
    c: Ints

    @property
    def log_ways(self) -> Floats:
        """log C(n, c)."""
        ways_U: Floats = gammaln(self.n + 1.0) - gammaln(self.c + 1.0) - gammaln(self.n - self.c + 1.0)
        return ways_U


def betas(theta_BQ: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """z (B,), and w, a, b, each (B, J), of parameters."""
    z_B = theta_BQ[:, 0]
    if theta_BQ.shape[1] == 3:
        share_BJ, mu_BJ, s_BJ = np.ones((len(theta_BQ), 1)), theta_BQ[:, 1:2], theta_BQ[:, 2:3]
    else:
        share_BJ = np.stack([1 - theta_BQ[:, 1], theta_BQ[:, 1]], axis=1)
        mu_BJ, s_BJ = theta_BQ[:, [2, 4]], theta_BQ[:, [3, 5]]
    size_BJ = np.exp(s_BJ)
    return z_B, share_BJ, size_BJ * expit(mu_BJ), size_BJ * expit(-mu_BJ)


def log_beta_binomial(a: Floats, b: Floats, pairs: Pairs) -> Floats:
    """log of C(n, c) B(a + c, b + n − c) / B(a, b), over the last axis."""
    log_chance: Floats = gammaln(a + pairs.c) - gammaln(a)
    log_chance += gammaln(b + (pairs.n - pairs.c)) - gammaln(b)
    log_chance -= gammaln((a + b) + pairs.n) - gammaln(a + b)
    log_chance += pairs.log_ways
    return log_chance


def log_mixture(theta_BQ: Floats, pairs: Pairs) -> tuple[Floats, Floats]:
    """log of each beta's chance of each pair (B, J, U), and of the whole mixture's (B, U)."""
    z_B, share_BJ, a_BJ, b_BJ = betas(theta_BQ)
    beta_BJU = log_beta_binomial(a_BJ[..., None], b_BJ[..., None], pairs)
    with np.errstate(divide="ignore"):
        weighted_BJU = (np.log1p(-z_B)[:, None] + np.log(share_BJ))[..., None] + beta_BJU
        log_z_BU = np.where(pairs.c == 0, np.log(z_B)[:, None], -np.inf)
    whole_BU = log_z_BU
    for j in range(weighted_BJU.shape[1]):
        whole_BU = np.logaddexp(whole_BU, weighted_BJU[:, j])
    return beta_BJU, whole_BU


def log_likelihood(theta_BQ: Floats, pairs: Pairs, counts_BU: Floats) -> Floats:
    """Σ counts log f: (B,)."""
    _, whole_BU = log_mixture(theta_BQ, pairs)
    return _total(counts_BU, whole_BU)


def _total(counts_BU: Floats, log_BU: Floats) -> Floats:
    total_B: Floats = (counts_BU * np.where(counts_BU > 0, log_BU, 0)).sum(axis=1)
    return total_B


def trigamma(x: Floats) -> Floats:
    """ψ′(x) for x > 0, to ten digits: SciPy's is twenty times slower. Shifted to x + 8, then the asymptotic series."""
    shifted = np.zeros_like(x)
    for i in range(8):
        shifted += 1 / np.square(x + i)
    y = 1 / (x + 8)
    y2 = y * y
    series: Floats = shifted + y * (1 + y * (0.5 + y * (1 / 6 - y2 * (1 / 30 - y2 * (1 / 42 - y2 * (1 / 30))))))
    return series


def derivatives(theta_BQ: Floats, pairs: Pairs, counts_BU: Floats) -> tuple[Floats, Floats, Floats]:
    """The log-likelihood (B,), its gradient (B, Q) and its Hessian (B, Q, Q)."""
    z_B, share_BJ, a_BJ, b_BJ = betas(theta_BQ)
    components = share_BJ.shape[1]
    beta_BJU, whole_BU = log_mixture(theta_BQ, pairs)
    ratio_BJU = np.exp(np.minimum(beta_BJU - whole_BU[:, None], LARGEST_LOG_RATIO))
    zero_BU = np.where(pairs.c == 0, np.exp(np.minimum(-whole_BU, LARGEST_LOG_RATIO)), 0.0)
    mean_BU = (share_BJ[..., None] * ratio_BJU).sum(axis=1)

    score_BQU = np.zeros((*theta_BQ.shape, len(pairs.n)))
    score_BQU[:, 0] = zero_BU - mean_BU
    # The Hessian of Σ counts log f is Σ counts (f″/f − ∇log f ∇log fᵀ); this is the first part.
    curvature_BQQ = np.zeros((*theta_BQ.shape, theta_BQ.shape[1]))

    def add(first: int, second: int, value_BU: Floats) -> None:
        total_B = (counts_BU * value_BU).sum(axis=1)
        curvature_BQQ[:, first, second] += total_B
        if first != second:
            curvature_BQQ[:, second, first] += total_B

    rest_B1 = (1 - z_B)[:, None]
    if components == 2:
        swap_BU = ratio_BJU[:, 1] - ratio_BJU[:, 0]
        score_BQU[:, 1] = rest_B1 * swap_BU
        add(0, 1, -swap_BU)
    for j in range(components):
        at = (1, 2) if components == 1 else (2 + 2 * j, 3 + 2 * j)
        slope_2BU, bend_3BU = _beta_derivatives(a_BJ[:, j, None], b_BJ[:, j, None], pairs)
        ratio_BU = ratio_BJU[:, j]
        weight_BU = rest_B1 * share_BJ[:, j, None] * ratio_BU
        for i, slope_BU in zip(at, slope_2BU, strict=True):
            score_BQU[:, i] = weight_BU * slope_BU
            add(0, i, -share_BJ[:, j, None] * ratio_BU * slope_BU)
            if components == 2:
                add(1, i, (rest_B1 if j else -rest_B1) * ratio_BU * slope_BU)
        (first, second), (mu_BU, s_BU) = at, slope_2BU
        add(first, first, weight_BU * (bend_3BU[0] + mu_BU * mu_BU))
        add(first, second, weight_BU * (bend_3BU[1] + mu_BU * s_BU))
        add(second, second, weight_BU * (bend_3BU[2] + s_BU * s_BU))

    weighted_BQU = score_BQU * counts_BU[:, None]
    hessian_BQQ = curvature_BQQ - weighted_BQU @ score_BQU.transpose(0, 2, 1)
    return _total(counts_BU, whole_BU), weighted_BQU.sum(axis=2), hessian_BQQ


def _beta_derivatives(
    a: Floats, b: Floats, pairs: Pairs
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats, Floats]]:
    """First derivatives of one beta-binomial's logarithm by μ and s, and second ones by μμ, μs and ss: each (B, U)."""
    size, wrong = a + b, pairs.n - pairs.c
    whole, whole2 = psi(size + pairs.n) - psi(size), trigamma(size + pairs.n) - trigamma(size)
    by_a, by_b = psi(a + pairs.c) - psi(a) - whole, psi(b + wrong) - psi(b) - whole
    by_aa, by_bb = trigamma(a + pairs.c) - trigamma(a) - whole2, trigamma(b + wrong) - trigamma(b) - whole2
    by_ab = -whole2
    turn = a * b / size  # da/dμ = −db/dμ
    mu = turn * (by_a - by_b)
    s = a * by_a + b * by_b
    mu_mu = turn * turn * (by_aa - 2 * by_ab + by_bb) + (b - a) / size * mu
    mu_s = mu + turn * (a * (by_aa - by_ab) - b * (by_bb - by_ab))
    s_s = s + a * a * by_aa + 2 * a * b * by_ab + b * b * by_bb
    return (mu, s), (mu_mu, mu_s, s_s)


def maximise(
    start_BQ: Floats, pairs: Pairs, counts_BU: Floats, *, zero: bool, tolerance: float
) -> tuple[Floats, Floats]:
    """Climb from each start to a maximum: (theta_BQ, log-likelihood_B).

    Args:
        start_BQ: where each weighting starts.
        pairs: the distinct pairs.
        counts_BU: how often each weighting has each pair.
        zero: whether z is free; else it stays where it starts.
        tolerance: a weighting is done when a step promises less than this much log-likelihood.
    """
    theta_BQ, found_B = start_BQ.copy(), np.empty(len(start_BQ))
    rows = max(1, BLOCK // (len(pairs.n) * (1 if start_BQ.shape[1] == 3 else 2)))
    for start in range(0, len(start_BQ), rows):
        block = slice(start, start + rows)
        theta_BQ[block], found_B[block] = _climb(theta_BQ[block], pairs, counts_BU[block], zero, tolerance)
    return theta_BQ, found_B


def _climb(theta_BQ: Floats, pairs: Pairs, counts_BU: Floats, zero: bool, tolerance: float) -> tuple[Floats, Floats]:
    low_Q, high_Q = bounds(theta_BQ.shape[1])
    theta_BQ = np.clip(theta_BQ, low_Q, high_Q)
    found_B = log_likelihood(theta_BQ, pairs, counts_BU)
    open_B = np.arange(len(theta_BQ))
    for _ in range(ITERATIONS):
        theta, counts = theta_BQ[open_B], counts_BU[open_B]
        old, gradient, hessian = derivatives(theta, pairs, counts)
        leaning = ((theta <= low_Q) & (gradient <= 0)) | ((theta >= high_Q) & (gradient >= 0))
        if not zero:
            leaning[:, 0] = True
        step = _uphill(np.where(leaning, 0, gradient), hessian, leaning)
        wanted = (step * gradient).sum(axis=1) / 2 > tolerance
        theta, counts, old, step, open_B = theta[wanted], counts[wanted], old[wanted], step[wanted], open_B[wanted]
        if not open_B.size:
            break
        waiting = np.arange(len(open_B))
        for _ in range(HALVINGS):
            tried = np.clip(theta[waiting] + step[waiting], low_Q, high_Q)
            new = log_likelihood(tried, pairs, counts[waiting])
            better = new > old[waiting]
            theta_BQ[open_B[waiting[better]]], found_B[open_B[waiting[better]]] = tried[better], new[better]
            waiting = waiting[~better]
            if not waiting.size:
                break
            step[waiting] /= 2
        open_B = np.delete(open_B, waiting)  # no step helps any more: rounding is all that is left
    return theta_BQ, found_B


def bounds(parameters: int) -> tuple[Floats, Floats]:
    """The box that parameters stay in."""
    low, high = (-LOGIT_BOUND, LOG_SIZE_BOUNDS[0]), (LOGIT_BOUND, LOG_SIZE_BOUNDS[1])
    if parameters == 3:
        return np.array([0.0, *low]), np.array([1.0, *high])
    return np.array([0.0, 0.0, *low, *low]), np.array([1.0, 1.0, *high, *high])


def _uphill(gradient_BQ: Floats, hessian_BQQ: Floats, leaning_BQ: NDArray[np.bool_]) -> Floats:
    """The Newton step with every eigenvalue made positive, without what leans against the box, and not too long."""
    held = leaning_BQ[:, :, None] | leaning_BQ[:, None, :]
    curve = np.where(held, np.where(np.eye(leaning_BQ.shape[1], dtype=bool), 1.0, 0.0), -hessian_BQQ)
    value_BQ, vector_BQQ = np.linalg.eigh(curve)
    size_BQ = np.abs(value_BQ)
    size_BQ = np.maximum(size_BQ, 1e-10 * size_BQ.max(axis=1, keepdims=True) + 1e-300)
    along_BQ = np.einsum("bqr,bq->br", vector_BQQ, gradient_BQ) / size_BQ
    step_BQ = np.einsum("bqr,br->bq", vector_BQQ, along_BQ)
    longest_B = np.abs(step_BQ).max(axis=1, initial=0)
    found: Floats = step_BQ * np.minimum(1, LARGEST_STEP / np.maximum(longest_B, LARGEST_STEP))[:, None]
    return found


def fit(
    pairs: Pairs, counts_BU: Floats, *, components: int, zero: bool, near_Q: Floats | None = None
) -> tuple[Floats, Floats]:
    """Maximum likelihood for each weighting: (theta_BQ, log-likelihood_B).

    Where no sample is right, or all are, the likelihood only grows towards a bound: there the fit is one beta,
    Beta(½ + Σ c, ½ + Σ (n − c)), Jeffreys' posterior of one p.

    Args:
        pairs: the distinct pairs (n, c).
        counts_BU: how many problems have each pair.
        components: betas, 1 or 2.
        zero: whether z is free; else z = 0.
        near_Q: for refits, the parameters of a similar weighting: climbing starts there alone, and ends where a step
            promises less than `REFIT_TOLERANCE`. Else it starts at several places, and the highest maximum is kept.
    """
    if near_Q is None:
        start_BSQ = np.array([_starts(pairs, counts_U, components, zero) for counts_U in counts_BU])
        if components == 2:
            one_BQ, _ = fit(pairs, counts_BU, components=1, zero=zero)
            start_BSQ = np.concatenate([_beside(one_BQ), start_BSQ], axis=1)
        b, s, q = start_BSQ.shape
        theta_BQ, found_B = maximise(
            start_BSQ.reshape(-1, q), pairs, counts_BU.repeat(s, axis=0), zero=zero, tolerance=TOLERANCE
        )
        best_B = found_B.reshape(b, s).argmax(axis=1) + np.arange(0, b * s, s)
        theta_BQ, found_B = theta_BQ[best_B], found_B[best_B]
    else:
        start_BQ = np.repeat(near_Q[None], len(counts_BU), axis=0)
        theta_BQ, found_B = maximise(start_BQ, pairs, counts_BU, zero=zero, tolerance=REFIT_TOLERANCE)
    right_B, drawn_B = counts_BU @ pairs.c, counts_BU @ pairs.n
    for i in np.flatnonzero((right_B == 0) | (right_B == drawn_B)):
        a, rest = 0.5 + right_B[i], 0.5 + drawn_B[i] - right_B[i]
        one = (np.log(a / rest), np.log(a + rest))
        theta_BQ[i] = (0, *one) if components == 1 else (0, 0, *one, *one)
        found_B[i] = log_likelihood(theta_BQ[i : i + 1], pairs, counts_BU[i : i + 1])[0]
    return theta_BQ, found_B


def _starts(pairs: Pairs, counts_U: Floats, components: int, zero: bool) -> Floats:
    """Half of the unsolved problems impossible, or none. Of one beta, the mean rate, wide and narrow; of two, the
    problems cut in two by rate, at several places.
    """
    unsolved = counts_U[pairs.c == 0].sum() / counts_U.sum()
    zeros = (0.0, unsolved / 2) if zero else (0.0,)
    if components == 1:
        mean = _rate(pairs, counts_U)
        return np.array([(z, logit(min(mean / (1 - z), 0.999)), s) for z in zeros for s in (-1.0, 1.0, 3.0)])
    order_U = (pairs.c / np.maximum(pairs.n, 1)).argsort(kind="stable")
    below_U = np.where(pairs.c > 0, counts_U, 0)[order_U].cumsum()
    starts = []
    for share in (0.15, 0.4, 0.75):
        cut = int(np.searchsorted(below_U, share * below_U[-1])) + 1
        low, high = (logit(_rate(pairs, np.where(side_U, counts_U, 0))) for side_U in _sides(order_U, cut))
        above = counts_U[order_U[cut:]].sum() / counts_U.sum()
        starts += [(z, np.clip(above, 0.02, 0.98), low, 2.0, high, 2.0) for z in zeros]
    return np.array(starts)


def _beside(one_BQ: Floats) -> Floats:
    """The fit of one beta with a second, small one beside it, of hard, middling or easy problems: (B, 3, 6)."""
    second = [np.insert(one_BQ, 1, 0.1, axis=1), np.full((len(one_BQ), 2), 2.0)]
    found_BSQ = np.stack([np.concatenate(second, axis=1)] * 3, axis=1)
    found_BSQ[:, :, 4] = (-4.0, 0.0, 4.0)
    return found_BSQ


def _sides(order_U: Ints, cut: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    low_U = np.zeros(len(order_U), bool)
    low_U[order_U[:cut]] = True
    return low_U, ~low_U


def _rate(pairs: Pairs, counts_U: Floats) -> float:
    """The share of right samples, off the ends by half a sample."""
    return float((counts_U @ pairs.c + 0.5) / (counts_U @ pairs.n + 1))
