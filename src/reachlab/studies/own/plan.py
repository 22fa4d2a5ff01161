"""From what a token and a step cost to how many of them fit the time. Pure arithmetic; nothing is run here.

The time is cut by shares: 40 % for the answers that are measured, 40 % for RL (a third each for GRPO, PODS and the
random reward; PODS gets GRPO's seconds and not its steps, as its paper compares them), 20 % for the teacher, distilling
and the continuation. What every stage costs before it begins is taken off first. Inside its share each part takes as
much as fits, up to a number beyond which more would say little; fewer than a least number and the study says nothing,
so the plan is refused with the smallest time that does. The stages' order on the machine is then played through
(`makespan`), and where that takes longer than the time, everything shrinks.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reachlab.studies.own.config import SIZES, OwnConfig
from reachlab.studies.stages import Stage

SAMPLING, RL, TEACHING = 0.4, 0.4, 0.2
"""Shares of the time."""
IN_HAND = 0.9
"""Of the time is planned with; the rest is for the comparison, the page, and busy neighbours."""
WIDER = 4
"""PODS draws so many times the rollouts that it keeps (its paper: 64 to 16)."""
SHAPES = ((32, 16), (16, 16), (16, 8), (8, 8), (4, 8))
"""Prompts and rollouts of an RL step, tried in this order until enough steps fit."""
ENOUGH_STEPS, LEAST_STEPS, MOST_STEPS = 60, 8, 200
BATCH = 32
"""Answers a step of distilling."""
LEAST_DISTILL, MOST_DISTILL = 10, 200
MOST_SAMPLES, LEAST_SAMPLES = 1024, 8
ENOUGH_PROBLEMS, LEAST_PROBLEMS, MOST_PROBLEMS = 100, 24, 1000
TRIES, SMALLER = 60, 0.97
"""Times that a plan which takes too long is made smaller, each time at least so much."""
EPOCHS = 2
"""How often a teacher model's right answers may come round."""
MODELS = ("base", "grpo", "pods", "random", "distilled", "continued")
"""Whose answers are measured, the base's first."""
TRAINED = 7
"""Commands beside those that measure: five train, and the base and a teacher model answer training problems."""


@dataclass(frozen=True, kw_only=True)
class RunMeasurements:
    """What one stage at a time, beside as many others as will run, takes on this machine; in seconds."""

    spent: float
    """By measuring itself, on the clock."""
    start: float
    """Until a sampling command draws its first answer."""
    train_start: float
    """Of a training command beside its steps: until the first, and for the checkpoint after the last."""
    answer: float
    """Drawing and judging an answer."""
    rollout: float
    """Drawing and judging a rollout."""
    update: float
    """Learning a rollout that has an advantage."""
    learn: float
    """Learning an answer of the teacher."""
    answer_tokens: float
    """Of the base's answers, the mean."""
    taught_tokens: float
    """Of the teacher's answers."""
    prompt_tokens: float
    longest: int
    """Tokens that 19 of 20 of the base's answers, and the solver's, stay below."""
    right: tuple[int, ...]
    """Right answers of each training problem tried."""
    drawn: tuple[int, ...]
    """Scored ones."""
    dull: float
    """Share of the base's groups of rollouts that agree, which GRPO does not learn from."""
    teacher_answer: float = 0.0
    """Drawing an answer of the teacher model."""
    teacher_right: float = 1.0
    """Share of its answers that are right."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """All that the time decides."""

    max_tokens: int
    problems: int
    samples: int
    prompts: int
    rollouts: int
    steps: int
    pods_steps: int
    distill_steps: int
    own_answers: int
    """Of the base, to training problems: what the continuation learns."""
    teacher_answers: int = 0
    """Of a teacher model, to training problems."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What is run, and how long each stage should take (nothing where nothing was measured)."""

    sizes: Sizes
    width: int
    """Stages side by side."""
    threads: int
    """Of each."""
    trainable: int
    """Training problems of which answers are drawn, at most."""
    seconds: Mapping[str, float]
    """Of every stage by its name."""
    total: float = 0.0
    """Of the whole study, measuring left out."""


