"""A recipe: one way to make a model, run with several seeds. Its pass@k is the mean over its runs.

A word about a recipe has to hold for other seeds too, which are a second level of chance beside the problems
(`seeds`). A model that there is one of, such as a base, is a recipe of one run, and words are about that model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.boundary.stopping import Floats
from reachlab.errors import ReachlabError


@dataclass(frozen=True, eq=False)
class Recipe:
    """The outcomes of R runs, one a seed.

    Raises:
        ReachlabError: no run; or several of which one was sampled adaptively, as these cannot be pooled.
    """

    name: str
    runs: tuple[Outcomes, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", tuple(self.runs))
        if not self.runs:
            raise ReachlabError(f"{self.name}: a recipe needs a run")
        if len(self.runs) > 1 and (bad := [run.name for run in self.runs if run.stopping is not None]):
            raise ReachlabError(
                f"{self.name}: {bad[0]} was sampled adaptively, and such runs cannot be pooled; name one run a model, "
                "or runs with a fixed number of samples"
            )

    @classmethod
    def of(cls, model: "Outcomes | Recipe") -> "Recipe":
        """One run is a recipe of its name."""
        return model if isinstance(model, Recipe) else cls(model.name, (model,))

    @property
    def problem_ids(self) -> tuple[str, ...]:
        """Problems that every run was asked, in the first one's order."""
        asked = set[str].intersection(*(set(run.problem_ids) for run in self.runs))
        return tuple(i for i in self.runs[0].problem_ids if i in asked)

    @property
    def largest_k(self) -> int:
        """The largest k for which every run has an estimate on every problem."""
        return min(run.largest_k for run in self.runs)

    @property
    def scored(self) -> np.ndarray:
        """Problems of which every run has a scored sample; the runs must be on the same problems."""
        found: np.ndarray = np.all([run.n_P > 0 for run in self.runs], axis=0)
        return found

    def select(self, problem_ids: Sequence[str]) -> "Recipe":
        """The recipe on these problems, in this order."""
        return Recipe(self.name, tuple(run.select(problem_ids) for run in self.runs))

    def tables(self, ks: Sequence[int] | Ints) -> Floats:
        """Each run's pass@k of each problem: (R, P, K)."""
        return np.stack([run.pass_at_k(ks) for run in self.runs])

    @cached_property
    def pooled(self) -> Outcomes:
        """The samples of all runs together: what is solved at all, and how often; not for pass@k at k > 1."""
        if len(self.runs) == 1:
            run = self.runs[0]
            return Outcomes(self.name, run.problem_ids, run.n_P, run.c_P, run.unscored_P, run.stopping)
        n_P, c_P, unscored_P = (
            np.sum([getattr(run, field) for run in self.runs], axis=0) for field in ("n_P", "c_P", "unscored_P")
        )
        return Outcomes(self.name, self.runs[0].problem_ids, n_P, c_P, unscored_P)
