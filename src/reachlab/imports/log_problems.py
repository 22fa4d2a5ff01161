"""The problem that a record's answers are of: as the log has it, or one of a task.

Logs can be long, so a problem is not kept once it is made: a digest of it is, by which rows with one id are known to
ask the same.
"""

import hashlib
import json
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.record import Record
from reachlab.tasks.base import Task, split_meant
from reachlab.tasks.math import gold_answer
from reachlab.types import Problem, written_prompt

PLACES_KEPT = 100_000
"""Problems of which it is known where they stood first, for an error's sake."""


def digest(*parts: Any) -> int:
    """A short hash of what JSON can write."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class OwnProblems:
    """The questions that the log itself holds, with their right answers where it has these.

    Problems are the same for every run that is read out of one log, so ids are given out once.
    """

    def __init__(self) -> None:
        self._digests: dict[str, int] = {}
        self._ids: dict[int, str] = {}
        self._places: dict[str, str] = {}

    def problem(self, record: Record, place: str) -> Problem:
        """The record's problem; rows with the same id must ask the same.

        Raises:
            ReachlabError: they do not; no right answer in what should hold it; neither question nor id.
        """
        if record.problem is not None:
            return self._once(record.problem, place)
        question, choice = record.question, record.choice
        if record.id is None and question is None:
            raise ReachlabError(f"{place}: neither a question nor an id")
        if record.id is None:
            identity = self._ids.setdefault(digest(question, record.images), str(len(self._ids)))
        else:
            identity = record.id
        metadata: dict[str, Any] = {} if question is None else {"question": question}
        gold: str | None
        if choice is not None:
            gold, question, metadata = choice.letter, choice.question, {"question": choice.question}
            metadata["choices"] = list(choice.options)
        elif record.gold is None:
            gold = None
        else:
            gold = gold_answer(record.gold, worked=record.worked, where=f"{place}: the right answer")
        own_problem = Problem(
            id=identity,
            prompt=question or "",
            answer=gold,
            images=record.images,
            metadata=metadata | dict(record.metadata),
        )
        return self._once(own_problem, place)

    def _once(self, problem: Problem, place: str) -> Problem:
        own = digest(written_prompt(problem.prompt), problem.answer, problem.images)
        if self._digests.setdefault(problem.id, own) != own:
            first = self._places.get(problem.id, "an earlier place")
            raise ReachlabError(
                f"{place}: problem {problem.id!r} has another question or answer, or another picture, than at {first}"
            )
        if len(self._places) < PLACES_KEPT:
            self._places.setdefault(problem.id, place)
        return problem


class TaskProblems:
    """The problems of a task, found by question, by id, or by their place in the log."""

    def __init__(self, task: Task, config: ImportConfig, positional: bool):
        self.spec, self.positional = task.spec, positional
        split = split_meant(task, config.split)
        self._listed = task.problems(split, config.problems, config.problem_seed)
        self._by_id = {p.id: p for p in self._listed}
        self._question = {p.id: _same(_question(task, p)) for p in self._listed}
        self._ids_of: dict[str, list[str]] = {}
        for identity, question in self._question.items():
            self._ids_of.setdefault(question, []).append(identity)
        self._within: dict[str, list[str]] = {}

    def problem(self, record: Record, place: str) -> Problem:
        """The task's problem that a record answers: by id unless it asks another question, else by that.

        Raises:
            ReachlabError: the task has none such, or several.
        """
        if self.positional:
            at = int(str(record.id))
            if at >= len(self._listed):
                raise ReachlabError(f"{place}: task {self.spec!r} has {len(self._listed)} problems")
            return self._listed[at]
        question = None if record.question is None else _same(record.question)
        if record.id in self._by_id and (question is None or self._question[record.id] in question):
            return self._by_id[record.id]
        candidates = [] if question is None else self._asking(question)
        if len(candidates) == 1:
            return self._by_id[candidates[0]]
        what = f"question {record.question!r:.60}" if question is not None else f"id {record.id!r}"
        raise ReachlabError(
            f"{place}: task {self.spec!r} lists {'several problems' if candidates else 'no problem'} with this {what}; "
            "name its id field with --id, or list other problems with --split, --problems, --problem-seed"
        )

    def _asking(self, question: str) -> list[str]:
        """Problems with this question; else those whose question a prompt holds, after all worked examples."""
        if question in self._ids_of:
            return self._ids_of[question]
        if question not in self._within:
            ends = {q: question.rfind(q) + len(q) for q in self._ids_of if q and q in question}
            last = max(ends.values(), default=0)
            longest = max((q for q, end in ends.items() if end == last), key=len, default="")
            self._within[question] = self._ids_of.get(longest, [])
        return self._within[question]


def _question(task: Task, problem: Problem) -> str:
    if task.finite:
        return str(problem.metadata.get("question") or task.key(problem))
    return task.bare(problem)


def _same(question: str) -> str:
    return " ".join(question.split())
