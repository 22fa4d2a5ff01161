"""Advice on n and m: the costs and success rates of the user's own model, put into the model of `regime/cost_model.py`.

*Timings*: seconds of generating and verifying, and of training, each at two sizes, so that what a step costs whatever
its size is told apart from what one more rollout costs; and how many of each prompt's rollouts the base gets right.
*Supposed*: all that `cost_model.py` supposes, the noise of a rollout's gradient above all. So every plan is simulated
in several worlds (noises × resampled success rates) and billed with resampled timings; the interval is over all of
these, and is an interval of the model's answers, not of what a long run would show.
"""

import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import exp, lgamma
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.models.origin import origin_of
from reachlab.progress import track
from reachlab.regime.cost_model import (
    Costs,
    Course,
    Plan,
    Schedule,
    World,
    fit_beta,
    gain_target,
    grpo,
    simulate,
    sooner,
)
from reachlab.training.recipes import settle_rl
from reachlab.training.rl import learner
from reachlab.training.rl_config import BudgetConfig, RLConfig, SelectionConfig
from reachlab.training.rl_stages import Kept
from reachlab.training.rollouts import Rollouts

Floats = NDArray[np.float64]

NOISES = (4.0, 16.0, 32.0)
"""Noises of a rollout's gradient that are thought possible, from some to so much that it decides alone."""
RESAMPLES = 2
"""Resamples of the success rates in each noise, the rates as they are counted among them."""
BILLS = 20
"""Resamples of timings and simulated seeds in each world."""
LEVEL = 0.9
"""Of the intervals."""
MOST_PROMPTS = 32
"""Prompts a step of the simulation; more are simulated as this many, since `noise` is only known roughly."""
REPEATS = 3
"""Timings of each size."""
WORTH_TRYING = 1.1
"""A speed-up below this is not worth another setting."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of the same piece of work, several times."""

    rollouts: int
    """Rollouts in the piece, over all prompts."""
    seconds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What was seen of a model, a task and a machine."""

    prompts: int
    """Prompts a step."""
    generating: tuple[Timing, ...]
    """Generating and verifying, at two sizes or more."""
    training: tuple[Timing, ...]
    """Updating, at two sizes or more."""
    correct: tuple[int, ...]
    """Right rollouts of each prompt tried."""
    drawn: tuple[int, ...]
    """Scored rollouts of each prompt tried."""
    graded: bool = False
    """Some rewards were neither 0 nor 1; those from 1/2 on were counted as right."""

    def __post_init__(self) -> None:
        for name, timings in (("generating", self.generating), ("training", self.training)):
            if len({timing.rollouts for timing in timings}) < 2:
                raise ReachlabError(f"advice: {name} needs timings at two sizes, to tell what does not grow with size")
            if any(second <= 0 for timing in timings for second in timing.seconds):
                raise ReachlabError(f"advice: {name} has a timing that is not above 0 seconds")

    def costs(self, rng: np.random.Generator | None = None) -> Costs:
        """Costs by the medians of the timings, or by those of resampled timings."""
        generate, wave = _line(self.generating, rng)
        train, step = _line(self.training, rng)
        return Costs(generate=generate, train=train, step=step, wave=wave)

    def rates(self, rng: np.random.Generator | None = None) -> tuple[float, float]:
        """alpha and beta of the success rates, by the prompts tried or by resampled ones."""
        rows = np.arange(len(self.drawn))
        if rng is not None:
            rows = rng.choice(rows, len(rows))
        return fit_beta(np.array(self.correct)[rows], np.array(self.drawn)[rows])


def measure(
    generate: Callable[[int, int], tuple[float, Tensor]],
    train: Callable[[int, int], float],
    *,
    prompts: int,
    keep: int,
    rollouts: int,
    repeats: int = 3,
) -> Timings:
    """Time both halves of a step, and count what the base gets right.

    Args:
        generate: (prompts, rollouts) → seconds to generate and verify, and rewards_PN, on prompts it has not used yet.
        train: (prompts, kept) → seconds of an update on that many rollouts of each prompt. Called after all of
            `generate`, so that the success rates are those of the base.
        prompts: prompts a step.
        keep: m, the smaller size of both.
        rollouts: n, the larger size of generating; training's is twice m.
        repeats: how often each size is timed, after one time that does not count.

    Raises:
        ReachlabError: `rollouts` not above `keep`, `keep` below 2, or too few rollouts could be scored.
    """
    if not 2 <= keep < rollouts:
        raise ReachlabError(f"advice: keep={keep} must be 2 or more, and rollouts={rollouts} above it")
    counts: list[tuple[int, int]] = []
    graded = False
    generating = []
    for size in (keep, rollouts):
        seconds = []
        for _ in range(1 + repeats):
            took, rewards_PN = generate(prompts, size)
            seconds.append(took)
            scored_PN = ~rewards_PN.isnan()
            graded |= bool(((rewards_PN != 0) & (rewards_PN != 1) & scored_PN).any())
            right_P = ((rewards_PN >= 0.5) & scored_PN).sum(dim=1)
            counts += zip(right_P.tolist(), scored_PN.sum(dim=1).tolist(), strict=True)
        generating.append(Timing(rollouts=prompts * size, seconds=tuple(seconds[1:])))
    training = [
        Timing(rollouts=prompts * size, seconds=tuple([train(prompts, size) for _ in range(1 + repeats)][1:]))
        for size in (keep, 2 * keep)
    ]
    counts = [(right, scored) for right, scored in counts if scored >= 2]
    if len(counts) < 2:
        raise ReachlabError("advice: fewer than two prompts had two scored rollouts; look at the verifier's reasons")
    correct, drawn = zip(*counts, strict=True)
    return Timings(
        prompts=prompts,
        generating=tuple(generating),
        training=tuple(training),
        correct=correct,
        drawn=drawn,
        graded=graded,
    )


@dataclass(frozen=True, kw_only=True)
class PlanChoice:
    """PODS n → m, against plain GRPO on its m and on its n rollouts: how many times sooner at the same accuracy."""

    plan: Plan
    seconds_per_step: float
    """Averaged until the target, since waves need fewer rollouts as the policy learns."""
    over_few: float
    """Over GRPO-m: the median over worlds and bills, like all three."""
    over_many: float
    """Over GRPO-n."""
    speedup: float
    """Over the faster of the two."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to run, and why."""

    choices: tuple[PlanChoice, ...]
    proposed: Plan
    verdict: str
    """One sentence."""
    facts: tuple[str, ...]
    """What was measured, in words; and what to mind."""


