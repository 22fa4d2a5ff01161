"""Judging many answers, whatever they do to the verifier: one that hangs or crashes it harms no other.

A task that says `isolated` is judged in worker processes (`lanes.py`). The limit for an answer is the worker's own CPU
seconds, and a far larger one on the clock for what sleeps: so a verdict does not depend on how busy the machine is. Nor
does it depend on other answers, but for what a verifier itself keeps in its process, such as sympy's caches.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, cast

from reachlab.errors import ReachlabError
from reachlab.plugins import travels
from reachlab.tasks.base import Task
from reachlab.tasks.lanes import Item, Lanes
from reachlab.tasks.overseer import Overseer
from reachlab.tasks.saying import Question, Value, ask, failed, read, words
from reachlab.types import Judged, Problem, StepCheck, Verdict

Pair = tuple[Problem, str]

MEMORY_BYTES = 4 << 30
WALL_FACTOR, LEAST_WALL_S = 20.0, 60.0


class Judge:
    """Scores answers of one task. Use it as a context manager, from any number of threads: they share its workers
    fairly, and none waits for another's slow answer.

    Args:
        task: whose `verify` judges; an `isolated` one must pickle, and a new interpreter must find its class.
        workers: processes for an `isolated` task, started when first needed; None is one a core. While all of them are
            held up by slow answers there may be as many again.
        timeout_s: CPU seconds that one answer may take in an `isolated` task; a task may need more (`verify_limit_s`).
        wall_s: seconds on the clock that it may take; None is 20 times as many, and at least a minute.
        memory_bytes: address space that a worker may take.

    Raises:
        ReachlabError: workers or seconds that cannot be.
    """

    def __init__(
        self,
        task: Task,
        *,
        workers: int | None = None,
        timeout_s: float = 5.0,
        wall_s: float | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ):
        if workers is not None and workers < 1:
            raise ReachlabError(f"workers={workers} must be 1 or more")
        if not 0 < timeout_s < float("inf"):
            raise ReachlabError(f"timeout={timeout_s} must be above 0: CPU seconds for one answer")
        if task.isolated and not all(map(travels, _parts(task))):
            raise ReachlabError(
                f"task {task.spec!r} is judged in other processes, which cannot have what a notebook or a function "
                "defines; put it into a file, and import that (docs/extend.md)"
            )
        self.task = task
        cpu_s = max(timeout_s, task.verify_limit_s)
        wall = max(WALL_FACTOR * cpu_s, LEAST_WALL_S) if wall_s is None else wall_s

        def start() -> Overseer:
            return Overseer(task, cpu_s=cpu_s, wall_s=wall, memory_bytes=memory_bytes)

        self._lanes = Lanes(start, workers or os.cpu_count() or 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. Judging again starts new ones."""
        self._lanes.close()

    def judge(self, pairs: Iterable[Pair], progress: Callable[[int], None] | None = None) -> list[Judged]:
        """Verdict, steps and final answer of each (problem, answer), in order; `progress` as of `verify`.

        Where one of the three cannot be had, the others still are.

        Raises:
            ReachlabError: as of `verify`.
        """
        asked = list(pairs)
        verdicts, steps, answers = self._ask(("verify", "check_steps", "final_answer"), asked, progress)
        return list(
            map(
                Judged,
                cast(list[Verdict], verdicts),
                cast(list[StepCheck | None], steps),
                cast(list[str | None], answers),
            )
        )

    def verify(self, pairs: Iterable[Pair], progress: Callable[[int], None] | None = None) -> list[Verdict]:
        """A verdict for each (problem, answer), in order; `progress` is told how many are judged so far.

        A verifier that raises, dies or runs out of time gives "unscored" with the reason, never "wrong".
        Equal answers to the same problem are judged once where judging is expensive.

        Raises:
            ReachlabError: the workers of an `isolated` task cannot be started, or were closed meanwhile.
        """
        return cast(list[Verdict], self._ask(("verify",), list(pairs), progress)[0])

    def check_steps(self, pairs: Iterable[Pair]) -> list[StepCheck | None]:
        """How far the steps of each answer hold; None where the task cannot say, in time and without an error."""
        return cast(list[StepCheck | None], self._ask(("check_steps",), list(pairs))[0])

    def final_answers(self, pairs: Iterable[Pair]) -> list[str | None]:
        """What each answer comes down to; None where the task cannot say, in time and without an error."""
        return cast(list[str | None], self._ask(("final_answer",), list(pairs))[0])

    def _ask(
        self, questions: Sequence[Question], asked: Sequence[Pair], progress: Callable[[int], None] | None = None
    ) -> list[list[Value]]:
        """For each question what is said of each answer."""
        tell = progress or (lambda _: None)
        found: dict[Question, list[Value]] = {q: [None] * len(asked) for q in questions}
        # Of the others the task does not speak.
        open_questions = tuple(q for q in questions if getattr(type(self.task), q) is not getattr(Task, q))
        told = 0
        if open_questions and self.task.isolated:
            with contextlib.closing(self._lanes.run(_items(asked, open_questions))) as items:
                for item in items:
                    for question, value in item.said.items():
                        for place in item.places:
                            found[question][place] = value
                    told += len(item.places)
                    tell(told)
        elif open_questions:
            for told, (problem, text) in enumerate(asked, 1):
                for question in open_questions:
                    found[question][told - 1] = _ask_here(self.task, question, problem, text)
                tell(told)
        return list(found.values())


def _parts(task: Task) -> Iterator[Any]:
    """The classes of a task and of those that it wraps, and the reward that it is scored by."""
    inner: Any = task
    while isinstance(inner, Task):
        yield type(inner)
        if (reward := getattr(inner, "reward", None)) is not None:
            yield reward.function
        inner = getattr(inner, "task", None)


def _items(asked: Sequence[Pair], questions: tuple[Question, ...]) -> list[Item]:
    """Each different answer to the same problem once."""
    items: dict[tuple[str, str], Item] = {}
    for place, (problem, text) in enumerate(asked):
        if (item := items.get((problem.id, text))) is None:
            item = items[problem.id, text] = Item(problem, text, questions)
        item.places.append(place)
    return list(items.values())


def _ask_here(task: Task, question: Question, problem: Problem, text: str) -> Value:
    try:
        return read(question, ask(task, question, problem, text))
    except Exception as error:
        return read(question, failed(question, words(error)))
