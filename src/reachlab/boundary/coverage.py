"""Solved sets: the problems with at least one correct sample, of one model against the base.

*Gained* is solved by the other model alone, *lost* by the base alone. Unsolved means not solved in the
samples that were drawn: no correct sample among n is no proof of impossibility, and a model with more samples
has more chances. A problem is *surely* gained or lost if, besides, an exact test on (n, c) of the two models tells them
apart there, corrected for all problems (`exact`): no false one among them with probability `level`.

Source: the solvable-problem coverage of *Does Reinforcement Learning Really Incentivize Reasoning Capacity in
LLMs Beyond the Base Model?* (arXiv 2504.13837); the test is ours.
"""

from dataclasses import dataclass

import numpy as np

from reachlab.boundary.bootstrap import Floats
from reachlab.boundary.exact import fisher_p, holm
from reachlab.boundary.outcomes import Outcomes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Coverage:
    """Problem ids, each in one of the four sets; and what is sure.

    ``p`` is each problem's adjusted p-value, in the order of the comparison's problems; it and the sure sets are None
    where samples were drawn adaptively: their number then depends on what came out, and the test is not exact.
    ``surely_more`` and ``surely_less`` are problems that the other model surely solves more, or less, often than the
    base; the surely gained and lost are among them.
    """

    both: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    neither: tuple[str, ...]
    surely_gained: tuple[str, ...] | None
    surely_lost: tuple[str, ...] | None
    surely_more: tuple[str, ...] | None
    surely_less: tuple[str, ...] | None
    p: Floats | None


def coverage(base: Outcomes, other: Outcomes, level: float = 0.95) -> Coverage:
    """Sort problems by which of the two models solved them, and test each; both have the same problems in one order."""
    ids = np.array(base.problem_ids, object)
    was_P, is_P = base.c_P > 0, other.c_P > 0

    def named(where_P: np.ndarray) -> tuple[str, ...]:
        return tuple(ids[where_P].tolist())

    sure: dict[str, tuple[str, ...] | None] = dict.fromkeys(
        ("surely_gained", "surely_lost", "surely_more", "surely_less")
    )
    p_P = None
    if base.stopping is None and other.stopping is None:
        p_P = holm(fisher_p(base.n_P, base.c_P, other.n_P, other.c_P))
        told_P = p_P <= 1 - level + 1e-12
        more_P = told_P & (other.c_P * base.n_P > base.c_P * other.n_P)
        less_P = told_P & ~more_P
        sure = {
            "surely_gained": named(more_P & ~was_P),
            "surely_lost": named(less_P & ~is_P),
            "surely_more": named(more_P),
            "surely_less": named(less_P),
        }
    return Coverage(
        both=named(was_P & is_P),
        gained=named(is_P & ~was_P),
        lost=named(was_P & ~is_P),
        neither=named(~was_P & ~is_P),
        **sure,
        p=p_P,
    )
