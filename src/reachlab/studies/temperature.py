"""Is RL only a lower temperature? Models and their base at several temperatures, and at one entropy.

RL makes a model surer, and a surer model varies less over many samples. If that alone were why it solves fewer problems
at large k, a higher temperature would give them back. So each model answers at the same temperatures as its base, and
at the one at which it has the base's entropy (`measures/entropy.py`; arXiv 2504.13837 matches the base at 0.6).
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from reachlab.measures.config import EntropyConfig
from reachlab.runs import RunFolder, write_atomically
from reachlab.studies.config import TemperatureConfig
from reachlab.studies.curves import label, measure_curves, print_curves
from reachlab.studies.stages import Stage, at_once, check_study, pinned, run_stages, sampling_stage
from reachlab.studies.study import Tell


@dataclass(frozen=True, kw_only=True)
class TemperaturePoint:
    """A model at a temperature."""

    name: str
    label: str
    """The model's."""
    model: str
    temperature: float
    matched: bool
    samples: str
    """The folder's name."""


def run_temperature(config: TemperatureConfig, tell: Tell = lambda _: None) -> Path:
    """Measure and sample what is not there yet, print the table, write it as JSON beside the report. `tell` hears
    remarks before.

    Raises:
        ReachlabError: a stage failed, for one because no temperature gives a model its base's entropy.
    """
    check_study(config.out, "entropy/*/run.json", "samples/*/run.json")
    base, *models = (pinned(model, config.out, tell) for model in (config.base, *config.model))
    config = replace(config, base=base, model=tuple(models))
    out, labels = Path(config.out), label([config.base, *config.model])
    room = at_once(config.device)
    given = points(config, labels)
    run_stages([*entropy_stages(config, labels), *(sample_stage(config, point) for point in given)], room)
    entropies = {path: RunFolder(out / "entropy" / name).read_json("entropy.json") for path, name in labels.items()}
    found = matched_points(labels, {path: entropies[path]["match"] for path in config.model if config.matched})
    run_stages([sample_stage(config, point) for point in found], room)
    every = sorted([*given, *found], key=lambda p: [*labels].index(p.model))
    runs = [RunFolder(f"{config.out}/samples/{point.samples}") for point in every]
    title = f"{', '.join(labels[m] for m in config.model)} and {labels[config.base]} at several temperatures"
    curves = measure_curves(runs, [point.name for point in every], out, title)
    readings = [reading(point, entropies[point.model]) for point in every]
    rows = [
        {**asdict(point), "entropy": entropy, "pass": passes}
        for point, entropy, passes in zip(every, readings, curves.passes, strict=True)
    ]
    document: dict[str, Any] = {**curves.to_dict(), "config": asdict(config), "rows": rows}
    document["matches"] = {labels[path]: entropies[path]["match"] for path in config.model}
    write_atomically(out / "temperature.json", (json.dumps(document, indent=2) + "\n").encode())
    cells = [[point.name, _nats(entropy)] for point, entropy in zip(every, readings, strict=True)]
    print_curves(curves, ["model", "entropy"], cells, str(out / "temperature.json"))
    for point in found:
        m = entropies[point.model]["match"]
        Console().print(
            f"{point.label} has the entropy of {labels[config.base]} at {config.at:g} at temperature "
            f"{m['temperature']:.3f}{_ends(m)}",
            highlight=False,
        )
    return out / "report.html"


def points(config: TemperatureConfig, labels: dict[str, str]) -> list[TemperaturePoint]:
    """Every model at the temperatures asked for; the base at the one whose entropy is matched comes first."""
    asked = list(dict.fromkeys(config.temperatures))
    of_base = [config.at, *(t for t in asked if t != config.at)]
    return [
        _point(path, labels[path], temperature)
        for path in labels
        for temperature in (of_base if path == config.base else asked)
    ]


def matched_points(labels: dict[str, str], matches: dict[str, Any]) -> list[TemperaturePoint]:
    """Each model at the temperature that was found, in thousandths."""
    return [_point(path, labels[path], round(m["temperature"], 3), matched=True) for path, m in matches.items()]


def _point(path: str, name: str, temperature: float, matched: bool = False) -> TemperaturePoint:
    return TemperaturePoint(
        name=f"{name} T={temperature:g}" + " (matched)" * matched,
        label=name,
        model=path,
        temperature=temperature,
        matched=matched,
        samples=f"{name}-T{temperature:g}" + "-matched" * matched,
    )


def entropy_stages(config: TemperatureConfig, labels: dict[str, str]) -> list[Stage]:
    """One `reachlab entropy` a model."""
    stages = []
    for path, name in labels.items():
        others = path != config.base
        temperatures = dict.fromkeys(config.temperatures if others else [config.at, *config.temperatures])
        asked = EntropyConfig(
            model=path,
            task=config.task,
            ask=config.ask,
            temperature=tuple(temperatures),
            out=f"{config.out}/entropy/{name}",
            split=config.split,
            problems=config.entropy_problems,
            samples=config.entropy_samples,
            max_tokens=config.max_tokens,
            seed=config.seed,
            dtype=config.dtype,
            device=config.device,
        )
        if config.matched and others:
            asked = replace(asked, match=config.base, at=config.at)
        stages.append(Stage(f"entropy {name}", asked))
    return stages


def sample_stage(config: TemperatureConfig, point: TemperaturePoint) -> Stage:
    """One `reachlab sample`."""
    return sampling_stage(config, point.name, point.model, point.samples, point.temperature)


def reading(point: TemperaturePoint, entropy: dict[str, Any]) -> dict[str, Any]:
    """The entropy of a model at a point's temperature."""
    if point.matched:
        found: dict[str, Any] = entropy["match"]["found"]
        return found
    return next(row for row in entropy["readings"] if row["temperature"] == point.temperature)


def _ends(match: dict[str, Any]) -> str:
    return "" if match["low"] is None else f" ({match['low']:.3f} to {match['high']:.3f})"


def _nats(entropy: dict[str, Any]) -> str:
    if entropy["low"] is None:
        return f"{entropy['nats']:.3f}"
    return f"{entropy['nats']:.3f}\n{entropy['low']:.3f}–{entropy['high']:.3f}"