def advise(
    measured: Timings,
    *,
    keep: int = 16,
    widths: Sequence[int] = (2, 4, 8),
    noises: Sequence[float] = NOISES,
    schedule: Schedule | None = None,
) -> Advice:
    """Set PODS to m and to m/2, out of several n, each at once and in waves, against plain GRPO; propose one.

    Each is compared with GRPO on its own m and on its own n, at one learning rate and the measured number of prompts.

    Args:
        measured: the user's own numbers.
        keep: m, what the user would train on.
        widths: n/m to look at.
        noises: of a rollout's gradient (`regime/cost_model.py`); the interval is over them.
        schedule: how to simulate; by default the measured prompts, for 30 steps of GRPO.

    Raises:
        ReachlabError: no noise, no width or one below 2, `keep` below 2.
    """
    if not noises or not widths or min(widths) < 2 or keep < 2:
        raise ReachlabError(f"advice: keep={keep} and widths must be 2 or more, and a noise be given")
    schedule = schedule or Schedule(prompts=min(measured.prompts, MOST_PROMPTS), steps=30)
    keeps = sorted({max(2, keep // 2), keep})
    plans = [Plan(rollouts=m * w, keep=m, waves=waves) for m in keeps for w in widths for waves in (False, True)]
    rng = np.random.default_rng(schedule.seed)
    rows = []
    for noise in noises:
        for resample in range(RESAMPLES):
            alpha, beta = measured.rates(rng if resample else None)
            courses = _courses(World(alpha=alpha, beta=beta, noise=noise), plans, keep, schedule)
            rows += [_bill(courses, plans, measured, keep, rng) for _ in range(BILLS)]
    tail = (1 - LEVEL) / 2
    found_CF = np.median(rows, axis=0)
    low_C, high_C = np.quantile(np.array(rows)[..., 3], [tail, 1 - tail], axis=0, method="inverted_cdf")
    choices = tuple(
        PlanChoice(plan=plan, seconds_per_step=s, over_few=few, over_many=many, speedup=better, low=low, high=high)
        for plan, (s, few, many, better), low, high in zip(
            plans, found_CF.tolist(), low_C.tolist(), high_C.tolist(), strict=True
        )
    )
    return _conclude(choices, measured, keep)


def print_advice(advice: Advice, console: Console | None = None) -> None:
    """The facts, a table of plans, the verdict."""
    console = console or Console()
    for fact in advice.facts:
        console.print(f"- {fact}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("plan", no_wrap=True)
    for name in ("s / step", "over GRPO m", "over GRPO n", "over the better", f"{LEVEL:.0%} of answers"):
        table.add_column(name, justify="right")
    for c in advice.choices:
        numbers = [f"{c.seconds_per_step:.3g}", *(f"{x:.2f}" for x in (c.over_few, c.over_many, c.speedup))]
        style = "bold" if c.plan == advice.proposed else None
        table.add_row(c.plan.name, *numbers, f"{c.low:.2f} to {c.high:.2f}", style=style)
    console.print(table)
    console.print(advice.verdict, highlight=False, style="bold", soft_wrap=True)


def no_signal(alpha: float, beta: float, rollouts: int) -> float:
    """Share of groups of N rollouts that are all right or all wrong: E[pᴺ + (1 − p)ᴺ], p from Beta(alpha, beta)."""

    def moment(a: float, b: float) -> float:
        return exp(lgamma(a + rollouts) - lgamma(a) + lgamma(a + b) - lgamma(a + b + rollouts))

    return moment(alpha, beta) + moment(beta, alpha)


def _courses(world: World, plans: Sequence[Plan], keep: int, schedule: Schedule) -> dict[Plan, Course]:
    """Every plan and the plain GRPOs beside it, until they are where GRPO on `keep` rollouts gets."""
    base = simulate(world, grpo(keep), schedule)
    end_S = base.accuracy_ST[:, -1]
    # Far enough for targets of resampled seeds.
    until = gain_target(base.accuracy_ST) + 3 * float(end_S.std()) / len(end_S) ** 0.5
    longer = replace(schedule, steps=4 * schedule.steps)
    courses = {base.plan: base}
    for plan in plans:
        for needed in (grpo(plan.keep), grpo(plan.rollouts), replace(plan, waves=True)):
            if needed not in courses:
                courses[needed] = simulate(world, needed, longer, until)
        if not plan.waves:
            courses[plan] = _at_once(courses[replace(plan, waves=True)])
    return courses


def _at_once(course: Course) -> Course:
    """The same training with all rollouts generated: waves leave out only what could not have been kept."""
    generated_T = course.plan.rollouts * np.arange(course.accuracy_ST.shape[1], dtype=float)
    generated_ST = np.broadcast_to(generated_T, course.accuracy_ST.shape)
    return replace(course, plan=replace(course.plan, waves=False), generated_ST=generated_ST)


def _bill(
    courses: dict[Plan, Course], plans: Sequence[Plan], measured: Timings, keep: int, rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Seconds a step, and speed-ups over GRPO-m, GRPO-n and the faster, under resampled timings and seeds."""
    costs = measured.costs(rng)
    base_ST = courses[grpo(keep)].accuracy_ST
    who = rng.integers(len(base_ST), size=len(base_ST))
    target = gain_target(base_ST[who])
    whole = {plan: replace(course, prompts=measured.prompts) for plan, course in courses.items()}
    taken = {plan: course.seconds(course.reach(target, who), costs) for plan, course in whole.items()}
    found = []
    for plan in plans:
        steps = max(1, whole[plan].accuracy_ST.shape[1] - 1)
        per_step = whole[plan].seconds((steps, float(whole[plan].generated_ST[:, -1].mean())), costs) / steps
        few, many = (sooner(taken[grpo(n)], taken[plan]) for n in (plan.keep, plan.rollouts))
        found.append((per_step, few, many, min(few, many)))
    return found


def _conclude(choices: tuple[PlanChoice, ...], measured: Timings, keep: int) -> Advice:
    best = max(choices, key=lambda c: c.speedup)
    costs, (alpha, beta) = measured.costs(), measured.rates()
    rivals = f"the better of GRPO {best.plan.keep} and GRPO {best.plan.rollouts}"
    expected = f"{best.speedup:.2f} times as fast as {rivals} ({best.low:.2f} to {best.high:.2f})"
    proposed = best.plan
    if best.speedup < WORTH_TRYING:
        proposed = grpo(keep)
        why = _why(costs, alpha, beta, best.plan)
        verdict = f"plain {proposed.name}: {why}; the best of these, {best.plan.name}, would be {expected}"
    elif best.low > 1:
        verdict = f"{proposed.name}: expected {expected}"
    else:
        verdict = f"{proposed.name} may pay: expected {expected}; try both before relying on it"
    return Advice(
        choices=choices,
        proposed=proposed,
        verdict=verdict,
        facts=_facts(measured, costs, alpha, beta, keep),
    )


def _why(costs: Costs, alpha: float, beta: float, plan: Plan) -> str:
    """Why selection does not pay."""
    if costs.train < costs.generate:
        return "training on a rollout is cheaper than generating one, so none should be thrown away"
    if no_signal(alpha, beta, plan.rollouts) > 0.9:
        return "the base is almost never (or always) right, and more rollouts of the same prompts do not change that"
    if no_signal(alpha, beta, plan.keep) < 0.2:
        return f"groups of {plan.keep} already hold right and wrong answers"
    return "what selection saves in steps it costs in rollouts"


def _facts(measured: Timings, costs: Costs, alpha: float, beta: float, keep: int) -> tuple[str, ...]:
    ratio = costs.train / costs.generate
    facts = [
        f"one more rollout: {1e3 * costs.generate:.3g} ms to generate and verify, {1e3 * costs.train:.3g} ms to train "
        f"on ({ratio:.3g} times that); whatever the size, {costs.wave:.2g} s a wave and {costs.step:.2g} s an update",
        f"the base is right in {sum(measured.correct) / sum(measured.drawn):.1%} of rollouts ({len(measured.drawn)} "
        f"prompts); groups that agree, of {keep}: {no_signal(alpha, beta, keep):.0%}, of {4 * keep}: "
        f"{no_signal(alpha, beta, 4 * keep):.0%}",
    ]
    if measured.graded:
        facts.append("some rewards are neither 0 nor 1; the advice counts those from 1/2 on as right")
    return tuple(facts)


def _line(timings: Sequence[Timing], rng: np.random.Generator | None) -> tuple[float, float]:
    """Seconds of one more rollout, and of none: the line through the smallest and the largest size.

    Neither may be negative: where noise says so, all seconds are put on the rollouts.
    """

    def median(timing: Timing) -> float:
        return float(np.median(timing.seconds if rng is None else rng.choice(timing.seconds, len(timing.seconds))))

    small, large = (pick(timings, key=lambda t: t.rollouts) for pick in (min, max))
    short, long = median(small), median(large)
    slope = (long - short) / (large.rollouts - small.rollouts)
    fixed = short - slope * small.rollouts
    return (slope, fixed) if slope > 0 and fixed >= 0 else (long / large.rollouts, 0.0)


def advise_rl(config: RLConfig) -> Advice:
    """Measure a run's own model, task and machine for some steps, and propose n and m; nothing is written.

    Raises:
        ReachlabError: as `train_rl`; or there is nothing to go by.
    """
    config = settle_rl(config, origin_of(find_checkpoint(config.model)))
    keep = max(2, config.keep)
    most = max(config.budget.rollouts, 4 * keep)
    plain = replace(config, selection=SelectionConfig(), evaluation=replace(config.evaluation, watch=False))
    plain = replace(plain, budget=BudgetConfig(rollouts=most, redraws=0))
    # A folder that is never made: an existing run of this configuration has nothing to say here.
    plain = replace(plain, out=str(Path(tempfile.gettempdir()) / f"reachlab-advise-{uuid.uuid4().hex}"))
    steps = count()
    with learner(plain) as found, track("measure", 2 * (1 + REPEATS) * 2) as advance:
        if found.processes.world > 1:
            raise ReachlabError("--advise measures one process; start it by itself")
        last: Rollouts

        def generate(prompts: int, rollouts: int) -> tuple[float, Tensor]:
            nonlocal last
            budget = replace(plain.budget, rollouts=rollouts)
            source = replace(found.source, config=replace(found.config, budget=budget))
            began = time.perf_counter()
            with found.engine.ready():
                last, _ = source.draw(next(steps))
            advance()
            return time.perf_counter() - began, last.rewards_PN

        def train(prompts: int, kept: int) -> float:
            began = time.perf_counter()
            kept_PM = torch.arange(kept).expand(prompts, kept)
            chosen = Kept(kept_PM, torch.ones_like(kept_PM, dtype=torch.bool))
            tokens = found.passes.tokens(last, chosen)
            worth = found.advantages(last, chosen, tokens)
            # As if every rollout taught something: what it costs does not depend on what it says.
            worth = replace(worth, values=torch.where(worth.values == 0, 1e-3, worth.values))
            found.passes.update(found.run, found.passes.losses(tokens, worth), next(steps))
            advance()
            return time.perf_counter() - began

        measured = measure(generate, train, prompts=config.prompts, keep=keep, rollouts=most, repeats=REPEATS)
    return advise(measured, keep=keep)
