"""The figures of what was measured while the models were trained, where runs of samples lead to training runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reachlab.boundary.curve import Curve
from reachlab.reporting.data import Data
from reachlab.reporting.entries import Entry
from reachlab.reporting.figures import training_plots
from reachlab.reporting.figures.plots import Line
from reachlab.reporting.figures.section import Figure, Section
from reachlab.reporting.lineage import Ancestor, thin_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something measured in training: what it is called, what its axis is called, and how to read it."""

    title: str
    axis: str
    caption: str
    share: bool = False
    smooth: bool = True


MEASURED = {
    "reward": Quantity(title="reward", axis="mean reward", caption="Mean reward of the rollouts of each step."),
    "accuracy": Quantity(
        title="accuracy", axis="right rollouts", caption="Share of each step's rollouts that are right.", share=True
    ),
    "eval_pass1": Quantity(
        title="held-out pass@1", axis="pass@1", caption="Share of right answers to held-out problems.",
        share=True, smooth=False,
    ),
    "kl_start": Quantity(
        title="KL to the start", axis="nats a token", caption="KL divergence to the model that training began with."
    ),
    "kl": Quantity(
        title="KL during an update", axis="nats a token",
        caption="KL divergence from the policy that drew the rollouts to the one that is updated on them.",
    ),
    "kl_update": Quantity(
        title="KL of a step", axis="nats a token", caption="KL divergence from the policy before a step to that after."
    ),
    "clip_fraction": Quantity(
        title="clip fraction", axis="clipped tokens", caption="Share of tokens whose gradient clipping removed.",
        share=True,
    ),
    "grad_norm": Quantity(
        title="gradient norm", axis="norm, before clipping", caption="Length of each step's gradient before clipping."
    ),
    "loss": Quantity(
        title="loss", axis="loss", caption="Loss of each step; between kinds of training it does not compare."
    ),
    "val_loss": Quantity(
        title="held-out loss", axis="nats a token", caption="Loss on held-out text.", smooth=False
    ),
    "entropy": Quantity(
        title="entropy", axis="nats a token", caption="Entropy of the next token; near zero the model repeats itself."
    ),
    "groups_without_signal": Quantity(
        title="groups without signal", axis="problems",
        caption="Share of problems whose rollouts all got one reward, which teach nothing.", share=True,
    ),
    "answer_tokens": Quantity(
        title="answer length", axis="tokens", caption="Mean length of the rollouts, in tokens."
    ),
    "truncated": Quantity(
        title="truncated", axis="rollouts", caption="Share of rollouts cut off at the token limit.", share=True
    ),
}  # fmt: skip
"""Training quantities worth a figure, in this order."""

LARGER_K = re.compile(r"eval_pass(?!1$)(\d+)")
"""Held-out pass@k for a k that the user chose."""
ROUNDING = 1e-6
"""A loss that stays below is zero but for rounding: that of one update on advantages of mean 0."""
SEEN = 0.005
"""The share of a model's time below which a phase joins the others."""

Curves = list[tuple[Entry, np.ndarray, np.ndarray]]
"""Steps and values of each model that has them."""


def sections(entries: Sequence[Entry]) -> list[Section]:
    """The section of training, where a model's own left metrics."""
    section = of_training(entries)
    return [] if section is None else [section]


def trained(entries: Sequence[Entry]) -> list[tuple[Entry, Ancestor]]:
    """The models whose own training left metrics."""
    return [(e, e.trainings[0]) for e in entries if e.trainings and e.trainings[0].rows]


def of_training(entries: Sequence[Entry]) -> Section | None:
    """For every kind of training what was measured over its steps; then the time per phase of all."""
    found: list[Figure] = []
    said: list[str] = []
    for kind in dict.fromkeys(t.kind for _, t in trained(entries)):
        same = [(e, t) for e, t in trained(entries) if t.kind == kind]
        known = quantities(same)
        curves = {key: _series(same, key) for key in known}
        said += _left_out(kind, curves)
        for key, quantity in known.items():
            if not curves[key] or _flat(key, curves[key]) or (key == "accuracy" and _equal(curves)):
                continue
            found.append(_figure(f"training-{len(found)}", kind, key, quantity, curves[key], both=_equal(curves)))
    spent = {e.name: t.seconds() for e, t in trained(entries) if t.seconds()}
    if spent:
        found.append(_phases(spent))
    if not found:
        return None
    lead = "What was measured while the models were trained. Runs of one kind share a figure."
    return Section(
        id="training",
        heading="Training",
        lead=" ".join([lead, *said]),
        models=[e for e, _ in trained(entries)],
        figures=found,
        smoothed=any("moving mean" in figure.caption for figure in found),
    )


