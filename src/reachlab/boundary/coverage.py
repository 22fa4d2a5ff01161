"""Solved sets: the problems with at least one correct sample, of one model against the base.

*Gained* is solved by the other model alone, *lost* by the base alone. Unsolved means not solved in the
samples that were drawn: no correct sample among n is no proof of impossibility, and a model with more samples
has more chances.

Source: the solvable-problem coverage of *Does Reinforcement Learning Really Incentivize Reasoning Capacity in
LLMs Beyond the Base Model?* (arXiv 2504.13837).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.boundary.outcomes import Ints


@dataclass(frozen=True, slots=True)
class Coverage:
    """Problem ids, each in one of the four sets."""

    both: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    neither: tuple[str, ...]


def coverage(problem_ids: Sequence[str], base_c_P: Ints, other_c_P: Ints) -> Coverage:
    """Sort problems by which of the two models solved them; the counts are of correct samples per problem."""
    sets: dict[tuple[bool, bool], list[str]] = {(b, o): [] for b in (False, True) for o in (False, True)}
    for problem_id, base_c, other_c in zip(problem_ids, base_c_P, other_c_P, strict=True):
        sets[bool(base_c), bool(other_c)].append(problem_id)
    return Coverage(
        both=tuple(sets[True, True]),
        gained=tuple(sets[False, True]),
        lost=tuple(sets[True, False]),
        neither=tuple(sets[False, False]),
    )
