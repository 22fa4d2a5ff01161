"""A task whose answers are scored by a reward of one's own (`rewards.py`).

The task's verdict stays what decides right and wrong; only the score is replaced. The function runs in worker processes
with a time limit, like every verifier that is not ours; one that no other process can have (of a notebook) runs here,
without.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from reachlab.plugins import travels
from reachlab.tasks.base import Split, Task
from reachlab.tasks.rewards import load_reward
from reachlab.tasks.saying import words
from reachlab.types import Problem, Verdict


class Rewarded(Task):
    """`task`, judged by itself and scored by the reward `name`. A score may be any number, and NaN where there is none.

    What the task itself cannot judge stays unscored.
    """

    bounded_score = False

    def __init__(self, task: Task, name: str):
        self.reward = load_reward(name)  # what cannot be imported is found before any work begins
        self.task = task
        self.isolated = task.isolated or travels(self.reward.function)
        self.spec, self.finite, self.answer_decides = task.spec, task.finite, task.answer_decides
        self.decoding, self.verify_limit_s = dict(task.decoding), task.verify_limit_s

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
        """The task's verdict, with the reward as its score. Where it raises, the verdict stays and the score is NaN."""
        verdict = self.task.verify(problem, text)
        if verdict.status == "unscored":
            return verdict
        try:
            score = self.reward(problem, text)
        except MemoryError:
            raise
        except Exception as error:
            return replace(verdict, score=math.nan, reason=f"no reward {self.reward.name}: {words(error)}")
        if math.isnan(score):
            return replace(verdict, score=score, reason=f"the reward {self.reward.name} says NaN: there is none")
        return replace(verdict, score=score)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The task's."""
        return self.task.final_answer(problem, text)

    def gold(self, problem: Problem) -> str | None:
        """The task's."""
        return self.task.gold(problem)
