from dataclasses import replace

import pytest
from tests.studies.own.test_plan import SMALL, config, decided

from reachlab.studies.own.telling import describe, hours_up, in_hours, print_plan


def test_the_plan_says_its_power_before_it_begins() -> None:
    plan = decided(config())
    assert plan is not None
    said = " ".join(describe(config(), plan, SMALL))
    assert f"{plan.sizes.problems} held-out problems" in said
    assert "the base is right in 25.0% of 12 tries" in said
    assert "points at k=1 and of" in said
    assert "another setting" not in said


@pytest.mark.parametrize(("right", "says"), [(0, "RL has almost nothing to learn from"), (4, "little is left to gain")])
def test_a_task_that_is_too_hard_or_too_easy(right: int, says: str) -> None:
    plan = decided(config())
    assert plan is not None
    found = replace(SMALL, right=(right,) * 3)
    assert says in " ".join(describe(config(), plan, found))


def test_sizes_that_take_longer_than_the_time() -> None:
    asked = config(hours=0.25, problems=500, samples=64, steps=100, pods_steps=50, distill_steps=100, max_tokens=9)
    plan = decided(asked)
    assert plan is not None
    assert describe(asked, plan, SMALL)[-1].startswith("with the sizes given it takes about")


def test_a_row_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    plan = decided(config())
    assert plan is not None
    print_plan(config(), plan)
    shown = capsys.readouterr().err
    for name in plan.seconds:
        assert (name in shown) == (name != "teacher answers")
    assert "in all, 2 side by side" in shown


@pytest.mark.parametrize(("hours", "up"), [(0.1234, 0.13), (0.12, 0.12), (1.51, 1.6), (23.4, 24), (0.0301, 0.031)])
def test_two_digits_that_are_not_below(hours: float, up: float) -> None:
    assert hours_up(hours) == pytest.approx(up)


def test_times() -> None:
    assert in_hours(0.5) == "30 min"
    assert in_hours(7.26) == "7.3 hours"