def fixed_sizes(config: OwnConfig) -> Sizes:
    """The user's own."""
    answers = BATCH * config.distill_steps
    return Sizes(
        max_tokens=config.max_tokens,
        problems=config.problems,
        samples=config.samples,
        prompts=config.prompts or 16,
        rollouts=config.rollouts or 8,
        steps=config.steps,
        pods_steps=config.pods_steps,
        distill_steps=config.distill_steps,
        own_answers=answers,
        teacher_answers=answers if config.teacher_model else 0,
    )


def fit(config: OwnConfig, found: RunMeasurements, available: int, slots: float, stages: int) -> Sizes | None:
    """The sizes that fit into `slots` seconds of one stage after the other; None where too little fits to say anything.

    `available` is how many held-out problems there are, `stages` how many commands start.
    """
    left = slots - stages * max(found.start, found.train_start)
    if left <= 0:
        return None
    asked = _problems_and_samples(config, SAMPLING * left / (len(MODELS) * found.answer), available)
    rl = _rl(config, found, RL * left / 3)
    taught = config.distill_steps or min(MOST_DISTILL, int(TEACHING * left / _taught(config, found)))
    if asked is None or rl is None or taught < (1 if config.distill_steps else LEAST_DISTILL):
        return None
    (problems, samples), (prompts, rollouts, steps, pods_steps) = asked, rl
    learned = BATCH * taught
    return Sizes(
        max_tokens=config.max_tokens or found.longest,
        problems=problems,
        samples=samples,
        prompts=prompts,
        rollouts=rollouts,
        steps=steps,
        pods_steps=pods_steps,
        distill_steps=taught,
        own_answers=math.ceil(learned * found.taught_tokens / found.answer_tokens),
        teacher_answers=_of_teacher(learned, found) if config.teacher_model else 0,
    )


def _problems_and_samples(config: OwnConfig, answers: float, available: int) -> tuple[int, int] | None:
    """As many samples as leave enough problems: a large k says nothing of few problems, and many of small k little."""
    if config.problems and config.samples:
        return config.problems, config.samples
    enough, least = min(ENOUGH_PROBLEMS, available), min(LEAST_PROBLEMS, available)
    if config.samples:
        problems = min(int(answers / config.samples), available, MOST_PROBLEMS)
        return (problems, config.samples) if problems >= least else None
    if config.problems:
        samples = min(int(answers / config.problems), MOST_SAMPLES)
        return (config.problems, samples) if samples >= LEAST_SAMPLES else None
    samples = MOST_SAMPLES
    while samples > LEAST_SAMPLES and answers / samples < enough:
        samples //= 2
    problems = min(int(answers / samples), available, MOST_PROBLEMS)
    return (problems, samples) if problems >= least else None


def _rl(config: OwnConfig, found: RunMeasurements, seconds: float) -> tuple[int, int, int, int] | None:
    """Prompts, rollouts, steps, and PODS's steps, of runs that take so many seconds each."""
    shapes = [(config.prompts or p, config.rollouts or n) for p, n in SHAPES]
    steps_of = [min(MOST_STEPS, int(seconds / random_step(p, n, found))) for p, n in shapes]
    fits = next((i for i, steps in enumerate(steps_of) if steps >= ENOUGH_STEPS), len(shapes) - 1)
    (prompts, rollouts), steps = shapes[fits], config.steps or steps_of[fits]
    each = steps * grpo_step(prompts, rollouts, found)
    pods_steps = config.pods_steps or max(1, round(each / pods_step(prompts, rollouts, found)))
    if steps < (1 if config.steps else LEAST_STEPS):
        return None
    return prompts, rollouts, steps, pods_steps


def random_step(prompts: int, rollouts: int, found: RunMeasurements) -> float:
    """Seconds of an RL step in which every rollout has an advantage, as with a random reward."""
    return prompts * rollouts * (found.rollout + found.update)


def grpo_step(prompts: int, rollouts: int, found: RunMeasurements) -> float:
    """Seconds of an RL step; groups that agree are not learned from."""
    return prompts * rollouts * (found.rollout + (1 - found.dull) * found.update)


