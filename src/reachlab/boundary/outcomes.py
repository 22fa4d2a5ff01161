"""What one model did on each problem: n scored samples, c correct ones, and how many could not be scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.errors import ReachlabError

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Ints of one model over P problems; the arrays are copied and read-only.

    ``n_P`` counts scored samples only: an unscored sample is in ``unscored_P`` and nowhere else, as it is not
    wrong.

    Raises:
        ReachlabError: lengths differ, an id appears twice, a count is negative, or c > n.
    """

    name: str
    problem_ids: tuple[str, ...]
    n_P: Ints
    c_P: Ints
    unscored_P: Ints

    def __post_init__(self) -> None:
        object.__setattr__(self, "problem_ids", tuple(self.problem_ids))
        for field in ("n_P", "c_P", "unscored_P"):
            counts_P = self._counts(field)
            counts_P.setflags(write=False)
            object.__setattr__(self, field, counts_P)
        if len(set(self.problem_ids)) != len(self.problem_ids):
            twice = next(i for i in self.problem_ids if self.problem_ids.count(i) > 1)
            raise ReachlabError(f"{self.name}: problem id {twice!r} appears more than once; sum its counts first")
        if (bad_P := self.c_P > self.n_P).any():
            at = int(bad_P.argmax())
            raise ReachlabError(
                f"{self.name}: problem {self.problem_ids[at]!r} has {self.c_P[at]} correct of {self.n_P[at]}"
            )

    def _counts(self, field: str) -> Ints:
        given: Sequence[int] | Ints = getattr(self, field)
        counts_P = np.array(given)
        if counts_P.shape != (len(self.problem_ids),):
            raise ReachlabError(f"{self.name}: {field} has shape {counts_P.shape} for {len(self.problem_ids)} problems")
        if counts_P.size and (counts_P.dtype.kind not in "iu" or counts_P.min() < 0):
            raise ReachlabError(f"{self.name}: {field} must hold whole numbers, none below 0")
        return counts_P.astype(np.int64)
