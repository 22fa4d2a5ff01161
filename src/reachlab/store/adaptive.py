"""The adaptive plan: problems are drawn on together from look to look, and those with enough right samples stop.

After h_1 < h_2 < ... < h_J = N samples each problem still drawn is looked at; with r = ``enough`` right ones it stops.
What is spent is spent on problems that are not decided yet, and the solved set is that of N samples of every problem.
`boundary/stopping.py` has pass@k of such samples without bias. Looks are half an octave apart, because a problem that
was solved just after one is drawn to the next, and a quarter from N/4 on, where the run as a whole may end; the first
is at N/32 (and no earlier than 8), as all that is known of pass@k up to there comes from its samples.

With ``target_width`` w the whole run stops at the first look after which the 95 % interval of the final solved share
(`boundary/forecast.py`) is no wider than w. What that does to pass@k:

- r = 1: nothing, for any k up to the last look h. The estimate of a problem is the same whether the run ends at h or
  goes on: it is known when the problem stops; and while it is unsolved it is 0, and stays 0 if it is solved later, the
  look before being at h ≥ k or after. So the estimates are those of a run to N that nobody stopped, which are unbiased.
  What the width does decide is how far k goes. Over those runs alone that came as far as some k beyond the first
  look, the mean is not the truth (off by up to 0.2 points in `benchmarks/bench_adaptive.py`).
- r > 1: an undecided problem with a right sample or more has an estimate that would change as the run went on, and when
  it ends depends, a little, on that problem. So it is not exactly unbiased; the benchmark finds no bias beyond its
  Monte-Carlo error of 0.01 to 0.05 points.
- The solved share is no estimate: so many problems were solved, and the interval says how many will be.

Everything is recomputed from the stored samples, so a run may be killed anywhere. Verdicts given later (`reachlab
verify`) are as good as those of the first day: samples that the rule would not have drawn are not looked at, and ones
that it would have and are not there are asked for.

Axes. P: problems, J: looks, N: samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.forecast import FARTHEST, Forecast, forecast_solved
from reachlab.boundary.stopping import Ints, Stopping
from reachlab.errors import ReachlabError
from reachlab.store.config import Adaptive

FIRST_SHARE, FIRST_LOOK = 32, 8
"""The first look is at this part of the samples, rounded down to a power of two, and not before FIRST_LOOK."""

Key = tuple[int, int]
"""A problem's position and a sample's index."""
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptivePlan:
    """When problems are looked at, how many right samples stop one, and the width that stops the run."""

    looks: tuple[int, ...]
    enough: int
    target_width: float | None

    def to_dict(self) -> dict[str, Any]:
        """As `run.json` keeps it."""
        return asdict(self)


def make_plan(adaptive: Adaptive, samples: int) -> AdaptivePlan | None:
    """The plan of what is asked, for at most so many samples a problem; None: all are drawn to the end."""
    if not adaptive.on:
        return None
    return AdaptivePlan(
        looks=choose_looks(samples, adaptive.first_look), enough=adaptive.enough, target_width=adaptive.target_width
    )


def read_plan(run: Mapping[str, Any], where: str) -> AdaptivePlan | None:
    """The plan that a `run.json` tells of; None where there is none.

    Raises:
        ReachlabError: something that is no plan, found in `where`.
    """
    settings = (run.get("config") or {}).get("adaptive")
    if settings is None:
        return None
    try:
        width = settings["target_width"]
        plan = AdaptivePlan(
            looks=tuple(map(int, settings["looks"])),
            enough=int(settings["enough"]),
            target_width=None if width is None else float(width),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReachlabError(f"{where}: config.adaptive is no plan with looks, enough and target_width") from error
    if not plan.looks or any(a >= b for a, b in pairwise((0, *plan.looks))) or plan.enough < 1:
        raise ReachlabError(f"{where}: config.adaptive has looks that do not ascend, or enough below 1")
    return plan


def choose_looks(samples: int, first: int = 0) -> tuple[int, ...]:
    """Looks at 32, 48, 64, 96 ... samples, from a quarter on at 320, 384, 448, 512 ..., and at the last.

    `first` is the first; 0 chooses it.
    """
    first = first or max(FIRST_LOOK, 2 ** (max(samples // FIRST_SHARE, 1).bit_length() - 1))
    looks = {samples}
    for octave in (first * 2**i for i in range(samples.bit_length())):
        quarters = [octave * (4 + i) // 4 for i in range(4)]
        looks |= {
            look for i, look in enumerate(quarters) if look < samples and (i % 2 == 0 or FARTHEST * look > samples)
        }
    return tuple(sorted(looks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a run was after one look: samples drawn so far, problems that are drawn on, and the solved set."""

    look: int
    drawn: int
    undecided: int
    solved: Forecast

    def to_dict(self) -> dict[str, Any]:
        """As `adaptive.json` keeps it."""
        return {
            "look": self.look,
            "drawn": self.drawn,
            "undecided": self.undecided,
            "solved": self.solved.solved,
            "low": self.solved.low,
            "high": self.solved.high,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How far a run has come by its plan.

    ``done`` looks are behind it: all that was to be drawn before each is there. ``stopped_P`` is the look (its
    position) at which a problem had enough, -1 where it is drawn on.
    """

    done: int
    stopped_P: Ints

    @property
    def going(self) -> Ints:
        """Positions of the problems that are drawn on."""
        return np.flatnonzero(self.stopped_P < 0)


class Ledger:
    """What a run holds, as counts of each problem's samples between one look and the next: (P, J)."""

    def __init__(self, plan: AdaptivePlan, problems: int):
        self.plan = plan
        self.drawn_PJ, self.scored_PJ, self.right_PJ = np.zeros((3, problems, len(plan.looks)), np.int64)
        self._held = np.zeros(0, np.int64)

    def load(self, problem_N: Ints, sample_N: Ints, scored_N: Bools, right_N: Bools) -> None:
        """Count what an earlier process stored, each sample once, and remember which ones these are."""
        self.add(problem_N, sample_N, scored_N, right_N)
        self._held = np.sort(self._key(problem_N, sample_N))

    def add(self, problem_N: Ints, sample_N: Ints, scored_N: Bools, right_N: Bools) -> None:
        """Count samples: each one's problem (its position), its index, and what its verdict says.

        Raises:
            ReachlabError: an index that the plan does not reach.
        """
        if sample_N.size and sample_N.max() >= self.plan.looks[-1]:
            raise ReachlabError(
                f"sample {sample_N.max()} of a problem is beyond the run's {self.plan.looks[-1]} samples"
            )
        cell_N = problem_N * len(self.plan.looks) + np.searchsorted(self.plan.looks, sample_N, side="right")
        for counts_PJ, chosen in (
            (self.drawn_PJ, cell_N),
            (self.scored_PJ, cell_N[scored_N]),
            (self.right_PJ, cell_N[right_N]),
        ):
            counts_PJ += np.bincount(chosen, minlength=counts_PJ.size).reshape(counts_PJ.shape)

    def _key(self, problem_N: Ints, sample_N: Ints) -> Ints:
        return problem_N * self.plan.looks[-1] + sample_N

    def standing(self) -> Standing:
        """Follow the plan through what is there."""
        sizes = np.diff(self.plan.looks, prepend=0)
        right_PJ = self.right_PJ.cumsum(axis=1)
        stopped_P = np.full(len(right_PJ), -1)
        for at, size in enumerate(sizes):
            going_P = stopped_P < 0
            if not going_P.any() or (self.drawn_PJ[going_P, at] < size).any():
                return Standing(at, stopped_P)
            stopped_P[going_P & (right_PJ[:, at] >= self.plan.enough)] = at
        return Standing(len(sizes), stopped_P)

    def look(self, standing: Standing, at: int) -> Look:
        """What the run was after one of the looks behind it."""
        looks = self.plan.looks[: at + 1]
        solved = (self.right_PJ[:, : at + 1].cumsum(axis=1) > 0).sum(axis=0)
        stopped_P = np.where(standing.stopped_P < 0, standing.done, standing.stopped_P)
        return Look(
            look=looks[-1],
            drawn=int(np.array(looks)[np.minimum(stopped_P, at)].sum()),
            undecided=int((stopped_P > at).sum()),
            solved=forecast_solved(looks, np.diff(solved, prepend=0).tolist(), len(stopped_P), self.plan.looks[-1]),
        )

    def stretch(self, standing: Standing) -> tuple[int, int]:
        """How many samples there are from the last look to the next, and how many of these are missing."""
        total = len(standing.going) * int(np.diff(self.plan.looks, prepend=0)[standing.done])
        return total, total - int(self.drawn_PJ[standing.going, standing.done].sum())

    def parts(self, standing: Standing, size: int) -> Iterator[list[Key]]:
        """What the next stretch lacks, in parts: its samples, problem after problem, are cut `size` at a time."""
        start, end = (0, *self.plan.looks)[standing.done], self.plan.looks[standing.done]
        for first in range(0, len(standing.going) * (end - start), size):
            at_N = np.arange(first, min(first + size, len(standing.going) * (end - start)))
            problem_N, sample_N = standing.going[at_N // (end - start)], start + at_N % (end - start)
            key_N = self._key(problem_N, sample_N)
            missing_N = np.searchsorted(self._held, key_N) == np.searchsorted(self._held, key_N, side="right")
            if missing_N.any():
                yield list(zip(problem_N[missing_N].tolist(), sample_N[missing_N].tolist(), strict=True))

    def outcomes(self, where: str) -> tuple[Ints, Ints, Ints, Stopping]:
        """(n_P, c_P, unscored_P, stopping) of the looks that are behind the run; before the first, of what there is.

        Raises:
            ReachlabError: samples are missing where others were drawn on; `where` is the run.
        """
        standing = self.standing()
        going = standing.going
        if self.drawn_PJ[going, standing.done + 1 :].any():
            look = self.plan.looks[standing.done]
            short = int((self.drawn_PJ[going, : standing.done + 1].sum(axis=1) < look).sum())
            raise ReachlabError(
                f"{where}: by the verdicts stored now, {short} of its problems need {look} samples and have fewer "
                "(verdicts were changed, or parts are lost); give its `reachlab sample` command again to draw them"
            )
        at_P = np.where(standing.stopped_P < 0, max(standing.done - 1, 0), standing.stopped_P)
        drawn_PJ, scored_PJ, right_PJ = (t.cumsum(axis=1) for t in (self.drawn_PJ, self.scored_PJ, self.right_PJ))
        row_P = np.arange(len(at_P))
        n_P = scored_PJ[row_P, at_P]
        before_P = scored_PJ[row_P, np.maximum(standing.stopped_P - 1, 0)]
        before_P = np.where(standing.stopped_P > 0, before_P, standing.stopped_P)
        last = len(self.plan.looks) if self.plan.target_width is None else max(standing.done, 1)
        stopping = Stopping(enough=self.plan.enough, before_P=before_P, horizon=self.plan.looks[last - 1])
        return n_P, right_PJ[row_P, at_P], drawn_PJ[row_P, at_P] - n_P, stopping


def ending(plan: AdaptivePlan, looks: Sequence[Look]) -> str:
    """Why the run is at its end after these looks, in words; nothing where it is not."""
    if not looks:
        return ""
    last = looks[-1]
    if not last.undecided:
        return "every problem is solved" if plan.enough == 1 else f"every problem has {plan.enough} right samples"
    if plan.target_width is not None and last.solved.width <= plan.target_width:
        return f"the interval is no wider than {plan.target_width:g}"
    return f"the undecided problems have all {last.look:,} samples" if last.look == plan.looks[-1] else ""


def say(plan: AdaptivePlan, look: Look) -> str:
    """A line about one look."""
    solved = look.solved
    line = f"after {look.look:,} of {plan.looks[-1]:,}: {look.drawn:,} samples drawn, {solved.solved:,} of "
    line += f"{solved.problems:,} problems solved, {look.undecided:,} undecided"
    if look.look == plan.looks[-1]:
        return line
    return f"{line}; in the end {solved.low:,} to {solved.high:,} solved (95 %), width {solved.width:.3f}"


def sum_up(plan: AdaptivePlan, looks: Sequence[Look]) -> str:
    """The last line: why the run is at its end, and what it cost."""
    last = looks[-1]
    fewer = (
        f"{last.solved.problems * look / last.drawn:.1f}x fewer than {look:,} of every problem"
        for look in dict.fromkeys((last.look, plan.looks[-1]))
    )
    return f"ended, as {ending(plan, looks)}; {last.drawn:,} samples: {', '.join(fewer)}"