def pods_step(prompts: int, rollouts: int, found: RunMeasurements) -> float:
    """Seconds of a step that draws `WIDER` times what it learns from; so many rollouts seldom agree."""
    return prompts * rollouts * (WIDER * found.rollout + (1 - found.dull**WIDER) * found.update)


def _taught(config: OwnConfig, found: RunMeasurements) -> float:
    """Seconds that a step of distilling costs, with its share of the teacher's answers and of the continuation."""
    own = found.taught_tokens / found.answer_tokens
    teacher = _of_teacher(BATCH, found) * found.teacher_answer if config.teacher_model else 0.0
    return teacher + BATCH * (found.learn + own * (found.answer + continue_one(found)))


def continue_one(found: RunMeasurements) -> float:
    """Seconds of learning one of the base's own answers: as a teacher's, by the tokens that pass."""
    return found.learn * (found.prompt_tokens + found.answer_tokens) / (found.prompt_tokens + found.taught_tokens)


def _of_teacher(learned: int, found: RunMeasurements) -> int:
    return math.ceil(learned / EPOCHS / max(found.teacher_right, 0.05))


def expected(sizes: Sizes, found: RunMeasurements) -> dict[str, float]:
    """Seconds of every stage, by the names that `stages.py` gives them."""
    measured = found.start + sizes.problems * sizes.samples * found.answer
    shape = sizes.prompts, sizes.rollouts, found
    learned = BATCH * sizes.distill_steps
    seconds = {
        "teacher answers": found.start + sizes.teacher_answers * found.teacher_answer,
        "own answers": found.start + sizes.own_answers * found.answer,
        "distil": found.train_start + learned * found.learn,
        "continue": found.train_start + sizes.own_answers * continue_one(found),
        "RL, PODS": found.train_start + sizes.pods_steps * pods_step(*shape),
        "RL, random reward": found.train_start + sizes.steps * random_step(*shape),
        "RL, GRPO": found.train_start + sizes.steps * grpo_step(*shape),
    }
    return seconds | {f"sample {name}": measured for name in MODELS}


def makespan(stages: Sequence[Stage], seconds: Mapping[str, float], cores: int) -> float:
    """When the last stage ends, if `run_stages` starts them by its rule."""
    waiting, running, done, now = list(stages), dict[str, float](), set[str](), 0.0
    threads = {stage.name: stage.threads for stage in stages}
    while waiting or running:
        for stage in [s for s in waiting if set(s.needs) <= done]:
            if sum(threads[name] for name in running) + stage.threads <= max(cores, stage.threads):
                running[stage.name] = now + seconds[stage.name]
                waiting.remove(stage)
        first = min(running, key=lambda name: running[name])
        now = running.pop(first)
        done.add(first)
    return now


def decide(
    config: OwnConfig,
    found: RunMeasurements,
    machine: StudyPlan,
    available: int,
    stages: Callable[[StudyPlan], list[Stage]],
) -> StudyPlan | None:
    """The plan that fits the time; None where there is too little of it.

    `machine` is any plan for it; `stages` are the commands of a plan.
    """
    time = IN_HAND * (3600 * config.hours - found.spent)
    slots = time * machine.width
    plan = None
    for _ in range(TRIES):
        sizes = fit(config, found, available, slots, len(MODELS) + TRAINED)
        if sizes is None:
            break
        plan = replace(machine, sizes=sizes, seconds=expected(sizes, found))
        plan = replace(plan, total=makespan(stages(plan), plan.seconds, plan.width * plan.threads))
        if plan.total <= time:
            return plan
        slots *= min(SMALLER, time / plan.total)
    # What the user has fixed may take longer than the user has.
    return plan if any(getattr(config, name) for name in SIZES) else None


def smallest(decided: Callable[[float], StudyPlan | None], hours: float) -> float | None:
    """The least time, in hours, that a plan fits into, to a twentieth; None where none up to a thousandfold does."""
    low, high = hours, 2 * hours
    while decided(high) is None:
        low, high = high, 2 * high
        if high > 1000 * hours:
            return None
    while high > 1.05 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) is not None else (middle, high)
    return high
