"""What the samples of a checkpoint say: metrics for trackers, and a line that holds it against the base.

pass@k and its intervals, the paired difference and its band are `reachlab compare`'s (`boundary/`).
"""

import shlex
from dataclasses import dataclass

import numpy as np

from reachlab.boundary.compare import compare
from reachlab.boundary.curve import Curve
from reachlab.store.samples import SampleStore


@dataclass(frozen=True, kw_only=True)
class CheckpointFindings:
    """What one checkpoint's samples say.

    `metrics` are shares, tokens and points of 0 to 1, under names that trackers take; `words` a line for a person.
    """

    metrics: dict[str, float]
    words: str


def look(here: SampleStore, base: SampleStore | None) -> CheckpointFindings:
    """Read a checkpoint's samples, beside those of the base; without one, it is the base itself.

    Raises:
        ReachlabError: a run that cannot be read, or in which no problem was scored.
    """
    found = compare([store.outcomes() for store in (base, here) if store is not None])
    curve, last = found.models[-1].curve, len(found.ks) - 1
    metrics: dict[str, float] = {}
    for at in dict.fromkeys((0, last)):
        metrics |= _at(curve, at, f"pass{found.ks[at]}")
    table = here.read_encoded(["verdict", "finish", "tokens"])
    of_verdicts, ends = (np.array(table[name].to_pylist()) for name in ("verdict", "finish"))
    metrics |= {
        "unscored": float((of_verdicts == "unscored").mean()),
        "truncated": float((ends == "length").mean()),
        "answer_tokens": float(table["tokens"].to_numpy().mean()),
    }
    name = here.folder.name
    if base is None:
        said = (f"pass@{found.ks[at]} {_percent(curve.values[at])}" for at in dict.fromkeys((0, last)))
        return CheckpointFindings(metrics=metrics, words=f"{name}: {', '.join(said)}")
    difference, before = found.pairs[0].difference, found.models[0].curve
    words = []
    for at in dict.fromkeys((0, last)):
        k = found.ks[at]
        metrics |= _at(difference, at, f"gain{k}")
        values = f"{_percent(before.values[at])} -> {_percent(curve.values[at])}"
        words.append(f"pass@{k} {values}, {difference.words(at)}")
    report = shlex.join(["reachlab", "report", base.folder.url, here.folder.url])
    return CheckpointFindings(metrics=metrics, words=f"{name} against {base.folder.name}: {'; '.join(words)}; {report}")


def _at(curve: Curve, at: int, name: str) -> dict[str, float]:
    """A value and the ends of its interval."""
    ends = {"": curve.values, "_low": curve.low, "_high": curve.high}
    return {f"{name}{end}": float(values[at]) for end, values in ends.items()}


def _percent(value: float) -> str:
    return f"{100 * float(value):.1f}%"
