"""pass@1 of a run with its uncertainty: the mean over problems of c/n (adaptive sampling undone), and the bootstrap's
interval over problems, as `reachlab compare` has it. Of many problems the normal interval, which is the same then and
takes no memory.

Axes. P: problems.
"""

from dataclasses import dataclass

import numpy as np

from reachlab.boundary.bootstrap import SHARE, bootstrap_interval, resampling_weights
from reachlab.errors import ReachlabError
from reachlab.store.samples import SampleStore

RESAMPLES = 10_000
FEW = 2000
"""Up to so many problems are resampled."""
LEVEL = 0.95
QUANTILE = 1.959963984540054
"""The normal distribution's, for `LEVEL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """`value` over `problems` that have a scored sample; `unscored_problems` have none. `error` and `interval` are None
    for a single problem."""

    value: float
    problems: int
    scored: int
    correct: int
    unscored: int
    unscored_problems: int
    error: float | None = None
    interval: tuple[float, float] | None = None
    level: float = LEVEL
    method: str = ""


def pass_at_1(store: SampleStore) -> Score:
    """Measure a run.

    Raises:
        ReachlabError: it holds no scored sample.
    """
    outcomes = store.outcomes()
    drawn_P = outcomes.n_P > 0
    if not drawn_P.any():
        raise ReachlabError(f"{store.folder.url}: no sample is scored, so there is no pass@1 to export")
    kept = outcomes.select([name for name, drawn in zip(outcomes.problem_ids, drawn_P, strict=True) if drawn])
    values_P1 = kept.pass_at_k([1])
    problems = len(values_P1)
    error = interval = None
    method = ""
    if problems > 1:
        error = float(values_P1.std(ddof=1) / np.sqrt(problems))
        value = float(values_P1.mean())
        if problems <= FEW:
            low, high = bootstrap_interval(values_P1, resampling_weights(problems, RESAMPLES), LEVEL, SHARE)
            interval, method = (float(low[0]), float(high[0])), "BCa bootstrap over problems"
        else:
            interval = (max(0.0, value - QUANTILE * error), min(1.0, value + QUANTILE * error))
            method = "normal, over problems"
    return Score(
        value=float(values_P1.mean()),
        problems=problems,
        scored=int(outcomes.n_P.sum()),
        correct=int(outcomes.c_P.sum()),
        unscored=int(outcomes.unscored_P.sum()),
        unscored_problems=int((~drawn_P).sum()),
        error=error,
        interval=interval,
        method=method,
    )
