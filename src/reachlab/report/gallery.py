"""Which figures a page has, and what goes into each; `figures.py` says how they look.

A part of the page that only some runs have data for is a `Section`: a function here returns it, or nothing, and the
template draws whatever sections there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from reachlab.boundary.comparison import Comparison
from reachlab.report import figures, words
from reachlab.report.data import Data
from reachlab.report.entries import Entry
from reachlab.report.figures import Line, Mark
from reachlab.report.lineage import Training, thin_steps
from reachlab.report.settings import Settings
from reachlab.report.sketch import Sketch, sketch

MEASURED = {
    "reward": "Mean reward of the rollouts of each step.",
    "accuracy": "Share of each step's rollouts that are right.",
    "eval_pass1": "Share of right answers to held-out problems.",
    "kl_start": "KL divergence to the model that training began with, in nats a token.",
    "loss": "Loss of each step; between kinds of training it does not compare.",
    "entropy": "Entropy of the next token, in nats; near zero the model repeats itself.",
    "groups_without_signal": "Share of problems whose rollouts all got one reward, which teach nothing.",
    "answer_tokens": "Mean length of the rollouts, in tokens.",
}
"""Training quantities worth a figure, in this order, and how to read each."""

PAPER = {"": (640, 400), "mid": (480, 320), "low": (360, 280)}
"""Width and height, in pixels, that a figure of each size is saved at."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure with its place on the page and the numbers it plots.

    `label` says what is drawn to who cannot see it, `caption` how to read it. A figure has one of the `size`s of the
    page; "strip" grows with its `rows`.
    """

    id: str
    title: str
    label: str
    caption: str
    figure: Any
    data: Data
    size: Literal["", "mid", "low", "strip"] = ""
    rows: int = 1
    sketch: Sketch | None = None

    @property
    def paper(self) -> tuple[int, int]:
        """Width and height that it is saved at."""
        return PAPER[self.size] if self.size in PAPER else (640, 40 * self.rows + 40)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: a heading, a line that says what it holds, its figures side by side, and its tables.

    `models` are those in the key, which hides and shows them in every figure. `show` is the filter of the problem
    browser that lists what the section speaks of; empty where none does.
    """

    id: str
    heading: str
    lead: str
    models: Sequence[Entry]
    pictures: Sequence[Picture]
    tables: Sequence[Settings] = ()
    show: str = ""


def sections(entries: Sequence[Entry]) -> list[Section]:
    """The parts of the page that these runs have data for, in order."""
    return [section for section in (of_training(entries),) if section]


# -- every page -----------------------------------------------------------------------------------------------------


def of_samples(comparison: Comparison, entries: Sequence[Entry]) -> dict[str, Picture]:
    """The figures about samples, by name: pass@k, difference, strip, and a histogram a model."""
    found = [passk(comparison, entries), strip(comparison, entries), *histograms(entries)]
    if comparison.pairs:
        found.append(difference(comparison, entries))
    return {picture.id: picture for picture in found}


def passk(comparison: Comparison, entries: Sequence[Entry]) -> Picture:
    """pass@k of every model, with its crossings."""
    ks, n, marks = comparison.ks, int(comparison.ks[-1]), _marks(comparison, entries)
    at = figures.thin(ks, [mark.k for mark in marks])
    lines = [_line(e, ks[at], e.model.curve, at) for e in entries]
    rows = [
        (line.name, *point, comparison.level)
        for line in lines
        for point in zip(line.x, line.y, *line.intervals(), strict=True)
    ]
    return Picture(
        id="passk",
        title="pass@k",
        label="pass@k of every model over k, with intervals; the summary table has its numbers",
        caption=words.passk_caption(comparison),
        figure=figures.passk(lines, marks, n),
        data=Data(("model", "k", "pass_at_k", "low", "high", "level"), rows),
        sketch=sketch(lines, marks, n),
    )


def difference(comparison: Comparison, entries: Sequence[Entry]) -> Picture:
    """pass@k of every model minus the base's."""
    ks = comparison.ks
    at = figures.thin(ks, [mark.k for mark in _marks(comparison, entries)])
    lines, rows = [], []
    for e in entries:
        if e.pair:
            found = e.pair.difference
            line = _line(e, ks[at], found, at)
            lines.append(replace(line, band_low=found.band_low[at], band_high=found.band_high[at]))
            points = lines[-1].times(100)
            rows += [
                (e.name, comparison.base, *point, comparison.level)
                for point in zip(points.x, points.y, *points.intervals(), found.p[at], strict=True)
            ]
    names = ("model", "base", "k", "difference_points", "low", "high", "band_low", "band_high", "p_adjusted", "level")
    return Picture(
        id="difference",
        title="Difference in pass@k",
        label="Difference in pass@k between each model and the base over k, with intervals",
        caption=words.difference_caption(comparison),
        figure=figures.difference(lines, int(ks[-1])),
        data=Data(names, rows),
    )


