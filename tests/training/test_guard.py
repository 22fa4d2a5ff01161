import math

import pytest

from reachlab.training.config import OptimizerConfig
from reachlab.training.guard import LeapError, check

ADAMW = OptimizerConfig(method="adamw", lr=3e-4)


@pytest.mark.parametrize(("moved", "limit"), [(0.0, 0.5), (0.5, 0.5), (7.0, 0.0), (math.nan, 0.0)])
def test_up_to_the_limit_and_without_one_a_run_goes_on(moved: float, limit: float) -> None:
    check("moved the policy", moved, limit, ADAMW, 1)


@pytest.mark.parametrize("moved", [0.51, math.inf, math.nan])
def test_beyond_it_a_line_says_what_to_change(moved: float) -> None:
    with pytest.raises(LeapError) as error:
        check("moved the policy", moved, 0.5, ADAMW, 3)
    said = str(error.value)
    assert said.startswith(f"step 3 moved the policy by {moved:.2f} nats a token, more than --guard 0.5 allows")
    assert said.endswith("Lower --lr 0.0003 to 3e-05, or add a warm-up (--warmup 20)")


def test_both_rates_of_muon_are_named_and_a_warm_up_that_is_there_is_not_proposed() -> None:
    muon = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=50)
    with pytest.raises(LeapError, match=r"Lower --lr 0.004 to 0.0004 and --muon-lr 0.02 to 0.002$"):
        check("raised the loss above its start", 2.0, 1.0, muon, 4)
