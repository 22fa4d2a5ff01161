"""arXiv 2504.13837 and PODS (2504.13818) on one's own checkpoint: RL, distilling, two controls, all measured.

Six models answer the same held-out problems: the base; GRPO, PODS, and RL with a random reward (arXiv 2506.10947) from
it; the base distilled from a teacher; and the base trained on as many tokens of its own answers. How much of each fits
the time is measured and planned first, once: the plan is kept, and the same command goes on by it.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from reachlab.boundary.compare import compare
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.reporting.making import Extra
from reachlab.reporting.page import write_report
from reachlab.reporting.tables import print_comparison
from reachlab.runs import RunFolder, write_atomically
from reachlab.store.samples import SampleStore
from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.measure import measure
from reachlab.studies.own.plan import MODELS, RunMeasurements, Sizes, StudyPlan, decide, fixed_sizes, smallest
from reachlab.studies.own.stages import own_stages
from reachlab.studies.own.telling import describe, hours_up, in_hours, print_plan
from reachlab.studies.own.words import controlled, verdicts
from reachlab.studies.stages import at_once, check_study, pinned, run_stages
from reachlab.studies.times import StageTimes
from reachlab.tasks.base import Split, Task, empty_split
from reachlab.tasks.registry import load_task

WIDTH = 4
"""Most stages side by side; more cores than that give each stage more threads."""
TRAINABLE = 400
"""Most training problems of which answers are drawn."""
DRAWS, MANY = 500, 1 << 30
KIND = "study own"


def run_own(config: OwnConfig, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Run what is not finished of the study; returns the report's path. `tell` hears the plan before it begins.

    Raises:
        ReachlabError: too little time, a folder that holds another study, a stage that failed.
    """
    began = time.monotonic()
    check_study(config.out, "run.json")
    teacher = pinned(config.teacher_model, config.out, tell) if config.teacher_model else ""
    config = replace(config, model=pinned(config.model, config.out, tell), teacher_model=teacher)
    plan = _plan(config, tell)
    stages, times = own_stages(config, plan), StageTimes(config.out)
    run_stages(stages, plan.width * plan.threads, times)
    seconds = {stage.name: times.total(stage.name) for stage in stages}
    folders = [RunFolder(f"{config.out}/samples/{name}") for name in MODELS]
    outcomes = {name: SampleStore(f).outcomes() for name, f in zip(MODELS, folders, strict=True)}
    comparison = compare(list(outcomes.values()), seed=config.seed)
    print_comparison(comparison)
    found = controlled(comparison, outcomes)
    for sentence in found:
        Console().print(sentence, highlight=False)
    document = {"plan": asdict(plan), "seconds": seconds, "verdicts": verdicts(comparison), "controls": found}
    write_atomically(Path(config.out) / "own.json", (json.dumps(document, indent=2) + "\n").encode())
    expected = {name: f", {plan.seconds[name]:.0f} s expected" if name in plan.seconds else "" for name in seconds}
    extra = {f"time of {name}, with starting up": f"{times.words(name)}{expected[name]}" for name in seconds}
    title = f"What RL and distilling added to {RunFolder(config.model).name}"
    remarks = [*verdicts(comparison), *found]
    page = write_report(
        comparison, folders, Path(config.out) / "report.html", title=title, extra=Extra(rows=extra), remarks=remarks
    )
    Console().print(f"{time.monotonic() - began:.0f} s in all", highlight=False)
    return page


def _plan(config: OwnConfig, tell: Callable[[str], None]) -> StudyPlan:
    """The study's plan: as it was decided, or decided now."""
    folder = RunFolder(config.out)
    known: dict[str, Any] = asdict(config) | {"model": hash_model(config.model)}
    if config.teacher_model:
        known["teacher_model"] = hash_model(config.teacher_model)
    for name in ("out", "launch", "device"):  # what may differ when a study goes on
        del known[name]
    claim = partial(folder.claim, KIND, known, {"model_path": config.model})
    if folder.exists("run.json"):
        claim()
    if folder.exists("plan.json"):
        found = folder.read_json("plan.json")
        plan = StudyPlan(**found["plan"] | {"sizes": Sizes(**found["plan"]["sizes"])})
        tell("going on by the plan in plan.json")
        return plan
    machine, available = _machine(config), _held_out(config)
    measured = None
    if config.fixed:
        plan = machine
    else:
        tell(f"measuring what a token and a step cost here; the study may take {in_hours(config.hours)}")
        measured = measure(config, machine)
        plan = _fitting(config, measured, machine, available)
    for line in describe(config, plan, measured):
        tell(line)
    print_plan(config, plan)
    claim()
    document = {"plan": asdict(plan), "measured": None if measured is None else asdict(measured)}
    folder.write("plan.json", json.dumps(document, indent=2) + "\n")
    return plan


def _machine(config: OwnConfig) -> StudyPlan:
    """A plan for this machine, of the user's own sizes."""
    cores = at_once(config.device)
    width = max(1, min(WIDTH, cores, _in_memory(config)))
    task = load_task(config.task)
    trainable = min(TRAINABLE, _distinct(task, "train", config.seed))
    if not trainable:
        raise ReachlabError(f"{config.task}: no problem to train on")
    return StudyPlan(sizes=fixed_sizes(config), width=width, threads=cores // width, trainable=trainable, seconds={})


def _in_memory(config: OwnConfig) -> int:
    """Training commands that the memory holds side by side."""
    stored = sum(file.stat().st_size for file in find_checkpoint(config.model).glob("*.safetensors"))
    # Weights, gradient, two moments, the start to watch the KL to, and what passes need; float32 whatever is stored.
    needed = 6 * 2 * stored
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(free // max(1, needed))


def _held_out(config: OwnConfig) -> int:
    """Held-out problems that there are."""
    task = load_task(config.test_task or config.task)
    found = _distinct(task, "all" if config.test_task and task.finite else "test", config.seed)
    if not found:
        raise ReachlabError(f"{empty_split(task, 'test')}: none is held out; name a --test-task")
    return found


def _distinct(task: Task, split: Split, seed: int) -> int:
    """Problems that there surely are. Of a generated task a few hundred are drawn; it has many where few come twice."""
    if task.finite:
        return len(task.problems(split))
    found = len({problem.id for problem in islice(task.stream(split, seed), DRAWS)})
    return found if found < 0.9 * DRAWS else MANY


def _fitting(config: OwnConfig, found: RunMeasurements, machine: StudyPlan, available: int) -> StudyPlan:
    def decided(hours: float) -> StudyPlan | None:
        asked = replace(config, hours=hours)
        return decide(asked, found, machine, available, partial(own_stages, asked))

    plan = decided(config.hours)
    if plan is not None:
        return plan
    least = smallest(decided, config.hours)
    what = (
        "no time is enough with the sizes given" if least is None else f"it takes --hours {hours_up(least):g} or more"
    )
    raise ReachlabError(f"--hours {config.hours:g} is too little for a study that says something here: {what}")
