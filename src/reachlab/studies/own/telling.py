"""The study's plan for its user: what is asked and trained, what that can show, and how long each stage should take."""

import math

from rich import box
from rich.console import Console
from rich.table import Table

from reachlab.boundary.beta_binomial import fit_beta_binomial
from reachlab.boundary.foresight import detectable
from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import WIDER, RunMeasurements, StudyPlan
from reachlab.studies.own.stages import own_stages

LEAST, MOST = 0.02, 0.9
"""Outside of these shares of right answers, a base says little."""


def describe(config: OwnConfig, plan: StudyPlan, measured: RunMeasurements | None) -> list[str]:
    """The plan in sentences: what is asked, what is trained, and what difference that can show."""
    sizes = plan.sizes
    few, many = sizes.rollouts, WIDER * sizes.rollouts
    lines = [
        f"{sizes.problems:,} held-out problems, {sizes.samples:,} answers of each model to each, at most "
        f"{sizes.max_tokens:,} tokens",
        f"RL: {sizes.steps:,} steps of {sizes.prompts} problems, {few} rollouts each (GRPO, random reward); PODS "
        f"{sizes.pods_steps:,} steps, {many} rollouts to {few}; distilling: {sizes.distill_steps:,} steps",
    ]
    if measured is None:
        return lines
    base = fit_beta_binomial(measured.drawn, measured.right, zero=False)
    share = sum(measured.right) / max(1, sum(measured.drawn))
    one, most = (100 * detectable(base, sizes.problems, sizes.samples, k) for k in (1, sizes.samples))
    lines.append(
        f"the base is right in {share:.1%} of {sum(measured.drawn)} tries; such a study finds, four times in five, a "
        f"difference of {one:.1f} points at k=1 and of {most:.1f} at k={sizes.samples}, if differences vary over "
        "problems as the base's own success does"
    )
    if not LEAST < share < MOST:
        why = "RL has almost nothing to learn from" if share <= LEAST else "little is left to gain"
        lines.append(f"right in {share:.1%}: {why}; another setting of the task would say more")
    if plan.total > 3600 * config.hours - measured.spent:
        lines.append(f"with the sizes given it takes about {in_hours(plan.total / 3600)}, more than --hours")
    return lines


def print_plan(config: OwnConfig, plan: StudyPlan) -> None:
    """A row a stage."""
    if not plan.seconds:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage")
    table.add_column("expected", justify="right")
    for stage in own_stages(config, plan):
        table.add_row(stage.name, _minutes(plan.seconds[stage.name]))
    table.add_row(f"in all, {plan.width} side by side", _minutes(plan.total))
    Console(stderr=True).print(table)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def in_hours(hours: float) -> str:
    """A time in minutes or hours."""
    return f"{60 * hours:.0f} min" if hours < 1.5 else f"{hours:.1f} hours"


def hours_up(hours: float) -> float:
    """Two digits that are not below it."""
    scale = 10.0 ** (1 - math.floor(math.log10(hours)))
    return math.ceil(hours * scale) / scale
