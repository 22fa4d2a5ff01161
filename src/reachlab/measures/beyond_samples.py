"""pass@k at up to 16 times the samples drawn, with the back-test that says how far to believe it.

For k > n an unsolved problem counts 1 − E[(1 − p)^(k−n) | c = 0 of n] under fitted zero-inflated beta-binomials
(`boundary/extrapolation.py`). Source: Kazdan et al. 2025, *Efficient Prediction of Pass@k Scaling in Large Language
Models* (arXiv 2510.05197); the average of fits and the back-test are ours.
"""

import numpy as np

from reachlab.boundary.extrapolation import Extrapolation, extrapolate
from reachlab.measures.measure import Computed, FigureLook, Measure, Missing, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table

BEYOND = 16
"""How many times the samples drawn an extrapolation goes."""
FEWEST = 8
"""With fewer samples of a problem there is nothing to extrapolate from."""


def drawn_on(run: MeasuredRun) -> Extrapolation | None:
    """The extrapolation on the shared problems. Samples of several runs are not of one chance a problem, which is what
    is extrapolated."""
    if run.shared is None or run.shared.runs > 1 or (n := run.shared.outcomes.largest_k) < FEWEST:
        return None
    octaves = np.arange((BEYOND * n).bit_length())
    ks = np.union1d(2**octaves, [n, BEYOND * n])
    return extrapolate(run.shared.outcomes, ks, level=run.intervals.level, seed=run.intervals.seed)


def beyond_samples(run: MeasuredRun) -> Computed:
    """The curve, the sentence on its trust, and the back-test as a table."""
    found = run.once(drawn_on)
    if found is None:
        return Missing()
    tests = tuple(
        (run.name, (f"{test.samples:,}", f"{k:,}", f"{p:.1%}", f"{o:.1%}", f"{100 * error:.1f} points"))
        for test in found.back_tests
        for k, p, o, error in zip(test.ks, test.predicted, test.observed, test.error, strict=True)
    )
    tables = [Table("How far to believe it", (), ((run.name, (found.words,)),))]
    if tests:
        head = ("from samples", "to k", "predicted", "observed", "error")
        tables.append(Table("Back-test: a part of the samples, extrapolated to all of them", head, tests))
    return Result(curve=found, tables=tuple(tables))


BEYOND_SAMPLES = Measure(
    name="extrapolation",
    title="pass@k, drawn on",
    caption="Shaded: beyond the samples drawn, where a fitted distribution of success probabilities goes on.",
    source="arXiv 2510.05197",
    compute=beyond_samples,
    compared=True,
    part=PagePart(
        id="extrapolation",
        heading="Beyond the samples",
        lead="What more samples would show: zero-inflated beta-binomials fitted to the counts, and how far off they "
        "were.",
    ),
    look=FigureLook(
        label="pass@k of every model up to 16 times the samples drawn, with intervals", axis="pass@k", wide=True
    ),
)
