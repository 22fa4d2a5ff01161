"""Which figures a page has, and what goes into each; `figures.py` says how they look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachlab.boundary.compare import Comparison
from reachlab.report import figures
from reachlab.report.entries import Entry
from reachlab.report.figures import Line, Mark
from reachlab.report.lineage import Training, thin_steps

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


@dataclass(frozen=True)
class Picture:
    """A figure with its place on the page: name, title, and a line that says how to read it."""

    id: str
    title: str
    caption: str
    figure: Any


def of_samples(comparison: Comparison, entries: Sequence[Entry]) -> Iterator[tuple[str, Any]]:
    """The figures about samples, by name: pass@k, difference, strip, and a histogram a model."""
    ks, n = comparison.ks, int(comparison.ks[-1])
    marks = [
        Mark(name=e.name, style=e.style, k=e.pair.crossing.k)
        for e in entries
        if e.pair and e.pair.crossing.k and e.pair.crossing.k > ks[0]
    ]
    at = figures.thin(ks, [mark.k for mark in marks])
    yield "passk", figures.passk([_line(e, ks[at], e.model.curve, at) for e in entries], marks, n)
    if comparison.pairs:
        lines = [_line(e, ks[at], e.pair.difference, at) for e in entries if e.pair]
        yield "difference", figures.difference(lines, n)
    accuracies_P = [e.accuracy for e in entries]
    order_P = np.lexsort([-np.mean(accuracies_P, axis=0), -accuracies_P[0]])
    yield "strip", figures.strip([e.name for e in entries], [a[order_P] for a in accuracies_P])
    tallest = max(max(e.model.histogram.counts) for e in entries)
    for i, e in enumerate(entries):
        yield (
            f"histogram-{i}",
            figures.histogram(e.style, e.model.histogram.labels, e.model.histogram.counts, tallest),
        )


def _line(entry: Entry, x: np.ndarray, curve: Any, at: np.ndarray) -> Line:
    return Line(name=entry.name, style=entry.style, x=x, y=curve.values[at], low=curve.low[at], high=curve.high[at])


def trained(entries: Sequence[Entry]) -> list[tuple[Entry, Training]]:
    """The models whose own training left metrics."""
    return [(e, e.trainings[0]) for e in entries if e.trainings and e.trainings[0].rows]


def of_training(entries: Sequence[Entry]) -> list[Picture]:
    """For every kind of training what was measured over its steps; then the time per phase of all."""
    found: list[Picture] = []
    for kind in dict.fromkeys(t.kind for _, t in trained(entries)):
        same = [(e, t) for e, t in trained(entries) if t.kind == kind]
        for key, caption in MEASURED.items():
            curves = [(e, *thin_steps(*t.series(key))) for e, t in same]
            lines = [Line(name=e.name, style=e.style, x=x, y=y) for e, x, y in curves if len(x)]
            if lines:
                title = f"{kind}: {key.replace('_', ' ')}"
                found.append(Picture(f"training-{len(found)}", title, caption, figures.training(lines)))
    spent = {e.name: t.seconds() for e, t in trained(entries) if t.seconds()}
    if spent:
        phases = dict.fromkeys(phase for seconds in spent.values() for phase in seconds)
        table = {phase: [seconds.get(phase, 0.0) for seconds in spent.values()] for phase in phases}
        caption = "Seconds in each phase, summed over the steps of the model's last training run."
        found.append(Picture("phases", "time per phase", caption, figures.phases(list(spent), table)))
    return found
