"""Whether a reward of one's own keeps what `tasks/rewards.py` promises of it."""

import copy
import math
from random import Random

from reachlab.checks.contract import Contract
from reachlab.checks.task import TEXTS
from reachlab.plugins import travels
from reachlab.tasks.base import Task
from reachlab.tasks.registry import load_task
from reachlab.tasks.rewards import Reward, load_reward
from reachlab.types import Problem

MOST = 1e12
"""What a reward may be at most: it is a factor of a float32 gradient."""


def check_reward(reward: Reward | str, task: Task | str = "chain", problems: int = 8) -> None:
    """Ask for the reward of right and of other answers to some problems of a task.

    Args:
        reward: it, or its name or place, as `--reward` has it.
        task: whose problems are answered, or its name; the one that the reward is meant for.
        problems: how many.

    Raises:
        ContractError: it does not do what a reward promises.
    """
    reward = load_reward(reward) if isinstance(reward, str) else reward
    contract = Contract(f"the reward {reward.name!r}")
    contract.holds(
        travels(reward.function), "is defined in a notebook or a function", "it is judged in processes of its own"
    )
    task = load_task(task) if isinstance(task, str) else task
    asked: list[tuple[Problem, str]] = []
    for problem in task.problems("all", problems):
        solution = task.solve(problem, Random(0))
        right = [] if solution is None else [solution]
        asked += [(problem, text) for text in (*right, *TEXTS)]
    first = [_reward_of(reward, problem, text, contract) for problem, text in asked]
    again = [_reward_of(reward, problem, text, contract) for problem, text in reversed(asked)][::-1]
    contract.holds(any(not math.isnan(r) for r in first), "gives no answer a number", "NaN is for what has no reward")
    for (problem, text), one, other in zip(asked, first, again, strict=True):
        contract.holds(
            one == other or (math.isnan(one) and math.isnan(other)),
            f"gives {text[:20]!r} to {problem.id[:40]!r} {one:g} and then {other:g}",
            "it is a function of the problem and the answer, for equal answers are asked once",
        )


def _reward_of(reward: Reward, problem: Problem, text: str, contract: Contract) -> float:
    """A reward; NaN where the function raises, which counts as none."""
    before = copy.deepcopy((problem.prompt, problem.answer, dict(problem.metadata)))
    try:
        found = reward(problem, text)
    except ValueError as error:
        contract.holds(
            not str(error).startswith("it returned"), f"is none: {error}", "it is a number, within its range"
        )
        return math.nan
    except Exception:
        return math.nan
    contract.holds(
        (problem.prompt, problem.answer, dict(problem.metadata)) == before,
        f"changes the problem {problem.id[:40]!r}",
        "problems are shared",
    )
    contract.holds(math.isnan(found) or abs(found) < MOST, f"is {found:g}", f"it is finite, and below {MOST:g} in size")
    return found
