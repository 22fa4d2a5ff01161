"""pass@k of one set of samples, with its interval over problems: `reachlab.pass_at_k` and `Run.pass_at_k`.

The numbers are those of `reachlab compare` with one model: an unbiased estimate of each problem (`boundary/passk.py`),
their mean, and the bootstrap's interval.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reachlab.boundary.noise import Over
from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import InvalidArgumentError
from reachlab.library.counts import aligned
from reachlab.library.functions import bordered
from reachlab.library.html import paragraphs, table
from reachlab.library.keywords import converted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class PassAtK:
    """pass@k at some k: the mean over problems, its interval, and every problem's own estimate.

    ``float(found)`` is the mean where one k was asked for; ``numpy.asarray(found)`` are the means, (K,), and of one k
    that was given as a number, a number.
    """

    k: tuple[int, ...]
    """The values of k, as they were asked for."""
    mean: NDArray[np.float64]
    """The mean over problems: (K,)."""
    low: NDArray[np.float64]
    """The lower end of its interval: (K,)."""
    high: NDArray[np.float64]
    """The upper end: (K,)."""
    level: float
    """The level of the intervals."""
    per_problem: NDArray[np.float64]
    """Each problem's estimate: (P, K)."""
    problem_ids: tuple[str, ...]
    """The problems with a scored sample."""
    correct: NDArray[np.int64]
    """How many samples of each were right: (P,)."""
    drawn: NDArray[np.int64]
    """How many were scored: (P,)."""
    single: bool = False
    """Whether k was one number and no list."""

    def __float__(self) -> float:
        """The mean, of one k."""
        if len(self.k) != 1:
            raise TypeError(f"pass@k of {len(self.k)} values of k is no single number; take .mean, or ask for one k")
        return float(self.mean[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The means as numpy sees them."""
        return np.array(self.mean[0] if self.single else self.mean, dtype)

    def __repr__(self) -> str:
        """One line a k."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        count = len(self.problem_ids)
        where = f"{count:,} problem{'s' if count != 1 else ''}"
        return [
            f"pass@{k} = {100 * mean:.1f}% [{100 * low:.1f}, {100 * high:.1f}] on {where}"
            for k, mean, low, high in zip(self.k, self.mean, self.low, self.high, strict=True)
        ]

    def to_frame(self, *, problems: bool = False) -> "pd.DataFrame":
        """A row a k: ``k``, ``pass_at_k``, ``low``, ``high``, ``level``, ``problems``; or a row a problem and k."""
        import pandas as pd

        if not problems:
            return pd.DataFrame(self._rows())
        count, width = self.per_problem.shape
        return pd.DataFrame(
            {
                "problem_id": np.repeat(np.array(self.problem_ids, object), width),
                "k": np.tile(np.array(self.k), count),
                "pass_at_k": self.per_problem.ravel(),
                "correct": np.repeat(self.correct, width),
                "drawn": np.repeat(self.drawn, width),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers for JSON."""
        return {
            "ks": list(self.k),
            "values": self.mean.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "level": self.level,
            "problem_ids": list(self.problem_ids),
            "per_problem": self.per_problem.tolist(),
            "correct": self.correct.tolist(),
            "drawn": self.drawn.tolist(),
        }

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "k": k,
                "pass_at_k": mean,
                "low": low,
                "high": high,
                "level": self.level,
                "problems": len(self.problem_ids),
            }
            for k, mean, low, high in zip(
                self.k, self.mean.tolist(), self.low.tolist(), self.high.tolist(), strict=True
            )
        ]

    def _repr_html_(self) -> str:
        return paragraphs(self._lines()[:1]) + table(self._rows())


@bordered
def pass_at_k(
    correct: ArrayLike,
    drawn: ArrayLike,
    k: int | Sequence[int] | None = None,
    *,
    over: Over = "problems",
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> PassAtK:
    """Estimate pass@k from counts: the chance that k samples of a problem hold a right one, without bias.

    Parameters
    ----------
    correct : array_like of int
        How many samples of each problem were right; a number, if there is one problem. Two pandas Series, correct and
        drawn, are paired by their indexes, which are the problems' ids.
    drawn : array_like of int
        How many samples of each were scored, or of all of them where it is one number. A sample that could not be
        scored is none of them: it is not wrong.
    k : int or list of int, optional
        Values of k, at most the fewest samples of a problem; default powers of two up to that, and that.
    over : {'problems', 'samples', 'both'}, default='problems'
        What the intervals are over: other problems like these, these very problems answered again, or both.
    resamples : int, default=10000
        Bootstrap resamples of the problems.
    level : float, default=0.95
        Level of the intervals.
    seed : int, default=0
        Of the bootstrap.

    Returns
    -------
    PassAtK
        The means, their intervals and each problem's estimate.

    Raises
    ------
    ReachlabError
        And ValueError: more right samples than samples, a negative number, lists of different lengths, a k beyond the
        fewest samples of a problem.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.pass_at_k(correct=[3, 0], drawn=[64, 64], k=[1, 8]).mean.round(3).tolist()
    [0.023, 0.167]
    >>> float(rl.pass_at_k(correct=[1, 4], drawn=4, k=2))
    0.75
    """
    right, all_drawn, ids = aligned(correct, drawn, "pass_at_k")
    c_P, n_P = _counts(right, "correct"), _counts(all_drawn, "drawn")
    if n_P.ndim == 0:
        n_P = np.broadcast_to(n_P, c_P.shape)
    c_P, n_P = np.atleast_1d(c_P), np.atleast_1d(n_P)
    if c_P.shape != n_P.shape:
        raise InvalidArgumentError(f"pass_at_k: {c_P.size} numbers of right samples, and {n_P.size} of drawn ones")
    outcomes = Outcomes("samples", ids or tuple(map(str, range(len(c_P)))), n_P, c_P, np.zeros_like(c_P))
    return of_outcomes(outcomes, k, over=over, resamples=resamples, level=level, seed=seed)


def of_outcomes(outcomes: Outcomes, k: int | Iterable[int] | None, **options: Any) -> PassAtK:
    """pass@k of a model's outcomes, on the problems of which it has a scored sample, as `compare` has it.

    Raises:
        ReachlabError: no such problem, or a k that is no estimate there.
    """
    from reachlab.boundary.compare import compare
    from reachlab.library.settings import checked

    settings = checked(options, "pass_at_k", ("over", "resamples", "level", "seed"))
    scored = [i for i, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n]
    if not scored:
        raise InvalidArgumentError("pass_at_k: there is no problem with a scored sample")
    kept = outcomes.select(scored)
    asked = _powers(kept.largest_k) if k is None else converted(k, tuple[int, ...], "pass_at_k: k")
    if not asked:
        raise InvalidArgumentError("pass_at_k: there is no k; give one or more")
    (model,) = compare([kept], ks=asked, **settings).models
    curve = model.curve.take(np.searchsorted(model.curve.x, asked))
    return PassAtK(
        k=asked,
        mean=curve.values,
        low=curve.low,
        high=curve.high,
        level=curve.level,
        per_problem=kept.pass_at_k(asked),
        problem_ids=kept.problem_ids,
        correct=kept.c_P,
        drawn=kept.n_P,
        single=isinstance(k, int | np.integer),
    )


def _powers(largest: int) -> tuple[int, ...]:
    return tuple(sorted({*(1 << i for i in range(largest.bit_length())), largest} - {0}))


def _counts(given: ArrayLike, name: str) -> NDArray[np.int64]:
    """Whole numbers, none below 0: (P,) or one.

    Raises:
        InvalidArgumentError: something else.
    """
    try:
        counts = np.asarray(given)
    except (ValueError, TypeError):
        counts = np.array(None)
    if counts.ndim > 1 or counts.dtype.kind not in "iu" or not counts.size or counts.min() < 0:
        raise InvalidArgumentError(
            f"pass_at_k: {name} must be whole numbers, none below 0, one a problem (of tables of 0 and 1: compare)"
        )
    return counts.astype(np.int64)
