import json
import math

import numpy as np
import pytest

from bench_routing import Run, print_summary, summarise

TOKENS = np.array([1.0, 2.0, 3.0, 4.0])


def run(loss: float, slope: float = 1.0, seconds: float = 1.0) -> Run:
    """A loss that falls on a straight line to `loss`."""
    return Run(TOKENS, seconds * TOKENS, loss + slope * (TOKENS[-1] - TOKENS))


def test_losses_are_paired_by_seed() -> None:
    topk = [run(4.0), run(5.0), run(6.0)]
    linear = [run(3.97), run(4.984), run(5.995)]
    row = summarise({"topk": topk, "linear": linear})["linear"]
    assert row["seeds"] == 3
    # The seeds' own levels, 4 to 6, are not in it.
    assert row["loss"] == pytest.approx([-0.017, -0.0482, 0.0142], abs=1e-4)
    # Ahead by 0.017 where a token is 1: three seeds cannot tell this from never.
    assert row["tokens"] == pytest.approx([1 - 0.017 / 4, 1 - 0.0482 / 4, math.inf], abs=1e-4)


def test_time_is_a_share_of_each_seeds_own() -> None:
    topk = [run(4.0, seconds=1.0), run(5.0, seconds=10.0)]
    other = [run(3.0, seconds=0.5), run(4.0, seconds=5.0)]
    row = summarise({"topk": topk, "other": other})["other"]
    assert row["tokens"] == pytest.approx([0.75] * 3)
    assert row["time"] == pytest.approx([0.375] * 3)


def test_one_seed_has_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    table = summarise({"topk": [run(4.0)], "other": [run(3.0)]})
    assert table["other"]["loss"][0] == -1.0
    assert np.isnan(table["other"]["loss"][1:]).all()
    assert np.isnan(table["other"]["tokens"][1:]).all()
    print_summary(table)
    said = capsys.readouterr().out
    assert "one seed has no interval" in said
    assert "nan" not in said


def test_only_seeds_that_both_have_are_compared() -> None:
    table = summarise({"topk": [run(4.0), run(5.0)], "other": [run(3.0)], "third": []})
    assert table["other"]["seeds"] == 1
    assert "third" not in table
    assert json.dumps(table["other"]["tokens"][0]) == "0.75"