def strip(comparison: Comparison, entries: Sequence[Entry]) -> Picture:
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
    names = ("place", "problem_id", "model", "right", "scored", "unscored", "accuracy", "against_base", "p_adjusted")
    return Picture(
        id="strip",
        title="Problem by problem",
        label="Accuracy of every model on every problem, as shaded strips",
        caption=words.STRIP,
        figure=figures.strip([e.name for e in entries], [a[order_P] for a in accuracies_P]),
        data=Data(names, rows),
        size="strip",
        rows=len(entries),
    )


def histograms(entries: Sequence[Entry]) -> Iterator[Picture]:
    """How many problems each model answers right how often."""
    tallest = max(max(e.model.histogram.counts) for e in entries)
    for i, e in enumerate(entries):
        labels, counts = e.model.histogram.labels, e.model.histogram.counts
        rows = [(e.name, *bar) for bar in zip(labels, counts, strict=True)]
        yield Picture(
            id=f"histogram-{i}",
            title=e.name,
            label=f"Histogram of accuracy per problem of {e.name}",
            caption="",
            figure=figures.histogram(e.style, labels, counts, tallest),
            data=Data(("model", "accuracy", "problems"), rows),
            size="low",
        )


def _marks(comparison: Comparison, entries: Sequence[Entry]) -> list[Mark]:
    return [
        Mark(name=e.name, style=e.style, k=e.pair.crossing.k)
        for e in entries
        if e.pair and e.pair.crossing.k and e.pair.crossing.k > comparison.ks[0]
    ]


def _line(entry: Entry, x: np.ndarray, curve: Any, at: np.ndarray) -> Line:
    return Line(name=entry.name, style=entry.style, x=x, y=curve.values[at], low=curve.low[at], high=curve.high[at])


def _kinds(comparison: Comparison, entry: Entry) -> list[str | None]:
    """Which of the four sets each problem is in; the sure ones say so."""
    if entry.pair is None:
        return [None] * len(comparison.problem_ids)
    sets = entry.pair.coverage
    named = {name: getattr(sets, name) or () for name in ("both", "gained", "lost", "neither")}
    sure = {"surely gained": sets.surely_gained or (), "surely lost": sets.surely_lost or ()}
    kinds = {i: name for name, ids in {**named, **sure}.items() for i in ids}
    return [kinds[i] for i in comparison.problem_ids]


# -- where there is training ----------------------------------------------------------------------------------------


def trained(entries: Sequence[Entry]) -> list[tuple[Entry, Training]]:
    """The models whose own training left metrics."""
    return [(e, e.trainings[0]) for e in entries if e.trainings and e.trainings[0].rows]


def of_training(entries: Sequence[Entry]) -> Section | None:
    """For every kind of training what was measured over its steps; then the time per phase of all."""
    found: list[Picture] = []
    for kind in dict.fromkeys(t.kind for _, t in trained(entries)):
        same = [(e, t) for e, t in trained(entries) if t.kind == kind]
        for key, caption in MEASURED.items():
            curves = [(e, *thin_steps(*t.series(key))) for e, t in same]
            lines = [Line(name=e.name, style=e.style, x=x, y=y) for e, x, y in curves if len(x)]
            if lines:
                title = f"{kind}: {key.replace('_', ' ')}"
                rows = [(line.name, *point) for line in lines for point in zip(line.x, line.y, strict=True)]
                found.append(
                    Picture(
                        id=f"training-{len(found)}", title=title, label=title, caption=caption,
                        figure=figures.training(lines), data=Data(("model", "step", key), rows), size="mid",
                    )
                )  # fmt: skip
    spent = {e.name: t.seconds() for e, t in trained(entries) if t.seconds()}
    if spent:
        found.append(_phases(spent))
    if not found:
        return None
    return Section(
        id="training",
        heading="Training",
        lead="What was measured while the models were trained. Runs of one kind share a figure.",
        models=[e for e, _ in trained(entries)],
        pictures=found,
    )


def _phases(spent: Mapping[str, Mapping[str, float]]) -> Picture:
    phases = dict.fromkeys(phase for seconds in spent.values() for phase in seconds)
    table = {phase: [seconds.get(phase, 0.0) for seconds in spent.values()] for phase in phases}
    rows = [(name, phase, seconds.get(phase, 0.0)) for name, seconds in spent.items() for phase in phases]
    return Picture(
        id="phases",
        title="time per phase",
        label="time per phase",
        caption="Seconds in each phase, summed over the steps of the model's last training run.",
        figure=figures.phases(list(spent), table),
        data=Data(("model", "phase", "seconds"), rows),
        size="mid",
    )