def quantities(same: Sequence[tuple[Entry, Ancestor]]) -> dict[str, Quantity]:
    """What may have been measured in these runs; held-out pass@k at the largest k that any of them has stands behind
    that at 1."""
    found = {match[0]: int(match[1]) for _, t in same for key in t.measured() if (match := LARGER_K.fullmatch(key))}
    key = max(found, key=lambda name: found[name], default="")
    if not key:
        return MEASURED
    title, caption = f"held-out pass@{found[key]}", f"Share of held-out problems that {found[key]} samples solve."
    quantity = Quantity(title=title, axis=f"pass@{found[key]}", caption=caption, share=True, smooth=False)
    at = [*MEASURED].index("eval_pass1") + 1
    return dict([*[*MEASURED.items()][:at], (key, quantity), *[*MEASURED.items()][at:]])


def _series(same: Sequence[tuple[Entry, Ancestor]], key: str) -> Curves:
    found = [(e, *t.series(key)) for e, t in same]
    return [(e, x, y) for e, x, y in found if len(x)]


def _flat(key: str, curves: Curves) -> bool:
    """Nothing to see: zero at every step, or a loss that is zero but for rounding."""
    return all(np.abs(y).max() < (ROUNDING if key == "loss" else 1e-12) for _, _, y in curves)


def _equal(curves: Mapping[str, Curves]) -> bool:
    """Whether the reward is the accuracy, in every run."""
    both = [{e.name: (x, y) for e, x, y in curves[key]} for key in ("reward", "accuracy")]
    return both[0].keys() == both[1].keys() and all(
        x.shape == both[1][name][0].shape and np.allclose([x, y], both[1][name], atol=1e-6)
        for name, (x, y) in both[0].items()
    )


def _left_out(kind: str, curves: Mapping[str, Curves]) -> Iterator[str]:
    """What has no figure because there is nothing in it to see."""
    flat = [key for key, found in curves.items() if found and _flat(key, found)]
    zero = [MEASURED[key].title for key in flat if key in MEASURED and key != "loss"]
    if zero:
        yield f"Of {kind}, zero at every step and not drawn: {', '.join(zero)}."
    if "loss" in flat:
        yield (
            f"The loss of {kind} is below a millionth at every step and not drawn: with one update on advantages of "
            "mean 0 it is zero but for rounding, though its gradient is not."
        )


def _figure(id: str, kind: str, key: str, quantity: Quantity, curves: Curves, *, both: bool) -> Figure:
    """One quantity of all runs of a kind."""
    lines, rows = [], []
    over = training_plots.window(max(len(x) for _, x, _ in curves)) if quantity.smooth else 1
    for e, x, y in curves:
        smooth = training_plots.moving_mean(y, over) if over > 1 else None
        at, thinned = thin_steps(x, y)
        mean = None if smooth is None else thin_steps(x, smooth)[1]
        lines.append((Line(e.name, e.style, Curve.exact(at, thinned)), mean))
        rows += [(e.name, *row) for row in zip(at, thinned, at * np.nan if mean is None else mean, strict=True)]
    caption = quantity.caption
    title = f"{kind}: {quantity.title}"
    if both and key == "reward":
        title, caption = f"{kind}: reward and accuracy", "Mean reward of each step's rollouts: the share that is right."
    if over > 1:
        caption += f" Bold: the moving mean over {over} steps; faint: each step."
    return Figure(
        id=id,
        title=title,
        label=title,
        caption=caption,
        plot=training_plots.training(lines, quantity.axis, share=quantity.share),
        data=Data(("model", "step", key, "moving_mean"), [[None if v != v else v for v in row] for row in rows]),
        size="mid",
    )


def _phases(spent: Mapping[str, Mapping[str, float]]) -> Figure:
    phases = dict.fromkeys(phase for seconds in spent.values() for phase in seconds)
    rows = [(name, phase, seconds.get(phase, 0.0)) for name, seconds in spent.items() for phase in phases]
    seen = [
        phase
        for phase in phases
        if phase != "other" and any(s.get(phase, 0.0) >= SEEN * sum(s.values()) for s in spent.values())
    ]
    small = [phase for phase in phases if phase not in seen]
    table = {phase: [seconds.get(phase, 0.0) for seconds in spent.values()] for phase in seen}
    if small:
        table["other"] = [sum(seconds.get(phase, 0.0) for phase in small) for seconds in spent.values()]
    joined = [phase for phase in small if phase != "other"]
    also = f" Other has those below {SEEN:.1%} everywhere: {', '.join(joined)}." if joined else ""
    return Figure(
        id="phases",
        title="time per phase",
        label="time per phase",
        caption=f"Seconds in each phase, summed over the steps of the model's last training run.{also}",
        plot=training_plots.phases(list(spent), table),
        data=Data(("model", "phase", "seconds"), rows),
        size="mid",
    )
