"""From a task's spec to the task: ``countdown,numbers=3``, ``gym:gsm_symbolic``, ``math:FILE``, ``math500``.

A family of ours is one line in `OWN_FAMILIES`; its module is imported only when asked for. One of somebody else's is
registered (`registering.py`), or named by its file: ``my_tasks.py:Reverse,length=6``.
"""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reachlab.choices import Choices
from reachlab.errors import ReachlabError
from reachlab.extras import naming_extras
from reachlab.origins import Maker
from reachlab.plugins import is_file, is_loaded, loaded_from, told
from reachlab.tasks.asked import Asked
from reachlab.tasks.asking import AskConfig, Asking
from reachlab.tasks.base import Task, adopted
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.blind import Blinded
from reachlab.tasks.prefixed import Prefixed
from reachlab.tasks.templates import TEMPLATES, Template, template_named

OWN_FAMILIES = {
    "countdown": ("reachlab.tasks.countdown:Countdown", "reach a target from four numbers, in steps"),
    "chain": ("reachlab.tasks.chain:Chain", "evaluate a chain of + - * from left to right, in steps"),
    "programs": ("reachlab.tasks.programs:Programs", "the Python expression behind examples of input and output"),
    "scenes": ("reachlab.tasks.scenes:Scenes", "read small drawn pictures and compute: count, chart, length, area"),
    "gym": ("reachlab.tasks.gym:Gym", "any dataset of reasoning-gym: gym:NAME"),
    "code": ("reachlab.tasks.code:CodeTask", "programs judged by unit tests (HumanEval, MBPP ...): code:FILE"),
    "visual": ("reachlab.tasks.visual:Visual", "math questions with pictures, free-form: visual:FILE"),
    "math": ("reachlab.tasks.math:Math", "math benchmarks from JSONL (GSM8K, MATH, AIME shapes): math:FILE"),
    "logged": (
        "reachlab.tasks.logged:Logged",
        "questions of which no right answer is known; judges nothing: logged:FILE",
    ),
}
FAMILIES: Choices[type[Task]] = Choices(
    "task",
    {name: place for name, (place, _) in OWN_FAMILIES.items()},
    about={name: about for name, (_, about) in OWN_FAMILIES.items()},
    adopt="reachlab.tasks.base:adopted",
    reserved=BENCHMARKS,
)
POINTED = re.compile(r"[+-]?(\d+\.\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
"""Numbers that are none in JSON: ``.2``, ``2.``, ``+0.2``."""
SETTING = re.compile(r",\s*(?=\w+\s*=)")
"""A comma ends a setting only before the next "key=": lists, and paths with commas in them, stay whole."""


def parse_spec(spec: str) -> tuple[str, str | None, dict[str, Any]]:
    """Split ``family[:argument][,key=value...]`` into (family, argument, settings); values are JSON where they can be,
    and numbers as Python writes them too (``.2``). Space around a name or a value says nothing. The family of a file is
    ``FILE.py:NAME``."""
    head, *pairs = SETTING.split(spec.strip())
    family, _, argument = (part.strip() for part in head.partition(":"))
    if is_file(family):
        name, _, argument = (part.strip() for part in argument.partition(":"))
        family = f"{family}:{name}"
    if "," in family:
        raise ReachlabError(f"task {spec!r}: {family.partition(',')[2]!r} is not key=value")
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = (part.strip() for part in pair.partition("="))
        try:
            settings[key] = float(value) if POINTED.fullmatch(value) else json.loads(value)
        except (ValueError, RecursionError):
            settings[key] = value
    return family, argument or None, settings


def load_task(spec: str, asking: Asking | None = None) -> Asked:
    """Build the task that `spec` names, asked as `asking` says.

    In any family, ``blind=true`` shows noise for each picture, ``prefix=0.6`` asks for the rest of each question, in
    plain text (`prefixed.py`), and ``template=NAME`` is what stands around a question.
    Without it, and without a template in `asking`, that is the plain form of the family, or a benchmark's own template.

    Raises:
        ReachlabError: an unknown family, an unknown setting, or a file the family cannot read.

    Example:
        >>> from random import Random
        >>> task = load_task("countdown,numbers=3")
        >>> problem = task.problems("test", 1)[0]
        >>> task.verify(problem, task.solve(problem, Random(0))).status
        'correct'
    """
    family, argument, settings = parse_spec(spec)
    blind = settings.pop("blind", False)
    if blind not in (True, False):
        raise ReachlabError(f"task {spec!r}: blind={blind} is neither true nor false")
    prefix = settings.pop("prefix", None)
    benchmark = BENCHMARKS.get(family)
    asking = asking or Asking()
    if prefix is not None:
        asking = _plain_alone(spec, asking)
    if asking.template is None:
        asking = replace(asking, template=chosen_template(spec, AskConfig()) or own_template(spec))
    settings.pop("template", None)
    if benchmark is not None:
        release = settings.pop("release", None)
        if release is not None and argument is not None:
            raise ReachlabError(f"task {spec!r}: a file is named, so there is no release to choose")
        settings = benchmark.settings(family, release) | settings
        family = benchmark.family
    factory = class_of(family, load=True)
    if argument is not None:
        settings = {**settings, "argument": argument}
    known = inspect.signature(factory).parameters
    any_setting = any(p.kind is p.VAR_KEYWORD for p in known.values())  # the family checks them itself
    for key in settings:
        if key not in known and not any_setting:
            takes = ", ".join(k for k in known if k != "argument") or "none"
            what = "no argument after ':'" if key == "argument" else f"no setting {key!r}"
            raise ReachlabError(f"task {spec!r}: {family} has {what}; its settings: {takes}")
        if key in known and known[key].annotation is int and type(settings[key]) is not int:
            raise ReachlabError(f"task {spec!r}: {key}={settings[key]} is not a whole number")
    if "argument" in known and "argument" not in settings and known["argument"].default is inspect.Parameter.empty:
        raise ReachlabError(f"task {spec!r}: {family} needs an argument, as in: {FAMILIES.about(family)}")
    try:
        task: Task = factory(**settings)
    except TypeError as error:
        raise ReachlabError(f"task {spec!r}: a setting has the wrong type: {error}") from error
    task.spec = spec
    if benchmark is not None:
        task.decoding = dict(benchmark.decoding)
    task = Blinded(task) if blind else task
    return Asked(task if prefix is None else Prefixed(task, prefix), asking)


def prefix_of(spec: str) -> float | None:
    """The share of each question that a task's spec shows; None where it asks the whole, or is none."""
    try:
        found = parse_spec(spec)[2].get("prefix")
    except ReachlabError:
        return None  # what is wrong with it says whoever loads it
    return found if isinstance(found, float) else None


def with_prefix(spec: str, prefix: float) -> str:
    """The spec of the same task, asked for the rest of its questions.

    Raises:
        ReachlabError: it says another share itself.
    """
    said = parse_spec(spec)[2].get("prefix")
    if said is None:
        return f"{spec},prefix={prefix!r}"
    if said != prefix:
        raise ReachlabError(f"--prefix {prefix}, and the task says prefix={said}; leave one of them out")
    return spec


def _plain_alone(spec: str, asking: Asking) -> Asking:
    """How a part of a question is shown: in plain text, with nothing around it.

    Raises:
        ReachlabError: something is to stand around it.
    """
    template = chosen_template(spec, AskConfig()) or asking.template or TEMPLATES["plain"]
    if template.name not in ("plain", "bare") or asking.system or asking.options or asking.shots or asking.examples:
        raise ReachlabError(
            f"task {spec!r}: with a prefix, the first part of a question is shown as plain text, with nothing around "
            "it; leave templates, system texts and worked examples out"
        )
    return Asking(template=TEMPLATES["bare"])


def template_of(spec: str) -> str:
    """The template that a task's spec names; nothing where it names none.

    Raises:
        ReachlabError: no name.
    """
    named = parse_spec(spec)[2].get("template", "")
    if not isinstance(named, str):
        raise ReachlabError(f"task {spec!r}: template={named} is neither a name nor a file")
    return named


def own_template(spec: str) -> Template:
    """What a task is asked with in plain text: a benchmark's own template, or the plain form of its family."""
    benchmark = BENCHMARKS.get(parse_spec(spec)[0])
    return template_named("plain" if benchmark is None else benchmark.template)


def chosen_template(spec: str, config: AskConfig) -> Template | None:
    """The template that the user names, in a task's spec or beside it; None where that is left to the model.

    Raises:
        ReachlabError: there is none of that name, or two are named.
    """
    named, said = (name if name != "auto" else "" for name in (template_of(spec), config.template))
    if said and named and said != named:
        raise ReachlabError(f"--template {said}, and the task says template={named}; leave one of them out")
    return template_named(said or named) if said or named else None


def bare_task(spec: str) -> Task:
    """The task with nothing read and nothing set: enough for what looks at a problem alone (`gold`, `answer_decides`).

    A run can be read so where the task's file is not, and nothing is asked of a network.

    Raises:
        ReachlabError: an unknown family.
    """
    family, _, settings = parse_spec(spec)
    benchmark = BENCHMARKS.get(family)
    found = class_of(family if benchmark is None else benchmark.family)
    bare: Task = found.__new__(found)
    bare.spec = spec
    return Prefixed(bare, settings["prefix"]) if "prefix" in settings else bare


def judging_task(spec: str) -> Task:
    """The task as far as a verdict needs it: of a benchmark its verifier without a file, with every other setting.

    Raises:
        ReachlabError: as of `load_task`.
    """
    family, argument, settings = parse_spec(spec)
    benchmark = BENCHMARKS.get(family)
    if benchmark is None or argument is not None or "argument" in settings:
        return load_task(spec)
    parameter = inspect.signature(class_of(benchmark.family)).parameters.get("argument")
    if parameter is None or parameter.default != "":
        return load_task(spec)
    if "release" in settings:
        benchmark.settings(family, settings["release"])
    kept = [pair for pair in SETTING.split(spec.strip())[1:] if pair.partition("=")[0].strip() != "release"]
    return load_task(",".join([benchmark.family, *kept]))


def class_of(family: str, *, load: bool = False) -> Any:
    """The class of a family.

    Args:
        family: its name, or ``FILE.py:NAME``.
        load: whether that file may be imported. A run's own word is no reason to run the code of a file.

    Raises:
        ReachlabError: there is none of that name.
    """
    if family in FAMILIES:
        with naming_extras(f"the task {family}"):
            return FAMILIES[family]
    file, _, _ = family.rpartition(":")
    if is_file(file):
        if not load and not is_loaded(file):
            raise ReachlabError(f"task {family!r}: {file} is not imported; give it with --plugin {file}")
        return adopted(family, loaded_from(family))
    known_names = ", ".join([*FAMILIES, *BENCHMARKS])
    raise ReachlabError(f"unknown task family {family!r}; there are: {known_names} (see `reachlab tasks`)")


def maker_of(spec: str) -> Maker | None:
    """Who made a task that is not ours; None of ours, and of what names no task."""
    try:
        family, _, _ = parse_spec(spec)
    except ReachlabError:
        return None
    file, _, _ = family.rpartition(":")
    if is_file(file):
        return Maker(module=class_of(family, load=True).__module__)
    return None if family in BENCHMARKS else FAMILIES.origin(family)


def check_known(spec: str, facts: Mapping[str, Any]) -> None:
    """See that the task that a run names is here; of one that is not, say whose it is.

    Raises:
        ReachlabError: it is not here.
    """
    family, _, _ = parse_spec(spec)
    try:
        class_of(BENCHMARKS[family].family if family in BENCHMARKS else family)
    except ReachlabError as error:
        whose = told(facts, "task")
        raise ReachlabError(f"the run's task {spec!r} is not here: {whose}" if whose else str(error)) from error
