"""The figures of what was measured while the models were trained, where runs of samples lead to training runs."""

from collections.abc import Mapping, Sequence

from reachlab.boundary.curve import Curve
from reachlab.report.data import Data
from reachlab.report.entries import Entry
from reachlab.report.figures import plots
from reachlab.report.figures.plots import Line
from reachlab.report.figures.section import Figure, Section
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


def sections(entries: Sequence[Entry]) -> list[Section]:
    """The section of training, where a model's own left metrics."""
    section = of_training(entries)
    return [] if section is None else [section]


def trained(entries: Sequence[Entry]) -> list[tuple[Entry, Training]]:
    """The models whose own training left metrics."""
    return [(e, e.trainings[0]) for e in entries if e.trainings and e.trainings[0].rows]


def of_training(entries: Sequence[Entry]) -> Section | None:
    """For every kind of training what was measured over its steps; then the time per phase of all."""
    found: list[Figure] = []
    for kind in dict.fromkeys(t.kind for _, t in trained(entries)):
        same = [(e, t) for e, t in trained(entries) if t.kind == kind]
        for key, caption in MEASURED.items():
            curves = [(e, *thin_steps(*t.series(key))) for e, t in same]
            lines = [Line(e.name, e.style, Curve.exact(x, y)) for e, x, y in curves if len(x)]
            if lines:
                title = f"{kind}: {key.replace('_', ' ')}"
                rows = [(line.name, *point) for line in lines for point in line.points()]
                found.append(
                    Figure(
                        id=f"training-{len(found)}", title=title, label=title, caption=caption,
                        plot=plots.training(lines), data=Data(("model", "step", key), rows), size="mid",
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
        figures=found,
    )


def _phases(spent: Mapping[str, Mapping[str, float]]) -> Figure:
    phases = dict.fromkeys(phase for seconds in spent.values() for phase in seconds)
    table = {phase: [seconds.get(phase, 0.0) for seconds in spent.values()] for phase in phases}
    rows = [(name, phase, seconds.get(phase, 0.0)) for name, seconds in spent.items() for phase in phases]
    return Figure(
        id="phases",
        title="time per phase",
        label="time per phase",
        caption="Seconds in each phase, summed over the steps of the model's last training run.",
        plot=plots.phases(list(spent), table),
        data=Data(("model", "phase", "seconds"), rows),
        size="mid",
    )
