"""A run on its way to be measured: its samples read once, and what several measures need computed once.

Its samples are the scored ones, its problems those that have some. Of an adaptive run, whose later samples were drawn
because of what the earlier ones were, all but pass@k uses the samples before the first look, which every problem has.

Axes: N samples, P problems, K values of k.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import SHARE, Ends, Floats, Weights, bootstrap_interval, resampling_weights
from reachlab.boundary.comparison import Pair
from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError
from reachlab.store.columns import verdicts
from reachlab.store.samples import SampleStore

T = TypeVar("T")


class Intervals:
    """Bootstrap intervals; curves of the same number of problems share their resamples."""

    def __init__(self, resamples: int = 10_000, level: float = 0.95, seed: int = 0):
        self.resamples, self.level, self.seed = resamples, level, seed
        self._weights: dict[int, Weights] = {}

    def curve(self, table_PK: Floats, ks: Sequence[int], ends: Ends | None = SHARE) -> Curve:
        """The mean over problems at each k, and its interval; `ends` as of `bootstrap_interval`."""
        problems = len(table_PK)
        if problems not in self._weights:
            self._weights[problems] = resampling_weights(problems, self.resamples, self.seed)
        low_K, high_K = bootstrap_interval(table_PK, self._weights[problems], self.level, ends)
        return Curve(np.array(ks, np.int64), table_PK.mean(axis=0), low_K, high_K, self.level)


@dataclass(frozen=True, eq=False, kw_only=True)
class Shared:
    """A run among those that it is compared with: its outcomes on the problems that all share, of `runs` runs pooled,
    and the pair that it is with the base (the base has none)."""

    outcomes: Outcomes
    pair: Pair | None
    runs: int


class MeasuredRun:
    """One run.

    Args:
        store: where its samples are.
        intervals: how intervals are made, and the seed.
        ks: values of k; of a quantity, those it has samples for, or else its largest. None: powers of two, and the
            largest.
        name: of the model; else the folder's.
        shared: what it is among compared models.

    Raises:
        ReachlabError: no sample is scored, or a store that cannot be read.
    """

    def __init__(
        self,
        store: SampleStore,
        intervals: Intervals,
        ks: Sequence[int] | None = None,
        *,
        name: str = "",
        shared: Shared | None = None,
    ):
        self.store, self.intervals, self._ks, self.shared = store, intervals, ks, shared
        self.name = name or store.folder.name
        self.outcomes = store.outcomes()
        """Of all samples, and all problems that the run lists."""
        if not self.outcomes.n_P.any():
            raise ReachlabError(f"{store.folder.url}: no sample is scored")
        self._kept: dict[Callable[[MeasuredRun], Any], Any] = {}
        self.below: int | None = None
        """Samples from this number on are left out, those after an adaptive run's first look; None: none are."""
        if (plan := store.plan()) is not None:
            self.below = plan.looks[0]
        table, row_N = store.numbered(["verdict", "final_answer", "logprob", "tokens"])
        right_N, wrong_N, _ = verdicts(table)
        early_N = np.ones(len(table), bool) if self.below is None else table["sample"].to_numpy() < self.below
        drawn_P = np.bincount(row_N[early_N])
        self.fewest = int(drawn_P[drawn_P > 0].min())
        """Samples of the problem that has the fewest, scored or not."""
        chosen_N = (right_N | wrong_N) & early_N
        self.table = table.filter(pa.array(chosen_N))
        """A row a sample: `final_answer`, `logprob`, `tokens`."""
        self.right_N: NDArray[np.bool_] = right_N[chosen_N]
        rows_P, self.row_N = np.unique(row_N[chosen_N], return_inverse=True)
        if not len(self.row_N):
            raise ReachlabError(f"{store.folder.url}: no sample before the first look is scored")
        self.problem_ids = tuple(self.outcomes.problem_ids[row] for row in rows_P)
        self.n_P = np.bincount(self.row_N)
        self.c_P = np.bincount(self.row_N, weights=self.right_N, minlength=len(self.n_P)).astype(np.int64)

    @property
    def url(self) -> str:
        """Where it lies, for commands that a remark names."""
        return self.store.folder.url

    def ks(self, most: int | None = None) -> tuple[int, ...]:
        """The values of k up to `most`: else the fewest samples of a problem."""
        most = int(self.n_P.min()) if most is None else most
        if self._ks is not None:
            return tuple(k for k in sorted(set(self._ks)) if 1 <= k <= most) or (most,)
        return tuple(sorted({*(2**i for i in range(most.bit_length())), most}))

    def curve(self, table_PK: Floats, ks: Sequence[int], ends: Ends | None = SHARE) -> Curve:
        """The mean over problems at each k; `ends` are what the values cannot leave, shares unless said otherwise."""
        return self.intervals.curve(table_PK, ks, ends)

    def once(self, make: "Callable[[MeasuredRun], T]") -> T:
        """What `make` makes of this run, made once for all measures that need it."""
        if make not in self._kept:
            self._kept[make] = make(self)
        return cast(T, self._kept[make])
