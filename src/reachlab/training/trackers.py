"""Metrics to the trackers people use: TensorBoard, Weights & Biases, trackio, through accelerate.

`metrics.jsonl` is the record; a tracker is a second place to look at it, off unless asked for. What it writes stays on
this machine: TensorBoard's files and Weights & Biases' offline runs lie in the run's folder (WANDB_MODE=online changes
the latter), trackio has a database of its own. `trackers.json` remembers what the run is called there, so that a
resumed run goes on in the same place.

What a tracker can take back differs: a run that was killed repeats the steps after its last state. TensorBoard hides
the first attempt at them, the others keep both.
"""

import json
import math
import os
import sys
import uuid
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.extras import need
from reachlab.runs import RunFolder

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Trackers, and the package that each one needs."""
FILE = "trackers.json"
PROJECT = "reachlab"
GROUPS = ("seconds", "eval")
"""Metrics whose name begins like this are drawn together."""


class Trackers:
    """Where a run's metrics go besides its folder; with no names, nowhere."""

    def __init__(self, names: tuple[str, ...], folder: Path, run: str, config: Mapping[str, Any], step: int = 0):
        """Open the trackers; on one process only.

        Args:
            names: of `PACKAGES`.
            folder: the run's, which exists.
            run: what to call the run.
            config: its configuration, nested as it likes.
            step: the last step that a resumed run keeps.

        Raises:
            ReachlabError: an unknown tracker, or one whose package is not installed.
        """
        self.trackers: list[Any] = []
        check_trackers(names)
        if not names:
            return
        from accelerate import PartialState, tracking

        # accelerate's trackers ask it which process is the main one; a process alone has to be told that it is.
        PartialState(cpu=True)
        key, recalled = _recall(folder)
        for name in dict.fromkeys(names):
            if name == "tensorboard":
                purge = {"purge_step": step + 1} if name in recalled else {}
                tracker: Any = tracking.TensorBoardTracker("tensorboard", logging_dir=folder, **purge)
            elif name == "wandb":
                tracker = tracking.WandBTracker(
                    PROJECT,
                    name=run,
                    id=key,
                    resume="allow",
                    dir=str(folder),
                    mode=os.environ.get("WANDB_MODE", "offline"),
                    config=flatten(config),
                    settings={"silent": True, "console": "off"},
                )
            else:
                tracker = tracking.TrackioTracker(
                    PROJECT,
                    # trackio resumes by name, and names may be the same in several folders.
                    name=f"{run}-{key[:6]}",
                    resume="allow" if name in recalled else "never",
                    config=flatten(config),
                    embed=False,
                    auto_log_cpu=False,
                    auto_log_gpu=False,
                )
            # What trackio prints is no result of a command.
            with redirect_stdout(sys.stderr):
                tracker.start()
            if name == "tensorboard" and name not in recalled:
                tracker.store_init_configuration(flatten(config))
            self.trackers.append(tracker)
        RunFolder(folder).write(FILE, json.dumps({"key": key, "trackers": sorted(recalled | set(names))}))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of `step`; those that are not finite are left out."""
        if self.trackers:
            values = {group(name): value for name, value in metrics.items() if math.isfinite(value)}
            for tracker in self.trackers:
                tracker.log(values, step=step)

    def finish(self) -> None:
        """Write what is still on its way."""
        with redirect_stdout(sys.stderr):
            for tracker in self.trackers:
                tracker.finish()
        self.trackers = []

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()


def check_trackers(names: tuple[str, ...]) -> None:
    """Refuse what cannot be opened, before a run has begun.

    Raises:
        ReachlabError: an unknown tracker, or one whose package is not installed.
    """
    for name in names:
        if name not in PACKAGES:
            raise ReachlabError(f"no tracker is called {name!r}: choose of {', '.join(PACKAGES)}")
        need(PACKAGES[name], what=f"--track {name}")


def group(name: str) -> str:
    """`seconds_update` → `seconds/update`: trackers draw what stands before the slash as one group."""
    first, _, rest = name.partition("_")
    return f"{first}/{rest}" if rest and first in GROUPS else name


def flatten(config: Mapping[str, Any], above: str = "") -> dict[str, int | float | str | bool]:
    """A nested configuration as `loop.steps` → value; what is no number is text."""
    flat: dict[str, int | float | str | bool] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value if isinstance(value, int | float | str) else str(value)
    return flat


def _recall(folder: Path) -> tuple[str, set[str]]:
    """The run's own key, and the trackers that know it already."""
    path = folder / FILE
    if not path.exists():
        return uuid.uuid4().hex[:12], set()
    try:
        saved = json.loads(path.read_text())
        return str(saved["key"]), set(saved["trackers"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReachlabError(f"{path}: not readable ({error}); delete it, and the trackers begin anew") from error
