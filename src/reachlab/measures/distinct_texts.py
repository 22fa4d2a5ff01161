"""How many different texts, and different right ones, k samples of a problem hold, the mean over problems.

Σ over texts of 1 − C(n − count, k) / C(n, k), the rarefaction of ecology (Hurlbert 1971, *The Nonconcept of Species
Diversity*); `boundary/duplicates.py`. Unscored samples count among the texts.
"""

from reachlab.boundary.bootstrap import Floats
from reachlab.measures.copies import Duplicates, copies_of
from reachlab.measures.measure import Computed, Measure, Missing
from reachlab.measures.measured_run import MeasuredRun


def _distinct(run: MeasuredRun, duplicates: Duplicates, table_PM: Floats) -> Computed:
    """Of the problems that have samples."""
    if not duplicates.ms:
        return Missing()
    return run.curve(table_PM[duplicates.distinct_P > 0], duplicates.ms, None)


def distinct(run: MeasuredRun) -> Computed:
    """Different texts among k samples."""
    duplicates = run.once(copies_of)
    return _distinct(run, duplicates, duplicates.distinct_PM)


def distinct_right(run: MeasuredRun) -> Computed:
    """Different right texts among k samples."""
    duplicates = run.once(copies_of)
    return _distinct(run, duplicates, duplicates.distinct_correct_PM)


DISTINCT = Measure(
    name="distinct",
    title="Distinct texts",
    row="distinct texts",
    caption="How many different texts k samples of a problem hold, in the mean.",
    source="Hurlbert 1971",
    compute=distinct,
    unit="count",
    part=None,
)
DISTINCT_RIGHT = Measure(
    name="distinct_correct",
    title="Distinct right texts",
    row="distinct right texts",
    caption="How many different right texts k samples of a problem hold, in the mean.",
    source="Hurlbert 1971",
    compute=distinct_right,
    unit="count",
)
