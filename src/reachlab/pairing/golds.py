"""Whether two runs hold the same answer to a problem for right, however each has it written.

``18``, ``#### 18`` and a worked solution that ends in ``\\boxed{18}`` are one answer, ``1/2`` and ``\\frac12`` too:
what is final in them is taken out and compared as answers are (`tasks/answers/`). Tests of programs are the same tests
or others. What is no gold answer (None) says nothing.
"""

import ast
import json
from collections.abc import Mapping

from reachlab.pairing.questions import Asks, plain
from reachlab.tasks.answers.errors import UndecidedError, UnreadableError
from reachlab.tasks.answers.grading import gold_of
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import boxed_answer, marked_answer
from reachlab.tasks.registry import load_task, parse_spec
from reachlab.types import Problem

TEXT = (str, int, float)
"""Gold answers that can be read; others are what tests need."""
JUDGED = 64
"""Pairs that algebra is asked about at a time."""


def other_golds(tasks: tuple[str, str], pairs: Mapping[str, tuple[Asks, Asks]]) -> tuple[list[str], list[str]]:
    """The names of those pairs, in their order, in which two runs hold different gold answers; and of those of which
    nobody can tell, for one run holds none. `tasks` are the two runs'."""
    other, unknown, open_ones = set[str](), list[str](), dict[str, tuple[str, str]]()
    for name, (a, b) in pairs.items():
        if a.answer == b.answer and a.answer is not None:
            continue
        if not isinstance(a.answer, TEXT) and not isinstance(b.answer, TEXT) and None not in (a.answer, b.answer):
            other.add(name)  # tests
        elif (written := _written(tasks, a, b)) is None:
            unknown.append(name)
        elif (same := _same(*written)) is None:
            open_ones[name] = written
        elif not same:
            other.add(name)
    other.update(_judged_other(open_ones))
    return [name for name in pairs if name in other], unknown


def gold_key(task: str, asks: Asks) -> str:
    """A gold answer in one spelling, as far as that takes no algebra: equal ones are the same answer."""
    if not isinstance(asks.answer, TEXT):
        return json.dumps(asks.answer, sort_keys=True, default=str)
    text = _text(task, asks.answer)
    if text is None:
        return ""
    try:
        return gold_of(_final(text)).canonical
    except (UndecidedError, UnreadableError):
        return plain(text)


def _written(tasks: tuple[str, str], a: Asks, b: Asks) -> tuple[str, str] | None:
    """Both answers as texts; None where one of them is not known, or no text."""
    if not isinstance(a.answer, TEXT) or not isinstance(b.answer, TEXT):
        return None
    first, second = _text(tasks[0], a.answer), _text(tasks[1], b.answer)
    if first is None or second is None:
        return None
    return _option(a, first, second), _option(b, second, first)


def _text(task: str, answer: str | float) -> str | None:
    """An answer as a text; of reasoning-gym's entry the answer in it, which some have none of."""
    if task and parse_spec(task)[0] == "gym" and isinstance(answer, str):
        try:
            inner = ast.literal_eval(answer)["answer"]
        except (ValueError, SyntaxError, KeyError, TypeError):
            return answer  # of a log, which has the answer itself
        return None if inner is None else str(inner)
    return str(answer)


def _option(asks: Asks, gold: str, other: str) -> str:
    """The gold answer, or the option that its letter stands for where the other run has it written out."""
    at = ord(gold) - ord("A") if len(gold) == 1 else -1
    return asks.options[at] if 0 <= at < len(asks.options) and len(other.strip()) > 1 else gold


def _same(first: str, second: str) -> bool | None:
    """Whether two answers are the same; None where only algebra could tell."""
    if first == second or plain(first) == plain(second):
        return True
    first, second = _final(first), _final(second)
    try:
        gold, other = gold_of(first), gold_of(second)
        if gold.canonical == other.canonical:
            return True
        if gold.letters or other.letters:
            return False
        if gold.number is not None and other.number is not None:
            return gold.verdict(other.canonical)[0] == "correct"
    except (UndecidedError, UnreadableError):
        return plain(first).casefold() == plain(second).casefold()
    return None


def _final(text: str) -> str:
    """What is final in a worked answer."""
    return marked_answer(text) or boxed_answer(text) or text


def _judged_other(pairs: Mapping[str, tuple[str, str]]) -> list[str]:
    """Those that the verifier of mathematics does not find equal, in a process and time of its own. Once some are not,
    what is still open counts as different: the runs are, and algebra is slow."""
    names, other = list(pairs), list[str]()
    if not names:
        return other
    with Judge(load_task("math"), workers=1) as judge:
        for start in range(0, len(names), JUDGED):
            some = names[start : start + JUDGED]
            if other:
                other += some
                continue
            posed = [
                (Problem(id=name, prompt="", answer=_final(a)), f"\\boxed{{{_final(b)}}}")
                for name, (a, b) in ((name, pairs[name]) for name in some)
            ]
            other += [
                name for name, verdict in zip(some, judge.verify(posed), strict=True) if verdict.status != "correct"
            ]
    return other
