import math
import random
from typing import Any

import pytest

from reachlab.checks.contract import ContractError
from reachlab.checks.reward import check_reward
from reachlab.tasks.rewards import Reward


def length(problem: Any, text: str) -> float:
    if "x" in text:
        raise KeyError("x has none")
    return math.nan if len(text) > 100 else len(text) / 100


def chance(problem: Any, text: str) -> float:
    return random.random()


def silent(problem: Any, text: str) -> float:
    return math.nan


def endless(problem: Any, text: str) -> float:
    return math.inf


def wordy(problem: Any, text: str) -> Any:
    return "much"


def meddling(problem: Any, text: str) -> float:
    problem.metadata["seen"] = text
    return 1.0


def test_partial_rewards_and_none_are_in_order() -> None:
    check_reward(Reward(name="length", function=length, range=(0.0, 1.0)), "countdown")
    check_reward("tests.checks.test_reward:length")


@pytest.mark.parametrize(
    ("function", "settings", "says"),
    [
        (chance, {}, "and then .*; it is a function of the problem and the answer"),
        (silent, {}, "gives no answer a number"),
        (endless, {}, "is inf; it is finite"),
        (wordy, {}, "is none: it returned 'much', which is no number"),
        (meddling, {}, "changes the problem"),
        (length, {"range": (0.5, 1.0)}, "is none: it returned 0.25, and its range is 0.5 to 1"),
        (lambda _, text: 1.0, {}, "is defined in a notebook or a function"),
    ],
)
def test_what_is_broken_is_found(function: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=f"the reward 'mine' .*{says}"):
        check_reward(Reward(name="mine", function=function, **settings))
