"""pass@k of a validation in verl, unbiased, with intervals over problems.

verl's ``best@N`` draws N of a problem's samples *with* replacement, so that one right answer of four is missed by
(3/4)⁴ of the draws: best@4 is 0.684 where four samples hold a right one for sure. pass@k draws without
(`boundary.passk`), and is 1. Its interval is that of the mean over problems (`boundary.bootstrap`), 95 %.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reachlab.boundary.bootstrap import bootstrap_interval, resampling_weights
from reachlab.boundary.passk import pass_at_k

RESAMPLES = 2000


def pass_at_k_metrics(
    sources: Sequence[str], uids: Sequence[str], infos: Mapping[str, Sequence[Any]]
) -> dict[str, float]:
    """``val-core/SOURCE/VARIABLE/pass@K/mean``, ``/low`` and ``/high`` for K = 1, 2, 4, ... and the most there are.

    The variable is `acc` where the reward function returns it, else `reward`, as in verl. None and NaN are unscored and
    not counted. A source whose values are not all 0 or 1, words among them, has no pass@k, and gets none.

    Args:
        sources: the data source of each sample. uids: the problem of each sample.
        infos: variables of the reward function, a value a sample.
    """
    found: dict[str, float] = {}
    for source in dict.fromkeys(sources):
        here = [at for at, other in enumerate(sources) if other == source]
        name = "acc" if any(infos.get("acc", [None])[at] is not None for at in here if "acc" in infos) else "reward"
        of_problem: dict[str, list[float]] = defaultdict(list)
        for at in here:
            value = infos[name][at]
            if value is None:
                continue
            if not isinstance(value, bool | int | float | np.number | np.bool_):
                of_problem.clear()
                break
            if not np.isnan(value):
                of_problem[uids[at]].append(float(value))
        values = [value for one in of_problem.values() for value in one]
        if not values or not set(values) <= {0.0, 1.0}:
            continue
        n_P = [len(one) for one in of_problem.values()]
        c_P = [int(sum(one)) for one in of_problem.values()]
        ks = [2**i for i in range(min(n_P).bit_length()) if 2**i < min(n_P)] + [min(n_P)]
        values_PK = pass_at_k(n_P, c_P, ks)
        low_K, high_K = bootstrap_interval(values_PK, resampling_weights(len(n_P), RESAMPLES), ends=(0.0, 1.0))
        for k, mean, low, high in zip(ks, values_PK.mean(axis=0), low_K, high_K, strict=True):
            for part, number in (("mean", mean), ("low", low), ("high", high)):
                found[f"val-core/{source}/{name}/pass@{k}/{part}"] = float(number)
    return found
