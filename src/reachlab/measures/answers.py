"""How a run's scored samples come down to final answers, and how their entropy differs from another run's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab.boundary.answer_entropy import answer_entropy
from reachlab.boundary.bootstrap import Floats, bootstrap_interval, resampling_weights
from reachlab.boundary.voting import Ballots


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The final answers of each problem's samples, of the problems that have some."""

    problem_ids: tuple[str, ...]
    ballots: Ballots

    @property
    def silent(self) -> int:
        """Samples that state no final answer."""
        return int(self.ballots.silent_P.sum())

    def select(self, problem_ids: Sequence[str]) -> Ballots:
        """The ballots of these problems, which must be among them, in this order."""
        place = {name: row for row, name in enumerate(self.problem_ids)}
        return self.ballots.select(np.array([place[name] for name in problem_ids], np.int64))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EntropyDifference:
    """A model's answer-level entropy less the base's at the same k, in nats: the mean over the problems of both."""

    name: str
    problems: int
    ks: tuple[int, ...]
    values: Floats
    low: Floats
    high: Floats


def entropy_difference(
    name: str,
    base: Answers,
    other: Answers,
    problem_ids: Sequence[str],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> EntropyDifference | None:
    """The paired difference on those of these problems that both have; None where a problem has a single sample."""
    both = set(base.problem_ids) & set(other.problem_ids)
    shared = [i for i in problem_ids if i in both]
    ballots = [answers.select(shared) for answers in (base, other)]
    most = min((int(found.samples.min()) for found in ballots), default=0) if shared else 0
    if most < 2:
        return None
    ks = tuple(sorted({*(2**i for i in range(1, most.bit_length())), most}))
    base_PK, other_PK = (answer_entropy(found, ks) for found in ballots)
    low_K, high_K = bootstrap_interval(other_PK - base_PK, resampling_weights(len(shared), resamples, seed), level)
    return EntropyDifference(
        name=name,
        problems=len(shared),
        ks=ks,
        values=(other_PK - base_PK).mean(axis=0),
        low=low_K,
        high=high_K,
    )
