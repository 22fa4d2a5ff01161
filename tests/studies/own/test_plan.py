from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import (
    BATCH,
    IN_HAND,
    LEAST_DISTILL,
    LEAST_PROBLEMS,
    LEAST_SAMPLES,
    LEAST_STEPS,
    MODELS,
    RunMeasurements,
    StudyPlan,
    continue_one,
    decide,
    expected,
    fixed_sizes,
    grpo_step,
    makespan,
    pods_step,
    random_step,
    smallest,
)
from reachlab.studies.own.stages import own_stages
from reachlab.studies.stages import Stage

SMALL = RunMeasurements(
    spent=100, start=10, train_start=20, answer=0.1, rollout=0.1, update=0.2, learn=0.3, answer_tokens=20,
    taught_tokens=10, prompt_tokens=40, longest=48, right=(1, 0, 2), drawn=(4, 4, 4), dull=0.5,
)  # fmt: skip


def config(**said: object) -> OwnConfig:
    return OwnConfig(**{"model": "m", "task": "countdown", **said})  # type: ignore[arg-type]


def machine(asked: OwnConfig, width: int = 2) -> StudyPlan:
    return StudyPlan(sizes=fixed_sizes(asked), width=width, threads=1, trainable=400, seconds={})


def decided(
    asked: OwnConfig, found: RunMeasurements = SMALL, available: int = 1 << 30, width: int = 2
) -> StudyPlan | None:
    return decide(asked, found, machine(asked, width), available, lambda plan: own_stages(asked, plan))


def test_seconds_of_a_step() -> None:
    """8 prompts, 4 rollouts: 32 drawn at 0.1 s; learning one takes 0.2 s."""
    assert random_step(8, 4, SMALL) == pytest.approx(32 * 0.3)
    assert grpo_step(8, 4, SMALL) == pytest.approx(32 * (0.1 + 0.1))
    assert pods_step(8, 4, SMALL) == pytest.approx(32 * (0.4 + 0.2 * (1 - 0.5**4)))
    # As many tokens pass as in the teacher's answers, and ten more.
    assert continue_one(SMALL) == pytest.approx(0.3 * 60 / 50)


def test_half_an_hour_on_two_cores() -> None:
    plan = decided(config())
    assert plan is not None
    sizes = plan.sizes
    assert sizes.max_tokens == 48
    assert sizes.own_answers == BATCH * sizes.distill_steps // 2
    assert sizes.teacher_answers == 0
    # The answers that are measured take their share: 40 % of what the 13 commands' beginnings leave.
    measured = len(MODELS) * sizes.problems * sizes.samples * SMALL.answer
    assert measured <= 0.4 * (2 * IN_HAND * 1700 - 13 * 20)
    assert sizes.problems >= 100
    each = sizes.steps * grpo_step(sizes.prompts, sizes.rollouts, SMALL)
    step = pods_step(sizes.prompts, sizes.rollouts, SMALL)
    assert abs(each - sizes.pods_steps * step) <= step
    assert plan.total <= IN_HAND * 1700


@given(
    hours=st.floats(0.05, 50), answer=st.floats(1e-3, 5), update=st.floats(1e-3, 5), start=st.floats(0.1, 100),
    available=st.integers(1, 5000), width=st.integers(1, 4), dull=st.floats(0, 1),
)  # fmt: skip
def test_a_plan_fits_its_time_and_says_something(
    hours: float, answer: float, update: float, start: float, available: int, width: int, dull: float
) -> None:
    found = replace(SMALL, answer=answer, rollout=answer, update=update, start=start, train_start=start, dull=dull)
    plan = decided(config(hours=hours), found, available, width)
    if plan is None:
        return
    sizes = plan.sizes
    assert plan.total <= IN_HAND * (3600 * hours - found.spent)
    assert min(LEAST_PROBLEMS, available) <= sizes.problems <= available
    assert sizes.samples >= LEAST_SAMPLES
    assert sizes.steps >= LEAST_STEPS
    assert sizes.distill_steps >= LEAST_DISTILL
    assert sizes.pods_steps >= 1


def test_more_time_is_never_less_of_a_study() -> None:
    plans = [decided(config(hours=hours)) for hours in (0.3, 0.5, 1, 2, 4, 8)]
    work = [p.sizes.problems * p.sizes.samples for p in plans if p]
    assert len(work) == 6
    assert work == sorted(work)


def test_the_smallest_time() -> None:
    assert decided(config(hours=0.05)) is None
    least = smallest(lambda hours: decided(config(hours=hours)), 0.05)
    assert least is not None
    assert decided(config(hours=least)) is not None
    assert decided(config(hours=least / 1.1)) is None
    assert smallest(lambda hours: None, 0.05) is None


def test_what_the_user_says_is_kept() -> None:
    said = config(problems=40, samples=16, steps=9, pods_steps=3, distill_steps=12, prompts=6, rollouts=4)
    plan = decided(said)
    assert plan is not None
    sizes = plan.sizes
    assert (sizes.problems, sizes.samples, sizes.steps, sizes.pods_steps) == (40, 16, 9, 3)
    assert (sizes.distill_steps, sizes.prompts, sizes.rollouts) == (12, 6, 4)


def test_a_teacher_model_that_is_seldom_right_draws_more() -> None:
    asked = config(teacher_model="big")
    half, tenth = (
        decided(asked, replace(SMALL, teacher_answer=0.1, teacher_right=share)) for share in (0.5, 0.1)
    )  # fmt: skip
    assert half is not None
    assert tenth is not None
    assert half.sizes.teacher_answers == BATCH * half.sizes.distill_steps
    assert tenth.sizes.distill_steps < half.sizes.distill_steps


def test_every_stage_has_its_time() -> None:
    asked = config(teacher_model="big")
    plan = decided(asked, replace(SMALL, teacher_answer=0.1, teacher_right=0.5))
    assert plan is not None
    stages = own_stages(asked, plan)
    assert {stage.name for stage in stages} == set(plan.seconds)
    assert all(stage.expected == plan.seconds[stage.name] > 0 for stage in stages)
    assert plan.seconds == expected(plan.sizes, replace(SMALL, teacher_answer=0.1, teacher_right=0.5))


def test_when_the_last_stage_ends() -> None:
    stages = [Stage("a", (), ("b",)), Stage("b", ()), Stage("c", ()), Stage("wide", (), ("c",), threads=2)]
    seconds = {"a": 5.0, "b": 1.0, "c": 2.0, "wide": 10.0}
    # b and c side by side; a from 1 to 6; wide needs both cores, from 6.
    assert makespan(stages, seconds, 2) == 16.0
    assert makespan(stages, seconds, 1) == 18.0
    assert makespan([], {}, 2) == 0.0
