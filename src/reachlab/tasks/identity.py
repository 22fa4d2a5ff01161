"""When two specs name the same task: ``countdown`` and ``countdown, division=.2``, ``math:FILE`` and ``math:./FILE``.

A task is its family, its file and the settings that are not as usual; how a spec is written says nothing. What stands
around a question (``template=``) is not part of it: how a model is asked is kept beside the task, with all choices made
(`Asking.identity`), but for pretraining, which asks nothing of anybody.
"""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.plugins import is_file
from reachlab.runs import RunFolder
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.registry import class_of, own_template, parse_spec
from reachlab.tasks.rows import DATASETS, HUB

SAID_IN = ("task", "data")
"""Where a run's configuration says its task."""


def canonical(spec: str, *, template: bool = False) -> str:
    """The one spelling of a task: settings as usual left out, others in the order of their names, a file by its whole
    path. What names no task stays as it is.

    Args:
        spec: as `reachlab tasks` takes it.
        template: keep what stands around a question, where that is not the task's own form.

    Example:
        >>> canonical("countdown, division=.2,numbers=3")
        'countdown,numbers=3'
    """
    try:
        family, argument, settings = parse_spec(spec)
        named = settings.pop("template", None)
        if template and named not in (None, "auto", own_template(spec).name):
            settings["template"] = named
        argument, differing = _differing(family, argument, settings)
    except (ReachlabError, ImportError, TypeError, ValueError):
        return spec
    file, _, name = family.rpartition(":")
    family = f"{_place(file)}:{name}" if is_file(file) else family
    head = family if argument is None else f"{family}:{argument}"
    return ",".join([head, *(f"{name}={_written(value)}" for name, value in sorted(differing.items()))])


def same_task(one: str, other: str, *, template: bool = False) -> bool:
    """Whether two specs name the same task."""
    return one == other or canonical(one, template=template) == canonical(other, template=template)


def unusual(spec: str) -> dict[str, Any]:
    """The settings of a spec that are not as usual, but for its template; none of what names no task."""
    try:
        family, argument, settings = parse_spec(spec)
        settings.pop("template", None)
        return _differing(family, argument, settings)[1] if settings else {}
    except (ReachlabError, ImportError, TypeError, ValueError):
        return {}


def as_begun(folder: RunFolder, config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration with its task spelled as the folder's run was begun with, where that is the same task; so
    that the run goes on."""
    if not folder.exists("run.json"):
        return dict(config)
    begun = folder.read_json("run.json").get("config", {})
    found = dict(config)
    for name in SAID_IN:
        said, mine = begun.get(name), config.get(name)
        if isinstance(said, str) and isinstance(mine, str) and same_task(said, mine, template="ask" not in config):
            found[name] = said
    return found


def _differing(family: str, argument: str | None, settings: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """A task's file and its settings, without what would be the same unsaid."""
    said = dict(settings)
    usual: dict[str, Any] = {"blind": False}
    benchmark = BENCHMARKS.get(family)
    if benchmark is not None:
        given = benchmark.settings(family, said.pop("release", None)) if argument is None else {}
        usual_file = benchmark.settings(family).get("argument")
        argument = argument or given.get("argument")
        argument = None if _place(argument) == _place(usual_file) else argument
        usual |= benchmark.settings(family)
        family = benchmark.family
    task = class_of(family)
    usual = {**usual_settings(task, argument), **usual}
    differing = {
        name: value
        for name, value in said.items()
        if name not in usual or _written(_kept(task, name, value)) != _written(usual[name])
    }
    return _place(argument), {name: _kept(task, name, value) for name, value in differing.items()}


def usual_settings(task: type[Any], argument: str | None) -> dict[str, Any]:
    """The settings of a family as they are where a spec does not say them; some depend on what stands behind ``:``."""
    parameters = inspect.signature(task).parameters.values()
    own = {p.name: p.default for p in parameters if p.default is not p.empty and p.name != "argument"}
    return {**own, **(task.usual(argument) if argument and hasattr(task, "usual") else {})}


def _kept(task: type[Any], name: str, value: Any) -> Any:
    """A value as the family takes it: what is a number there is the same written with or without a point."""
    parameter = inspect.signature(task).parameters.get(name)
    boolean = name == "blind" or (parameter is not None and parameter.annotation is bool)
    return bool(value) if boolean and value in (0, 1) else value


def _place(argument: str | None) -> str | None:
    """A file by its whole path; anything else as it is."""
    if argument is None or argument.startswith((DATASETS, HUB)) or "://" in argument:
        return argument
    path = Path(argument)
    try:
        return str(path.resolve()) if path.exists() else argument
    except OSError:
        return argument


def _written(value: Any) -> str:
    """A value in one way: 1.0 as 1, a tuple as a list."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return value
