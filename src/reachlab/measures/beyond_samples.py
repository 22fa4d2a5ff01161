"""pass@k at up to 16 times the samples drawn, with the back-test that says how far to believe it.

For k > n an unsolved problem counts 1 − E[(1 − p)^(k−n) | c = 0 of n] under fitted zero-inflated beta-binomials
(`boundary/extrapolation.py`). Source: Kazdan et al. 2025, *Efficient Prediction of Pass@k Scaling in Large Language
Models* (arXiv 2510.05197); the average of fits and the back-test are ours.
"""

from collections.abc import Sequence

import numpy as np

from reachlab.boundary.extrapolation import THINNINGS, Extrapolation, extrapolate
from reachlab.measures.measure import Check, Computed, FigureLook, Measure, Missing, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table

BEYOND = 16
"""How many times the samples drawn an extrapolation goes."""
FEWEST = 8
"""With fewer samples of a problem there is nothing to extrapolate from."""
TRUST = (
    "A curve is trusted as many times beyond its samples as a back-test went beyond a part of them and was at most 5 "
    "points off."
)
OFF = (
    f"A part of every problem's samples is drawn {THINNINGS} times and extrapolated. Predicted is the mean of these "
    "predictions; the last column is the mean distance of one of them from what was observed, so it can be more than "
    "the difference of the two means: misses to either side cancel in a mean."
)
"""What the back-test's numbers mean."""


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
    tests = [
        (test.samples, int(k), float(p), float(o), float(error))
        for test in found.back_tests
        for k, p, o, error in zip(test.ks, test.predicted, test.observed, test.error, strict=True)
    ]
    rows = tuple(
        (run.name, (f"{n:,}", f"{k:,}", f"{p:.1%}", f"{o:.1%}", f"{100 * e:.1f} points")) for n, k, p, o, e in tests
    )
    tables = [Table("How far to believe it", ("what the back-test says",), ((run.name, (found.words,)),), note=TRUST)]
    if rows:
        head = ("from samples", "to k", "predicted, mean", "observed", "one prediction was off by")
        tables.append(Table("Back-test, in numbers", head, rows, note=OFF, folded=True))
    return Result(curve=found, tables=tuple(tables), check=_check(tests) if tests else None)


def _check(tests: Sequence[tuple[int, int, float, float, float]]) -> Check:
    """The back-test as a figure."""
    _, _, predicted, observed, error = zip(*tests, strict=True)
    return Check(
        title="Back-test: predicted and observed",
        caption="Each point is an extrapolation from a part of the samples, held against the pass@k that all of them "
        "show; on the line it was right, above it promised too much. Bars: how far one such prediction was off, on "
        "average.",
        words=tuple(f"from {n:,} samples to k = {k:,}" for n, k, *_ in tests),
        predicted=predicted,
        observed=observed,
        error=error,
    )


BEYOND_SAMPLES = Measure(
    name="extrapolation",
    title="pass@k, drawn on",
    caption="pass@k if more samples were drawn; shaded: beyond those that were, where a fitted distribution of success "
    "probabilities goes on.",
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
