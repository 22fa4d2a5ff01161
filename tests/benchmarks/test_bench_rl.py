import math

import numpy as np
import pytest

from bench_rl import PHASES, Curve, Run, print_summary, speedup, summarise

SECONDS = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
REFERENCES = ("GRPO 16", "GRPO 64")


def curve(rate: float, *offsets: float) -> Curve:
    """Accuracy that rises by `rate` a second, a run a seed."""
    runs = [
        Run(np.arange(5), SECONDS, 0.1 + offset + rate * SECONDS, dict.fromkeys((*PHASES, "step"), 1.0))
        for offset in offsets
    ]
    return Curve(tuple(runs))


def test_twice_as_fast() -> None:
    # The seeds' levels differ, the seeds' speeds do not: pairing leaves nothing.
    found = speedup(curve(0.01, 0, 0.2, 0.1), curve(0.02, 0, 0.2, 0.1))
    assert found == pytest.approx({"speedup": 2.0, "low": 2.0, "high": 2.0})


def test_seeds_that_differ_open_the_interval() -> None:
    reference, other = curve(0.01, 0.0, 0.0, 0.0), curve(0.02, 0.03, 0.0, -0.03)
    found = speedup(reference, other)
    target, seconds = reference.target()
    assert (target, seconds) == pytest.approx((0.99 * 0.5, 39.5))
    half = 4.302653 * 0.03 / 3**0.5
    assert found["speedup"] == pytest.approx(2.0)
    assert (found["low"], found["high"]) == pytest.approx(
        (seconds / ((0.395 + half) / 0.02), seconds / ((0.395 - half) / 0.02))
    )


def test_what_never_gets_there_has_no_speed() -> None:
    assert speedup(curve(0.01, 0, 0), curve(0.001, 0, 0)) == {"speedup": 0.0, "low": 0.0, "high": 0.0}


def test_a_summary_says_differences_at_equal_time(capsys: pytest.CaptureFixture[str]) -> None:
    curves = {"GRPO 16": curve(0.01, 0, 0, 0), "GRPO 64": curve(0.01, -0.1, -0.2, -0.3)}
    summary = summarise(curves, REFERENCES)
    row = summary["configurations"]["GRPO 64"]
    half = 4.302653 * 0.1 / 3**0.5
    assert row["less"] == {"GRPO 16": pytest.approx([-0.2, -0.2 - half, -0.2 + half])}
    print_summary(summary, REFERENCES)
    said = capsys.readouterr().out
    assert "-20.0 (-44.8 to +4.8)" in said
    assert "nan" not in said


def test_one_seed_has_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    summary = summarise({"GRPO 16": curve(0.01, 0), "GRPO 64": curve(0.02, 0)}, REFERENCES)
    over = summary["configurations"]["GRPO 64"]["over"]["GRPO 16"]
    assert over["speedup"] == pytest.approx(2.0)
    assert math.isnan(over["low"])
    print_summary(summary, REFERENCES)
    said = capsys.readouterr().out
    assert "one seed has no interval" in said
    assert "nan" not in said
