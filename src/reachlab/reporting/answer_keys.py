"""What is held against answers, as a person would write it: the task's own words for it, or a table of its fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.measures.table import cut
from reachlab.reporting.texts import written
from reachlab.store.samples import SampleStore
from reachlab.tasks.base import Task
from reachlab.tasks.registry import bare_task
from reachlab.types import Problem

Key = str | list[list[str]]
"""A text, or fields and their texts."""


def answer_keys(store: SampleStore, problems: Sequence[Problem]) -> list[Key]:
    """Each problem's answer key."""
    task = _task_of(store)
    return [_key(_shown(task, problem)) for problem in problems]


def _task_of(store: SampleStore) -> Task | None:
    try:
        return bare_task(spec) if (spec := store.spec()) else None
    except ReachlabError:
        return None


def _shown(task: Task | None, problem: Problem) -> Any:
    try:
        return problem.answer if task is None else task.shown_answer(problem)
    except Exception:  # a problem of another day's task, whose answer has another shape
        return problem.answer


def _key(answer: Any) -> Key:
    if answer is None:
        return ""
    if not isinstance(answer, Mapping):
        return cut(written(answer))
    return [[str(name), cut(written(value))] for name, value in answer.items()]
