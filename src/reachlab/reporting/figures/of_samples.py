"""The figures that every page has, and what goes into each: pass@k, the difference to the base, problem by problem."""

from collections.abc import Iterator, Sequence

import numpy as np

from reachlab.boundary.comparison import Findings
from reachlab.boundary.curve import Curve
from reachlab.reporting import sentences
from reachlab.reporting.data import Data
from reachlab.reporting.entries import Entry
from reachlab.reporting.figures import neighbours, plots, problem_plots
from reachlab.reporting.figures.plots import Line, Mark
from reachlab.reporting.figures.section import Figure
from reachlab.reporting.sketch import sketch


def of_samples(comparison: Findings, entries: Sequence[Entry]) -> dict[str, Figure]:
    """The figures about samples, by name: pass@k, difference, strip, and a histogram a model."""
    found = [passk(comparison, entries), strip(comparison, entries), *histograms(entries)]
    if comparison.pairs:
        found.append(difference(comparison, entries))
    return {figure.id: figure for figure in found}


def passk(comparison: Findings, entries: Sequence[Entry]) -> Figure:
    """pass@k of every model, with its crossings."""
    ks, n, marks = comparison.ks, int(comparison.ks[-1]), _marks(comparison, entries)
    at = plots.thin(ks, [mark.k for mark in marks])
    lines = [_line(e, e.model.curve, at) for e in entries]
    rows = [(line.name, *point, comparison.level) for line in lines for point in line.points()]
    return Figure(
        id="passk",
        title="pass@k",
        label="pass@k of every model over k, with intervals; the summary table has its numbers",
        caption=sentences.passk_caption(comparison),
        plot=plots.passk(lines, marks, n),
        data=Data(("model", "k", "pass_at_k", "low", "high", "level"), rows),
        sketch=sketch(lines, marks, n),
    )


def difference(comparison: Findings, entries: Sequence[Entry]) -> Figure:
    """pass@k of every model minus the base's."""
    ks = comparison.ks
    at = plots.thin(ks, [mark.k for mark in _marks(comparison, entries)])
    lines, rows = [], []
    for e in entries:
        if e.pair:
            lines.append(_line(e, e.pair.difference, at))
            rows += [
                (e.name, comparison.base, *point, p, comparison.level)
                for point, p in zip(lines[-1].times(100).points(), e.pair.difference.p[at], strict=True)
            ]
    names = ("model", "base", "k", "difference_points", "low", "high", "band_low", "band_high", "p_adjusted", "level")
    return Figure(
        id="difference",
        title="Difference in pass@k",
        label="Difference in pass@k between each model and the base over k, with intervals",
        caption=sentences.difference_caption(comparison),
        plot=plots.difference(lines, int(ks[-1])),
        data=Data(names, rows),
    )


def strip(comparison: Findings, entries: Sequence[Entry]) -> Figure:
    """Every problem's accuracy under every model, the base's easiest first."""
    accuracies_P = [e.accuracy for e in entries]
    order_P = np.lexsort([-np.mean(accuracies_P, axis=0), -accuracies_P[0]])
    rows = [
        (place, e.outcomes.problem_ids[p], e.name, e.outcomes.c_P[p], e.outcomes.n_P[p], e.outcomes.unscored_P[p],
         accuracy_P[p], kind_P[p], e.pair.coverage.p[p] if e.pair and e.pair.coverage.p is not None else None)
        for e, accuracy_P in zip(entries, accuracies_P, strict=True)
        for kind_P in [_kinds(comparison, e)]
        for place, p in enumerate(order_P.tolist(), 1)
    ]  # fmt: skip
    columns, width = neighbours.merged([accuracy_P[order_P] for accuracy_P in accuracies_P])
    names = ("place", "problem_id", "model", "right", "scored", "unscored", "accuracy", "against_base", "p_adjusted")
    return Figure(
        id="strip",
        title="Problem by problem",
        label="Accuracy of every model on every problem, as shaded strips",
        caption=f"{sentences.STRIP}{neighbours.said(width)}",
        plot=problem_plots.strip(
            [e.name for e in entries],
            columns,
            [entries[0].outcomes.problem_ids[p] for p in order_P[::width].tolist()],
            width,
        ),
        data=Data(names, rows),
        size="strip",
        rows=len(entries),
    )


def histograms(entries: Sequence[Entry]) -> Iterator[Figure]:
    """How many problems each model answers right how often."""
    tallest = max(max(e.model.histogram.counts) for e in entries)
    for i, e in enumerate(entries):
        labels, counts = e.model.histogram.labels, e.model.histogram.counts
        rows = [(e.name, *bar) for bar in zip(labels, counts, strict=True)]
        yield Figure(
            id=f"histogram-{i}",
            title=e.name,
            label=f"Histogram of accuracy per problem of {e.name}",
            caption="",
            plot=problem_plots.histogram(e.name, e.style, counts, tallest),
            data=Data(("model", "accuracy", "problems"), rows),
            size="low",
        )


def _marks(comparison: Findings, entries: Sequence[Entry]) -> list[Mark]:
    return [
        Mark(name=e.name, style=e.style, k=e.pair.crossing.k, sure=sentences.crosses(e.pair))
        for e in entries
        if e.pair and e.pair.crossing.k and e.pair.crossing.k > comparison.ks[0]
    ]


def _line(entry: Entry, curve: Curve, at: np.ndarray) -> Line:
    return Line(entry.name, entry.style, curve.take(at))


def _kinds(comparison: Findings, entry: Entry) -> list[str | None]:
    """Which of the four sets each problem is in."""
    if entry.pair is None:
        return [None] * len(comparison.problem_ids)
    sets = entry.pair.coverage
    kinds = {i: name for name in ("both", "gained", "lost", "neither") for i in getattr(sets, name)}
    return [kinds[i] for i in comparison.problem_ids]
