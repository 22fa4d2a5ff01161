"""From a run of samples to the training runs behind its model, and what was measured in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reachlab.errors import ReachlabError
from reachlab.runs import SITTING, RunFolder, kept_at, sittings, training_step


@dataclass(frozen=True)
class Ancestor:
    """One training run that a model came out of."""

    folder: RunFolder
    document: dict[str, Any]
    until: int | None = None
    """The step of the checkpoint that the model is, where it was kept on the way; what came later is not its own."""
    inside: str = ""
    """The model's folder in the run's, where it was named; empty where the run was."""

    @property
    def model(self) -> str:
        """The model, as a command takes it, where the run was found."""
        return f"{self.folder.url}/{self.inside}" if self.inside else self.folder.url

    @property
    def kind(self) -> str:
        """What sort of training: pretrain, distill, rl."""
        return str(self.document.get("kind", "training"))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; those of a resumed run may come twice, and the later one counts."""
        by_step: dict[Any, dict[str, Any]] = {}
        for row in self.folder.metrics(foreign=True):
            if isinstance(row, dict):
                by_step.setdefault(row.get("step"), {}).update(row)
        last = float("inf") if self.until is None else self.until
        return [row for step, row in by_step.items() if not _number(step) or step <= last]

    def series(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of one quantity, wherever it was measured and finite, in the order of steps."""
        found = [(row["step"], row[key]) for row in self.rows if _number(row.get("step")) and _number(row.get(key))]
        pairs = np.array(sorted(found), float).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def measured(self) -> list[str]:
        """Every quantity with a number in some line, in order of first appearance."""
        found = (key for row in self.rows for key, value in row.items() if _number(value) and key != SITTING)
        return list(dict.fromkeys(found))

    @property
    def sittings(self) -> int:
        """In how many sittings it was trained; what `seconds` sums is over all of them."""
        return sittings(self.rows)

    def seconds(self) -> dict[str, float]:
        """Time per phase: the sums of ``seconds_PHASE``, and what is left of the whole step's ``seconds``."""
        spent = {key: float(self.series(key)[1].sum()) for key in self.measured() if key.startswith("seconds")}
        whole = spent.pop("seconds", 0.0)
        phases = {key.removeprefix("seconds_"): value for key, value in spent.items()}
        rest = whole - sum(phases.values())
        return {**phases, "other" if phases else "step": rest} if rest > 0.01 * whole else phases


def ancestors(document: dict[str, Any], beside: RunFolder) -> list[Ancestor]:
    """The training runs that led to the model of `document`, the latest first.

    `facts.model_path` names the checkpoint a run used: a training run's folder, or the checkpoint inside it. Of samples
    that were drawn from a model while it was trained (`facts.live`) it is the run around them.
    A run that started from nothing, or from a checkpoint that no training run here wrote, ends the line.
    """
    found: list[Ancestor] = []
    while (training := _training(document, beside)) and training.folder.path not in {t.folder.path for t in found}:
        found.append(training)
        document, beside = training.document, training.folder
    return found


def _training(document: dict[str, Any], beside: RunFolder) -> Ancestor | None:
    facts = document.get("facts")
    named = facts.get("model_path") if isinstance(facts, dict) else None
    live = facts.get("live") if isinstance(facts, dict) else None
    if isinstance(live, dict):
        if live.get("step"):
            return _around(beside, live["step"])
        named = live.get("start") or None  # before the first step it is the model that the training began with
    if not isinstance(named, str):
        return None
    for path, inside in _candidates(named, beside):
        folder = RunFolder(path)
        if folder.exists("run.json") and folder.exists("metrics.jsonl"):
            try:
                return Ancestor(folder, folder.read_json("run.json"), training_step(named), inside)
            except ReachlabError:
                return None
    return None


def _around(beside: RunFolder, step: Any) -> Ancestor | None:
    """The watched training whose folder a run of samples lies in, up to a step."""
    folder = RunFolder(beside.path.rstrip("/").rpartition("/")[0] or ".")
    try:
        document = folder.read_json("run.json")
    except ReachlabError:
        return None
    known = document.get("kind") == "watch" and isinstance(step, int) and folder.exists("metrics.jsonl")
    return Ancestor(folder, document, step) if known else None


def _candidates(named: str, beside: RunFolder) -> Iterator[tuple[str, str]]:
    """Where a checkpoint's run may lie: as named, around it, or (if moved together) beside the naming run. With each
    the checkpoint's folder in it."""
    path, kept = Path(named), ""
    if (step := training_step(path)) is not None:
        path, kept = path.parent.parent, kept_at(step)
        named = str(path)
    yield named, kept
    yield str(path.parent), kept or path.name
    around = beside.path.rstrip("/").rpartition("/")[0]
    yield f"{around}/{path.name}", kept
    yield f"{around}/{path.parent.name}", kept or path.name


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def thin_steps(x: np.ndarray, y: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """A long curve as at most `most` means over equal numbers of neighbouring steps."""
    if len(x) <= most:
        return x, y
    blocks: Sequence[np.ndarray] = np.array_split(np.arange(len(x)), most)
    return np.array([x[b].mean() for b in blocks]), np.array([y[b].mean() for b in blocks])
