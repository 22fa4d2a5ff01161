"""lm-evaluation-harness, `--log_samples`: a row a document and filter.

``{"doc_id": 0, "doc": {...}, "target": "...", "resps": [["...", "..."]], "filter": "none", "exact_match": 1.0}``;
`resps` has one list a request, with `repeats: k` of k answers. Every filter logs every document again with the same
answers: one filter's rows are all the samples, the others only score them otherwise. Before 0.4.4 the filter is not
said: of a document that comes again in one file the first row counts.

Files lie in a folder a model: files of several folders are several runs. Files of several tasks are one run, whose
problems have their task's name before their number.

Source: https://github.com/EleutherAI/lm-evaluation-harness, `lm_eval/evaluator.py`,
`lm_eval/loggers/evaluation_tracker.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.chat_text import question_in
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.fields import QUESTION_NAMES
from reachlab.imports.gold import is_worked, one_answer
from reachlab.imports.record import Record, first_of, id_of, is_chat, logged, present, question_of
from reachlab.tasks.choice_rows import Choice, choice_from

LENIENT = "flexible-extract"
"""Of several filters the one whose label is nearest to what a reader would say."""
BEST_METRICS = ("math_verify", "pass@1", "pass_at_1", "prompt_level_strict_acc")
"""Metrics that judge the whole answer come before those that compare its text."""
METRICS = ("exact_match", "exact_match,none", "acc", "em", "correct", "score")
"""Where the row does not list its metrics."""
PLACE = re.compile(r"(?P<path>(?:.*/)?(?P<file>[^/]*)):(?:\d+| row \d+)\Z", re.DOTALL)
SAMPLES = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT.*")


@dataclass(frozen=True)
class LmEval(Format):
    """The rows of one filter."""

    name = "lm-eval"
    filters = True
    tool = "lm-evaluation-harness --log_samples"
    row = (
        "lm-evaluation-harness, `--log_samples`",
        "each of `resps`; one filter's rows (`--filter`)",
        "`target`, unless it is a test's code",
        "the filter's metric, where a document has one answer",
    )

    chosen: str | None = None
    others: tuple[str, ...] = ()
    again: frozenset[str] = frozenset()
    """Places of rows that a filter without a name wrote again."""
    models: bool = False
    """Whether there are several folders, each of a model."""
    tasks: bool = False
    """Whether there are files of several tasks."""

    def recognises(self, row: Any) -> bool:
        """A document with its responses."""
        return isinstance(row, dict) and isinstance(row.get("doc"), dict) and "doc_id" in row and "resps" in row

    def look_through(self, rows: Iterator[Placed]) -> "LmEval":
        """Which filters, models and tasks there are.

        Raises:
            ReachlabError: the filter that is wanted is not there.
        """
        filters: dict[str, None] = {}
        again, seen = set(), set()
        folders, tasks = set(), set()
        for place, row in rows:
            if not isinstance(row, dict):
                continue
            path, folder, task = _file(place)
            folders.add(folder)
            tasks.add(task)
            if "filter" in row:
                filters[str(row["filter"])] = None
            elif (key := (path, str(row.get("doc_id")))) in seen:
                again.add(place)
            else:
                seen.add(key)
        wanted = self.config.filter or (LENIENT if LENIENT in filters or not filters else next(iter(filters)))
        if wanted not in filters and (filters or self.config.filter):
            raise ReachlabError(f"--filter {wanted}: the log has {', '.join(filters) or 'no names of filters'}")
        return replace(
            self,
            chosen=wanted if filters else None,
            others=tuple(name for name in filters if name != wanted),
            again=frozenset(again),
            models=len(folders) > 1,
            tasks=len(tasks) > 1,
        )

    def settings(self) -> dict[str, Any]:
        """Which filter's rows."""
        return {"filter": self.chosen}

    def taken(self) -> str:
        """Which filter's label."""
        line = "answers from resps"
        if self.others:
            line += f"; filter {self.chosen} (also there: {', '.join(self.others)}; --filter takes another)"
        if self.again:
            line += f"; {len(self.again)} rows that another filter, which is not named, wrote again are left out"
        return line + ("; a run a folder: each is a model's" if self.models else "")

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """A document, where its filter is the chosen one."""
        if place in self.again or (self.chosen is not None and str(row.get("filter")) != self.chosen):
            return
        doc = row["doc"]
        texts = _responses(row, place)
        # Programs are judged by tests, and instructions by a checker: the target is a text without meaning.
        judged_otherwise = any(name in doc for name in ("entry_point", "test_list", "instruction_id_list"))
        question_name = first_of(doc, QUESTION_NAMES)
        question = question_of(doc[question_name]) if question_name else None
        if question is None:
            question = _prompt_text(_prompt(row.get("arguments")))
        choice, gold = (None, None) if judged_otherwise else _right(doc, row.get("target"), question, place)
        _, folder, task = _file(place)
        number = doc["task_id"] if judged_otherwise and present(doc.get("task_id")) else row["doc_id"]
        yield Record(
            answers=logged(texts, _label(row, len(texts)), f"{place}: field 'resps'"),
            question=question,
            gold=gold,
            worked=is_worked(gold),
            choice=choice,
            id=f"{task}/{id_of(number)}" if self.tasks else id_of(number),
            run=folder if self.models else "",
        )


