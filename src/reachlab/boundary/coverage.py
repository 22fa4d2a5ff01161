"""Solved sets: the problems with at least one correct sample, of one model against the base.

*Gained* is solved by the other model alone, *lost* by the base alone. Unsolved means not solved in the
samples that were drawn: no correct sample among n is no proof of impossibility, and a model with more samples
has more chances. So both are counted on as many samples of each problem; the one that has more is thinned by lot.
Samples that were drawn adaptively cannot be thinned so, and are counted as they are.

Equal models gain and lose too. Of a problem with c right samples in all, n of each model, the other model's were none
with chance C(n, c) / C(2n, c), had the names been dealt at random; the sum of that over problems is what chance alone
would have been expected to gain, and to lose.

A problem is *surely* gained or lost if, besides, an exact test on (n, c) of the two models tells them apart there,
corrected for all problems (`exact`): no false one among them with probability `level`.

Source: the solvable-problem coverage of *Does Reinforcement Learning Really Incentivize Reasoning Capacity in
LLMs Beyond the Base Model?* (arXiv 2504.13837); the test and the chance are ours.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from reachlab.boundary.bootstrap import Floats
from reachlab.boundary.exact import fisher_p, holm, mid_p_mcnemar
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.signflip import even


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Problems that equal models would have been expected to gain, and to lose, with these right samples."""

    gained: float
    lost: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Coverage:
    """Problem ids, each in one of the four sets; what chance does; and what is sure.

    ``thinned`` says that one model had more samples, and that the sets are those of as many of both. ``p`` is each
    problem's adjusted p-value, in the order of the comparison's problems; it, the chance and the sure sets are None
    where samples were drawn adaptively (their number then depends on what came out, and the test is not exact) and
    where a model is a recipe of several runs, whose samples are not of one chance. ``surely_more`` and ``surely_less``
    are problems that the other model surely solves more, or less, often than the base; the surely gained and lost are
    among them. ``mid_p`` is McNemar's of this pair alone, where there is one sample of each (not for clusters).
    """

    both: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    neither: tuple[str, ...]
    thinned: bool
    chance: Chance | None
    surely_gained: tuple[str, ...] | None
    surely_lost: tuple[str, ...] | None
    surely_more: tuple[str, ...] | None
    surely_less: tuple[str, ...] | None
    p: Floats | None
    mid_p: float | None


def coverage(base: Outcomes, other: Outcomes, level: float = 0.95, *, pooled: bool = False, seed: int = 0) -> Coverage:
    """Sort problems by which of the two models solved them, and test each.

    Args:
        base, other: outcomes on the same problems in one order.
        level: of the tests.
        pooled: one of them holds the samples of several runs.
        seed: of the lot that thins.
    """
    ids = np.array(base.problem_ids, object)
    as_many = even(base, other, seed)
    one, two = as_many or (base, other)
    was_P, is_P = one.c_P > 0, two.c_P > 0
    gained_P, lost_P = is_P & ~was_P, was_P & ~is_P

    def named(where_P: np.ndarray) -> tuple[str, ...]:
        return tuple(ids[where_P].tolist())

    sure: dict[str, tuple[str, ...] | None] = dict.fromkeys(
        ("surely_gained", "surely_lost", "surely_more", "surely_less")
    )
    p_P, chance, mid_p = None, None, None
    fixed = base.stopping is None and other.stopping is None
    if fixed and not pooled:
        p_P = holm(fisher_p(base.n_P, base.c_P, other.n_P, other.c_P))
        told_P = p_P <= 1 - level + 1e-12
        more_P = told_P & (other.c_P * base.n_P > base.c_P * other.n_P)
        less_P = told_P & ~more_P
        sure = {
            "surely_gained": named(more_P & gained_P),
            "surely_lost": named(less_P & lost_P),
            "surely_more": named(more_P),
            "surely_less": named(less_P),
        }
        chance = by_chance(one, two)
        if one.n_P.size and int(one.n_P.max()) == 1:
            mid_p = mid_p_mcnemar(int(gained_P.sum()), int(lost_P.sum()))
    return Coverage(
        both=named(was_P & is_P),
        gained=named(gained_P),
        lost=named(lost_P),
        neither=named(~was_P & ~is_P),
        thinned=fixed and bool((base.n_P != other.n_P).any()),
        chance=chance,
        **sure,
        p=p_P,
        mid_p=mid_p,
    )


def by_chance(base: Outcomes, other: Outcomes) -> Chance:
    """What names dealt at random to all samples would gain and lose, in the mean over all ways to deal."""
    c_P = base.c_P + other.c_P
    some_P = c_P > 0
    # C(n of the one that has some, c) / C(n of both, c).
    has_P, total_P, c_P = np.stack([other.n_P, base.n_P])[:, some_P], (base.n_P + other.n_P)[some_P], c_P[some_P]
    enough_P = has_P >= c_P
    log_P = gammaln(has_P + 1) - gammaln(np.where(enough_P, has_P - c_P, 0) + 1)
    log_P = log_P - (gammaln(total_P + 1) - gammaln(total_P - c_P + 1))
    gained, lost = np.where(enough_P, np.exp(log_P), 0.0).sum(axis=1).tolist()
    return Chance(gained=gained, lost=lost)
