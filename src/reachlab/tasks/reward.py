"""A user's own reward in place of a task's score: ``module:function``, called as function(problem, answer) -> float.

The task's verdict stays what decides right and wrong; only the score is replaced. The function runs in worker processes
with a time limit, like every verifier that is not ours.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Split, Task
from reachlab.types import Problem, Verdict

RewardFunction = Callable[[Problem, str], float]


def load_reward(name: str) -> RewardFunction:
    """The function that ``module:function`` names; modules in the current folder are found too.

    Raises:
        ReachlabError: no such module or function, or an error while importing it.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise ReachlabError(f"reward {name!r} must be MODULE:FUNCTION, e.g. my_rewards:brevity")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), function)
    except (Exception, SystemExit) as error:  # importing it runs the user's code
        raise ReachlabError(f"reward {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ReachlabError(f"reward {name!r} is not a function")
    reward: RewardFunction = found
    return reward


def hash_reward(name: str) -> str:
    """A hash of the source file that a reward function lies in; of its name where it has none."""
    function = load_reward(name)
    try:
        source = Path(inspect.getfile(function)).read_bytes()
    except (TypeError, OSError):
        source = name.encode()
    return hashlib.blake2b(source, digest_size=16).hexdigest()


class Rewarded(Task):
    """`task`, judged by itself and scored by the function `name`. A score may be any number.

    What the task itself cannot judge stays unscored.
    """

    isolated = True
    bounded_score = False

    def __init__(self, task: Task, name: str):
        load_reward(name)  # what cannot be imported is found before any work begins
        self.task, self.name = task, name
        self.spec, self.finite, self.answer_decides = task.spec, task.finite, task.answer_decides

    def __setstate__(self, state: dict[str, Any]) -> None:
        # In a worker: importing the function must not be on the clock of the first answer.
        self.__dict__.update(state)
        load_reward(self.name)

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """The task's."""
        return self.task.problems(split, n, seed)

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """The task's."""
        return self.task.stream(split, seed, start)

    def key(self, problem: Problem) -> str:
        """The task's."""
        return self.task.key(problem)

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The task's verdict, with the function's value as its score."""
        score = float(load_reward(self.name)(problem, text))
        return replace(self.task.verify(problem, text), score=score)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The task's."""
        return self.task.final_answer(problem, text)

    def gold(self, problem: Problem) -> str | None:
        """The task's."""
        return self.task.gold(problem)