def _file(place: str) -> tuple[str, str, str]:
    """The path, the folder and the task of the file in which a row stands."""
    match = PLACE.fullmatch(place)
    path, file = (match["path"], match["file"]) if match else (place, place)
    task = SAMPLES.fullmatch(file)
    return path, path.rpartition("/")[0].rpartition("/")[2], task["task"] if task else file


def _label(row: Mapping[str, Any], answers: int) -> Any:
    """The metric, or a list of them; one number of several repeats is no answer's label."""
    listed = row.get("metrics")
    names = listed if isinstance(listed, list) else METRICS
    name = first_of(row, [name for name in (*BEST_METRICS, *names) if isinstance(name, str)])
    if name is None:
        return None
    scores = row[name]
    if isinstance(scores, list):
        return scores if len(scores) == answers else None
    return [scores] if answers == 1 else None


def _right(doc: Mapping[str, Any], target: Any, question: str | None, place: str) -> tuple[Choice | None, Any]:
    """The right answer: the target, which of a multiple choice is an option's number, its letter or its text."""
    gold = one_answer(target)
    options = next((doc[name] for name in ("choices", "options") if isinstance(doc.get(name), (list, dict))), None)
    if options is None or gold is None or question is None:
        return None, gold
    try:
        number = int(gold) if isinstance(gold, str) and gold.isdecimal() else gold
        return choice_from(question, options, number, place), gold
    except ReachlabError:
        # A number that is no option's is a place in a list that is not in the log.
        return None, None if str(gold).isdecimal() else gold


def _arguments(arguments: Any) -> list[list[Any]]:
    """The arguments of each request: by name since 0.4.3, before that lists."""
    requests = arguments.values() if isinstance(arguments, dict) else arguments or ()
    return [list(r.values()) if isinstance(r, dict) else r if isinstance(r, list) else [r] for r in requests]


def _prompt(arguments: Any) -> Any:
    """The prompt of the first request."""
    return next((request[0] for request in _arguments(arguments) if request), None)


def _prompt_text(prompt: Any) -> str | None:
    """The question in a prompt: a text, one that a chat template wrote, or a chat, be it written as JSON."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt.lstrip().startswith("[{"):
        try:
            chat = json.loads(prompt)
        except ValueError:
            return prompt
        return question_of(chat) if is_chat(chat) else prompt
    return question_in(prompt) if isinstance(prompt, str) else question_of(prompt)


def _responses(row: Mapping[str, Any], place: str) -> list[Any]:
    """All answers to the one thing that was asked.

    Raises:
        ReachlabError: nothing was written, or several things were asked.
    """
    requests = _arguments(row.get("arguments"))
    # What is generated has settings beside its prompt; what is only weighed has a continuation, or nothing.
    weighed = any(len(request) < 2 or isinstance(request[1], str) for request in requests)
    flat = [item for request in row["resps"] for item in (request if isinstance(request, list) else [request])]
    if weighed or any(isinstance(item, (list, bool, float, int)) for item in flat):
        raise ReachlabError(f"{place}: a choice by log-likelihoods: nothing was written that could be judged")
    if len({json.dumps(request[0], default=str) for request in requests}) > 1:
        raise ReachlabError(f"{place}: several prompts to one document: their answers are not to one question")
    return flat
