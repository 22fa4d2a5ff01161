"""What one model did on each problem: n scored samples, c correct ones, and how many could not be scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reachlab.boundary import passk, stopping
from reachlab.boundary.stopping import Floats, Ints, Stopping
from reachlab.errors import ReachlabError

__all__ = ["Ints", "Outcomes"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Ints of one model over P problems; the arrays are copied and read-only.

    ``n_P`` counts scored samples only: an unscored sample is in ``unscored_P`` and nowhere else, as it is not
    wrong. ``stopping`` says which problems were drawn until they had enough right samples (adaptive sampling): of
    those, c/n is too high, and `pass_at_k` knows how to undo it.

    Raises:
        ReachlabError: lengths differ, an id appears twice, a count is negative, c > n, or counts that the stopping
            rule could not have left.
    """

    name: str
    problem_ids: tuple[str, ...]
    n_P: Ints
    c_P: Ints
    unscored_P: Ints
    stopping: Stopping | None = None

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
        if self.stopping is not None:
            stopping.check(self.n_P, self.c_P, self.stopping)

    @property
    def largest_k(self) -> int:
        """The largest k for which every problem has an estimate of pass@k; 0 without problems."""
        if self.stopping is None:
            return int(self.n_P.min()) if self.n_P.size else 0
        return stopping.largest_k(self.n_P, self.stopping)

    def pass_at_k(self, ks: Sequence[int] | Ints) -> Floats:
        """Estimate pass@k per problem, as a (P, K) table, without bias however the samples were drawn.

        Raises:
            ReachlabError: a k outside 1 to `largest_k`.

        Example:
            >>> model = Outcomes("base", ("p1", "p2"), np.array([4, 4]), np.array([1, 4]), np.array([0, 0]))
            >>> model.pass_at_k([1, 2]).mean(axis=0).tolist()
            [0.625, 0.75]
        """
        if self.stopping is None:
            return passk.pass_at_k(self.n_P, self.c_P, ks)
        return stopping.pass_at_k(self.n_P, self.c_P, self.stopping, ks)

    def fractions(self) -> tuple[Ints, Ints]:
        """Accuracies as fractions (n, c). Of problems that stopped when they were solved c / n is too high; pass@1 is
        not.

        A solved problem is never counted as never solved, though its first samples, which are all that pass@1 looks at,
        may all be wrong.
        """
        if self.stopping is None:
            return self.n_P, self.c_P
        parts = 10**6
        c_P = (parts * self.pass_at_k([1])[:, 0]).round().astype(np.int64)
        return np.full(len(c_P), parts), np.where(self.c_P > 0, np.maximum(c_P, 1), 0)

    def select(self, problem_ids: Sequence[str]) -> "Outcomes":
        """The outcomes on these problems, in this order.

        Raises:
            ReachlabError: a problem that is not among them.
        """
        position = {problem_id: at for at, problem_id in enumerate(self.problem_ids)}
        if strange := next((i for i in problem_ids if i not in position), None):
            raise ReachlabError(f"{self.name}: there is no problem {strange!r}")
        at_P = np.array([position[i] for i in problem_ids], np.int64)
        return replace(
            self,
            problem_ids=tuple(problem_ids),
            n_P=self.n_P[at_P],
            c_P=self.c_P[at_P],
            unscored_P=self.unscored_P[at_P],
            stopping=None if self.stopping is None else self.stopping.select(at_P),
        )

    def _counts(self, field: str) -> Ints:
        given: Sequence[int] | Ints = getattr(self, field)
        counts_P = np.array(given)
        if counts_P.shape != (len(self.problem_ids),):
            raise ReachlabError(f"{self.name}: {field} has shape {counts_P.shape} for {len(self.problem_ids)} problems")
        if counts_P.size and (counts_P.dtype.kind not in "iu" or counts_P.min() < 0):
            raise ReachlabError(f"{self.name}: {field} must hold whole numbers, none below 0")
        return counts_P.astype(np.int64)
