"""Every dataset of reasoning-gym (arXiv 2505.24760) and its own scorer: ``gym:NAME[,setting=value...]``.

Item i is the one that reasoning-gym draws from seed i. An item belongs to the test split by its question
alone, so no question is in both. The score is 1 for a right answer; less is wrong, with the score as partial
credit.
"""

import ast
import contextlib
import difflib
import hashlib
import io
import json
import random
import sys
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import reasoning_gym
from reasoning_gym.factory import DATASETS
from reasoning_gym.utils import extract_answer

from reachlab.errors import ReachlabError
from reachlab.tasks.answers.reasoning import after_reasoning
from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, Verdict

OURS = ("seed", "size")
"""Settings of every dataset that say which items are drawn: that is ours to say."""

HASH_SEEDED = frozenset({"isomorphic_strings", "polynomial_multiplication", "ransom_note"})
"""Datasets whose questions follow Python's hash seed, because they draw from the order of a set."""


class Gym(GeneratedTask):
    """One dataset with its settings. A dataset that draws slowly does so here too."""

    isolated = True
    plain = "{question}\nGive the final answer between <answer> and </answer>.\n"
    instruction = "Think step by step, then give the final answer, and nothing else, between <answer> and </answer>."
    worked = "Question: {question}\nAnswer: {answer}\n\n"
    next_question = "\nQuestion:"
    reads_tags = True

    def __init__(self, argument: str, **settings: Any):
        self.name, self.settings = argument, settings
        self.spec = f"gym:{argument}"
        if argument not in DATASETS:
            raise ReachlabError(f"reasoning-gym has no dataset {argument!r}{_near(argument, DATASETS)}")
        known = [f.name for f in fields(DATASETS[argument][1]) if f.name not in OURS]
        for key in settings:
            if key not in known:
                near = _near(key, known)
                raise ReachlabError(f"gym:{argument} has no setting {key!r}{near}; there are: {', '.join(known)}")
        if argument in HASH_SEEDED and sys.flags.hash_randomization:
            raise ReachlabError(
                f"gym:{argument} draws other problems whenever Python's hash seed differs; "
                "set PYTHONHASHSEED=0 in the environment"
            )
        self._dataset(0)

    @classmethod
    def usual(cls, name: str) -> dict[str, Any]:
        """A dataset's settings where a spec does not say them (`tasks/identity.py`)."""
        if name not in DATASETS:
            return {}
        found = {}
        for field in fields(DATASETS[name][1]):
            if field.default_factory is not MISSING:
                found[field.name] = field.default_factory()
            elif field.default is not MISSING:
                found[field.name] = field.default
        return {key: _plain(value) for key, value in found.items() if key not in OURS}

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """Any one item. `answer` is its entry as a Python literal; JSON would make lists of tuples."""
        entry = _plain(self._entry(rng.getrandbits(31)))
        question = entry["question"]
        identity = hashlib.blake2b(question.encode(), digest_size=12).hexdigest()
        return Problem(id=identity, prompt=question, answer=repr(entry))

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Score what stands in the last ``<answer>`` tag, or the whole text where there is none.

        Raises:
            Exception: the dataset's scorer fails on the answer; `judging.Judge` makes it "unscored".
        """
        score = float(self._dataset(0).score_answer(_said(text), _entry_of(problem)))
        return Verdict.correct() if score >= 1 else Verdict.wrong(score=max(0.0, score))

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """What is scored, whatever its spacing. Which different answers are equally right only the scorer knows."""
        return " ".join(_said(text).split()) or None

    def gold(self, problem: Problem) -> str | None:
        """The dataset's own answer, whatever its spacing; some have none, and some accept others."""
        answer = self.solve(problem, random.Random(0))
        return None if answer is None else " ".join(answer.split())

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The dataset's own answer; some have none."""
        answer = _entry_of(problem)["answer"]
        return None if answer is None else str(answer)

    def shown_answer(self, problem: Problem) -> Any:
        """The dataset's own answer, without what else its scorer looks at."""
        return self.solve(problem, random.Random(0))

    def _dataset(self, seed: int) -> Any:
        return _dataset(self.name, json.dumps(self.settings, sort_keys=True), seed)

    def _entry(self, number: int) -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()):  # some print while they draw
            try:
                entry = self._dataset(0)[number]
            except IndexError:  # the few that prepare `size` items and have just the one of their seed
                entry = _build(self.name, self.settings, number)[0]
        return dict(entry)


@cache
def _dataset(name: str, settings: str, seed: int) -> Any:
    return _build(name, json.loads(settings), seed)


def _build(name: str, settings: dict[str, Any], seed: int) -> Any:
    try:
        return reasoning_gym.create_dataset(name, **settings, seed=seed, size=1)
    except ImportError as error:
        raise ReachlabError(f"gym:{name} needs a package that is not here: {error}") from error
    except (AssertionError, TypeError, ValueError) as error:
        raise ReachlabError(f"gym:{name}: reasoning-gym refuses the settings {settings}: {error}") from error


def _said(text: str) -> str:
    """The last ``<answer>`` tag's content, or the whole text, after its reasoning; "" where that never ends."""
    region = after_reasoning(text)
    said = text[region.start : region.end]
    answer = extract_answer(said)
    return said.strip() if answer is None else str(answer)


def _entry_of(problem: Problem) -> Any:
    return ast.literal_eval(problem.answer)


def _plain(value: Any) -> Any:
    """The same value of Python's own types, which `repr` writes and `literal_eval` reads."""
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = map(_plain, value)
        return list(items) if isinstance(value, list) else tuple(items)
    return str(value) if isinstance(value, str) else value


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=5, cutoff=0.5)
    return f"; near it: {', '.join(close)}" if close else ""
