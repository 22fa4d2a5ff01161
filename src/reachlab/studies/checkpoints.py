"""Table 3 of arXiv 2504.13837: how pass@k moves while a model is trained.

A run that was told `--keep-every N` has checkpoints of its way. They, the base and the final model answer the same
problems with the same seeds. The paper saw pass@1 rise with training and pass@256 fall. Beside the curves stands the
share of right rollouts in training itself, a mean over the steps around the checkpoint: the accuracy logged at step t
is that of the weights after step t − 1.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import hash_model
from reachlab.runs import RunFolder, kept_at, write_atomically
from reachlab.studies.config import CheckpointsConfig
from reachlab.studies.curves import label, measure_curves, print_curves
from reachlab.studies.stages import Stage, at_once, check_study, pinned, run_stages, sampling_stage
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.registry import check_known
from reachlab.training.corpus.sources import is_text

AROUND = 10
"""Steps over which the training's own accuracy is averaged."""


@dataclass(frozen=True, kw_only=True)
class Waypoint:
    """A model on the way: the base is at step 0. One beside the way has no step."""

    step: int | None
    name: str
    model: str
    samples: str
    """The folder's name."""


def run_checkpoints(config: CheckpointsConfig, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Sample every checkpoint that is not sampled yet, print the table, write it as JSON beside the report.

    `tell` hears remarks before the work begins.

    Raises:
        ReachlabError: no training run or none with checkpoints, a base that has changed, a stage that failed.
    """
    folder = RunFolder(config.run)
    config = replace(config, out=config.out or f"{config.run.rstrip('/')}-checkpoints")
    check_study(config.out, "samples/*/run.json")
    beside = tuple(pinned(model, config.out, tell) for model in config.beside)
    base = pinned(config.base, config.out, tell) if config.base else ""
    config, places = resolve(replace(config, base=base, beside=beside), folder)
    if not any(place.model == config.run for place in places):
        tell(f"{folder.url} has not finished: what it has kept so far is measured, and the rest when this is run again")
    out = Path(config.out)
    run_stages(checkpoint_stages(config, places), at_once(config.device))
    runs = [RunFolder(f"{config.out}/samples/{place.samples}") for place in places]
    title = f"The boundary along {folder.name}"
    curves = measure_curves(runs, [place.name for place in places], out, title)
    metrics = folder.metrics()
    accuracies = [None if place.step is None else training_accuracy(metrics, place.step) for place in places]
    rows = [
        {**asdict(place), "training_accuracy": accuracy, "pass": passes}
        for place, accuracy, passes in zip(places, accuracies, curves.passes, strict=True)
    ]
    document: dict[str, Any] = {**curves.to_dict(), "config": asdict(config), "rows": rows}
    write_atomically(out / "checkpoints.json", (json.dumps(document, indent=2) + "\n").encode())
    heads, cells = ["step"], [[place.name if place.step is None else str(place.step)] for place in places]
    if any(accuracy is not None for accuracy in accuracies):
        heads.append("training")
        cells = [[*row, "–" if a is None else f"{100 * a:.1f}"] for row, a in zip(cells, accuracies, strict=True)]
    print_curves(curves, heads, cells, str(out / "checkpoints.json"))
    if "training" in heads:
        Console().print(f"training: share of right rollouts in the {AROUND} steps around", highlight=False)
    return out / "report.html"


def resolve(config: CheckpointsConfig, folder: RunFolder) -> tuple[CheckpointsConfig, list[Waypoint]]:
    """The configuration with everything that the run itself decides, and the models in the order of steps.

    Raises:
        ReachlabError: as `run_checkpoints`.
    """
    document = folder.read_json("run.json")
    kind, trained = document.get("kind"), document.get("config", {})
    if kind not in ("pretrain", "distill", "rl"):
        raise ReachlabError(f"{folder.url}: a run of kind {kind!r}, not a training run")
    data = str(trained.get("task") or trained.get("data"))
    if not config.task and is_text(data):
        raise ReachlabError(f"{folder.url} was trained on {data}, which asks nothing: give a --task")
    if not config.task:
        check_known(data, document.get("facts", {}))
    decoding = Decoding()
    base = config.base or document.get("facts", {}).get("model_path", "")
    if base and not config.base:
        _check_base(base, trained.get("model"), folder)
    config = replace(
        config,
        out=config.out or f"{config.run.rstrip('/')}-checkpoints",
        base=base,
        task=config.task or data,
        ask=config.ask if config.ask != AskConfig() else _as_trained(trained, folder),
        temperature=_first(config.temperature, trained.get("temperature"), decoding.temperature),
        max_tokens=_first(config.max_tokens, trained.get("max_tokens"), decoding.max_tokens),
    )
    return config, _places(config, folder)


def _as_trained(trained: Mapping[str, Any], folder: RunFolder) -> AskConfig:
    """How the run asked, which is how all are asked, the base too.

    Raises:
        ReachlabError: with what lies in files, of which the run keeps no path.
    """
    asked = trained.get("ask") or {}
    if asked.get("template_hash") or asked.get("examples"):
        raise ReachlabError(
            f"{folder.url} was asked with a template or examples from a file; name it once more (--template, "
            "--shots-file)"
        )
    options = asked.get("chat_template_kwargs")
    return AskConfig(
        template=asked.get("template", "auto"),
        system=asked.get("system", ""),
        chat_template_kwargs=json.dumps(options) if options else "",
        shots=asked.get("shots", 0),
    )


def _first(*values: Any) -> Any:
    """The first that is given."""
    return next(value for value in values if value is not None)


def _check_base(base: str, expected: str | None, folder: RunFolder) -> None:
    """That what lies where the run found its base is still the same."""
    try:
        found = hash_model(base)
    except ReachlabError as error:
        raise ReachlabError(f"{folder.url} began with {base}, which is not there now; name it with --base") from error
    if found != expected:
        raise ReachlabError(f"{base} is no longer what {folder.url} began with; name that with --base")


def _places(config: CheckpointsConfig, folder: RunFolder) -> list[Waypoint]:
    kept = folder.kept()
    if not kept:
        raise ReachlabError(f"{folder.url} kept no checkpoint; train with --keep-every N")
    if strange := sorted(set(config.steps) - set(kept)):
        raise ReachlabError(f"{folder.url} kept no step {strange[0]}; it has {', '.join(map(str, kept))}")
    chosen = [step for step in kept if not config.steps or step in config.steps]
    run = config.run.rstrip("/")
    places = [
        Waypoint(step=step, name=f"step {step}", model=f"{run}/{kept_at(step)}", samples=f"step-{step:06}")
        for step in chosen
    ]
    if config.base:
        places.insert(0, Waypoint(step=0, name="base", model=config.base, samples="base"))
    if folder.exists("model/config.json"):
        last = max((int(row["step"]) for row in folder.metrics()), default=0)
        places.append(Waypoint(step=last, name=f"step {last}", model=config.run, samples="final"))
    taken = {place.name for place in places}
    return places + [
        Waypoint(step=None, name=f"beside {name}" if name in taken else name, model=path, samples=f"beside-{name}")
        for path, name in label(config.beside).items()
    ]


def checkpoint_stages(config: CheckpointsConfig, places: Sequence[Waypoint]) -> list[Stage]:
    """One `reachlab sample` a model."""
    return [sampling_stage(config, p.name, p.model, p.samples, config.temperature) for p in places]


def training_accuracy(metrics: Sequence[dict[str, Any]], step: int) -> float | None:
    """Mean accuracy of the rollouts of `AROUND` steps around `step`, fewer at the ends; None where none is known."""
    near = [
        row["accuracy"]
        for row in metrics
        if -AROUND / 2 < row["step"] - step - 0.5 < AROUND / 2 and row.get("accuracy") is not None
    ]
    return fmean(near) if near and all(map(math.isfinite, near)) else None
