"""The mean of a few independent values, one a seed say, and how sure it is: m ± t_{S−1} s / √S.

s² = Σ (v − m)² / (S − 1), t Student's quantile with S − 1 degrees of freedom. What two models got from the same seeds
is paired: the values are then the seeds' differences. A bootstrap over seeds is no substitute: its percentiles end at
the smallest and the largest value, and those of three values have the true mean between them in 1 − 2 (1/2)³ = 75 % of
cases at best, not in 95 %.

Source: Student 1908, *The probable error of a mean*. It supposes that values are about normal, as means over many
problems or tokens are.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from reachlab.errors import ReachlabError

Floats = NDArray[np.float64]


def quantile(seeds: int, level: float = 0.95) -> float:
    """Student's t for the mean of S values: `level` of its distribution lies between −t and t.

    Raises:
        ReachlabError: fewer than two values, or a level that is not between 0 and 1.

    Example:
        >>> round(quantile(3), 2)
        4.3
    """
    if not 0 < level < 1:
        raise ReachlabError(f"Student's t: level {level} is not between 0 and 1")
    if seeds < 2:
        raise ReachlabError(f"Student's t: {seeds} values do not tell how much others would differ; 2 at least")
    return float(stdtrit(seeds - 1, (1 + level) / 2))


def interval(values_SX: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Mean over the first axis, and the two ends of its interval; of a single value the ends are NaN: it has none.

    Raises:
        ReachlabError: no value, or one that is no finite number.

    Example:
        Three seeds, one number each:

        >>> mean, low, high = interval([[0.1], [0.2], [0.3]])
        >>> [round(float(x[0]), 3) for x in (mean, low, high)]
        [0.2, -0.048, 0.448]
    """
    found_SX = np.asarray(values_SX, dtype=np.float64)
    if not len(found_SX) or not np.isfinite(found_SX).all():
        raise ReachlabError("Student's t: every seed needs a finite value, and there has to be one")
    mean_X = found_SX.mean(axis=0)
    if len(found_SX) < 2:
        return mean_X, np.full_like(mean_X, np.nan), np.full_like(mean_X, np.nan)
    half_X = quantile(len(found_SX), level) * found_SX.std(axis=0, ddof=1) / len(found_SX) ** 0.5
    return mean_X, mean_X - half_X, mean_X + half_X
