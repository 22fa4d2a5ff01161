"""What a killed run goes on from: its state, and the lines of its log up to that step. Both are looked through first.

A state that cannot be used is never a traceback and never half taken up: one line says what is wrong with it and
whether weights of an earlier step are good. A log that lacks a line is refused too: what is summed over it (tokens
seen, time spent) would be less than it was, and nobody would be told.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.hub import weight_files
from reachlab.runs import RunFolder

Name = TypeVar("Name")

FILE = "trainer.pt"
LOG = "metrics.jsonl"


def read_state(folder: Path, modules: Mapping[str, nn.Module], others: Collection[str], steps: int) -> dict[str, Any]:
    """The state in `folder`: "step", "random", each module's "model" and "optimizers", and `others`.

    Raises:
        Exception: of any kind, for a file that is none or lacks something; its first line says what.
    """
    file = folder / FILE
    if file.is_file() and not file.stat().st_size:
        raise ValueError(f"{FILE} is empty")
    state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError(f"{FILE} holds no state")
    for name in ("step", "random", *modules, *others):
        if name not in state:
            raise ValueError(f"{FILE} has no {name!r}")
    step = state["step"]
    if type(step) is not int or not 0 <= step <= steps:
        raise ValueError(f"{FILE} is of step {step!r}, and the run has {steps}")
    for name, module in modules.items():
        saved = state[name]
        if not isinstance(saved, dict) or not isinstance(saved.get("model"), dict) or "optimizers" not in saved:
            raise ValueError(f"{FILE} has no weights and optimizers of {name!r}")
        trained = {n for n, _ in module.named_parameters(remove_duplicate=False)}
        bad = not_finite({n: w for n, w in saved["model"].items() if n in trained})
        if bad is not None:
            raise ValueError(f"the weights of step {step} are not finite: {bad}")
        if any(value.isnan().any() for value in _tensors(saved["optimizers"])):
            raise ValueError(f"the optimizer of step {step} holds what is no number")
    return state


def not_finite(weights: Mapping[Name, Tensor]) -> Name | None:
    """The name of the first of these weights that holds NaN or infinity."""
    floating = {name: w.detach() for name, w in weights.items() if w.is_floating_point()}
    if not floating:
        return None
    # A sum is a tenth of the work of looking at each number, and finite where all are, unless it overflows.
    sums = torch.stack([w.sum(dtype=torch.float32) for w in floating.values()]).tolist()
    doubtful = [w for w, total in zip(floating.items(), sums, strict=True) if not math.isfinite(total)]
    return next((name for name, w in doubtful if not w.isfinite().all()), None)


def _tensors(nested: Any) -> list[Tensor]:
    if isinstance(nested, Tensor):
        return [nested] if nested.is_floating_point() else []
    values = nested.values() if isinstance(nested, Mapping) else nested if isinstance(nested, list) else ()
    return [tensor for value in values for tensor in _tensors(value)]


def refusal(run: RunFolder, error: BaseException) -> ReachlabError:
    """What to say of a state that cannot be gone on from, with the newest weights of the way that are good."""
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    message = f"{run.file('state')}: not a state to go on from ({why})"
    for step, path in reversed(run.kept().items()):
        if _sound(Path(path)):
            return ReachlabError(
                f"{message}; the weights of step {step} in {path} are good: copy them if they are wanted (starting "
                "over drops them), then delete state/ to start over"
            )
    return ReachlabError(f"{message}, and no good checkpoint of an earlier step is kept; delete it to start over")


def _sound(checkpoint: Path) -> bool:
    """Whether a checkpoint's weights are all there and finite."""
    files = weight_files(checkpoint)
    try:
        for file in files:
            with safe_open(file, framework="pt") as held:
                names: list[str] = list(held.keys())
                if any(not_finite({name: held.get_tensor(name)}) for name in names):
                    return False
    except (SafetensorError, OSError):
        return False
    return bool(files)


def read_log(run: RunFolder, step: int) -> list[dict[str, Any]]:
    """The lines of the steps up to `step`, which a state of that step stands on: one each, in order.

    Raises:
        ReachlabError: a line that is none, or lines that are missing, there twice, or without a time; which state is
            good.
    """
    try:
        rows = [row for row in run.metrics() if row["step"] <= step]
    except ReachlabError as error:
        raise _log_error(str(error), run, step) from error
    steps = [row["step"] for row in rows]
    if steps != list(range(1, step + 1)):
        missing = sorted({*range(1, step + 1)} - {*steps})
        message = f"no line of step {', '.join(map(str, missing[:3]))}" + " and others" * (len(missing) > 3)
        raise _log_error(
            f"{run.file(LOG)}: {message if missing else 'lines that come twice, or in another order'}", run, step
        )
    column(run, rows, "seconds", step)
    return rows


def column(run: RunFolder, rows: Sequence[Mapping[str, Any]], name: str, step: int) -> list[float]:
    """A number of every one of these lines, on which the state of `step` stands.

    Raises:
        ReachlabError: a line without it.
    """
    for row in rows:
        if isinstance(row.get(name), bool) or not isinstance(row.get(name), int | float):
            raise _log_error(f"{run.file(LOG)}: no number {name!r} in the line of step {row['step']}", run, step)
    return [float(row[name]) for row in rows]


def _log_error(message: str, run: RunFolder, step: int) -> ReachlabError:
    if not step:
        return ReachlabError(f"{message}; no state is saved, so delete {LOG} to start over")
    return ReachlabError(
        f"{message}; the state of step {step} in {run.file('state')} is good, and needs every line up to it: mend the "
        f"file, or delete state/ and {LOG} to start over"
    )
