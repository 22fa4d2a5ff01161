"""Cover@τ: the share of problems that are solved at least as often as τ (`boundary/cover.py`).

As measured, the share of problems with c ≥ τ n, and with the sampling noise taken off by a fitted distribution. Source:
Dragoi et al. 2025, *Beyond Pass@k: Breadth-Depth Metrics for Reasoning Boundaries* (arXiv 2510.08325).
"""

from typing import Any

from reachlab.boundary.averaged_fit import WeightedFit
from reachlab.boundary.cover import cover, cover_difference
from reachlab.boundary.outcomes import Outcomes
from reachlab.measures.beyond_samples import drawn_on
from reachlab.measures.measure import Against, Computed, FigureLook, Measure, Missing, PagePart
from reachlab.measures.measured_run import MeasuredRun


def _fixed(run: MeasuredRun) -> Outcomes | None:
    """The outcomes on the shared problems, where the number of samples did not depend on them."""
    outcomes = None if run.shared is None else run.shared.outcomes
    return None if outcomes is None or outcomes.stopping is not None else outcomes


def _fits(run: MeasuredRun) -> tuple[WeightedFit, ...]:
    found = run.once(drawn_on)
    return () if found is None else found.fits


def _settings(run: MeasuredRun) -> dict[str, Any]:
    return {name: getattr(run.intervals, name) for name in ("resamples", "level", "seed")}


def reliability(run: MeasuredRun) -> Computed:
    """Cover@τ of a model."""
    outcomes = _fixed(run)
    return Missing() if outcomes is None else cover(outcomes, fits=_fits(run), **_settings(run))


def less_the_base(base: MeasuredRun, other: MeasuredRun) -> Computed:
    """Cover@τ less the base's, paired on the problems of both."""
    one, two = _fixed(base), _fixed(other)
    if one is None or two is None:
        return Missing()
    return cover_difference(one, two, fits=(_fits(base), _fits(other)), **_settings(other))


RELIABILITY = Measure(
    name="cover",
    title="Cover@τ",
    caption="Share of problems that are right in at least a share τ of the samples, with intervals. At small τ it "
    "counts what can be guessed, at large τ what is mastered.",
    source="arXiv 2510.08325",
    compute=reliability,
    compared=True,
    part=PagePart(
        id="cover",
        heading="How reliably",
        lead="Breadth at every depth: a model that is surer of fewer problems is above at the right and below at the "
        "left.",
    ),
    look=FigureLook(
        label="Share of problems that each model solves at least as often as τ, over τ", column="cover", wide=True
    ),
    against=Against(
        compute=less_the_base,
        caption="In percentage points, paired on the same problems, with intervals.",
        look=FigureLook(
            label="Difference in Cover@τ between each model and the base, over τ",
            axis="difference, points",
            column="difference",
            wide=True,
        ),
    ),
)
