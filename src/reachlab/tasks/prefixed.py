"""Any task, asked for the rest of its questions: ``prefix=0.6``. Who goes on word for word has seen them.

The first part of a question is shown as plain text, whatever the model; the answer wanted is the rest of it. A text is
right if it begins with just that rest, whatever its spacing (the paper's exact match, EM). Its score is ROUGE-L, F,
between the rest and as many of its first words:

    question = shown + rest,   |shown| ≈ prefix · |question|,   EM = [text begins with rest]

Source: arXiv 2507.10532, sections 3.2 and 4.2: questions are cut at 40, 60 and 80 % of their lengths, and continued
greedily without a template. We depart from it in two things. A cut is the word boundary nearest to the share of
characters. And what follows the rest does not count against it: a base goes on to answer, which the paper counts beside
it (partial-prompt answer accuracy; `answered` says how).

Ids and splits are the task's own. What is asked differs, so a problem says so in its prompt, answer and metadata alike:
of the whole problem there is nothing that could be taken for this one's.
"""

import random
import re
from collections.abc import Iterator
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Split, Task
from reachlab.tasks.rouge import UNSPACED, rouge_l, words
from reachlab.types import Problem, Verdict

PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
"""What a question is not cut within."""
MOST_UNCUT = 10_000
"""Problems in a row that cannot be cut, after which a stream is given up."""
SHOWN = 30
"""Characters of a word that a reason shows."""


class Prefixed(Task):
    """`task`, of whose questions the first `share` is shown."""

    def __init__(self, task: Task, share: float):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ReachlabError(
                f"{task.spec}: prefix={share} must be above 0 and below 1: the share of a question that is shown"
            )
        self.task, self.share = task, float(share)
        self.spec, self.finite = task.spec, task.finite
        self.decoding = {"temperature": 0.0}

    # -- posing -----------------------------------------------------------------------------------------------------

    def posed(self, split: Split, n: int | None = None, seed: int = 0) -> tuple[list[Problem], int]:
        """The task's first `n` problems but for those that cannot be cut, and how many these are.

        Raises:
            ReachlabError: none can be.
        """
        whole = self.task.problems(split, n, seed)
        found = [problem for one in whole if (problem := self.cut(one)) is not None]
        if whole and not found:
            raise ReachlabError(
                f"{self.spec}: none of its {len(whole):,} questions can be cut: each is less than two words"
            )
        return found, len(whole) - len(found)

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As `posed`, the problems alone."""
        return self.posed(split, n, seed)[0]

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """The task's; one that cannot be cut comes as the next one that can."""
        uncut = 0
        for whole in self.task.stream(split, seed, start):
            if (problem := self.cut(whole)) is None:
                uncut += 1
                if uncut == MOST_UNCUT:
                    raise ReachlabError(f"{self.spec}: none of {MOST_UNCUT:,} questions can be cut")
                continue
            yield from [problem] * (uncut + 1)  # item i stays a function of (seed, i)
            uncut = 0

    def cut(self, whole: Problem) -> Problem | None:
        """A problem of the task's own, cut; None where its question is less than two words."""
        parts = cut_question(self.task.question(whole), self.share)
        if parts is None:
            return None
        asked = {"prompt": whole.prompt, "images": list(whole.images), "metadata": dict(whole.metadata)}
        return Problem(
            id=whole.id,
            prompt=parts[0],
            answer={"rest": parts[1], "answer": whole.answer},
            metadata={"prefix": self.share, "whole": asked},
        )

    def whole(self, problem: Problem) -> Problem:
        """The problem that was cut."""
        found = problem.metadata["whole"]
        return Problem(
            id=problem.id,
            prompt=found["prompt"],
            answer=problem.answer["answer"],
            images=tuple(found["images"]),
            metadata=found["metadata"],
        )

    # -- judging ----------------------------------------------------------------------------------------------------

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Right if the text begins with the rest of the question."""
        rest = str(problem.answer["rest"])
        if end_of_rest(rest, text) is not None:
            return Verdict.correct()
        wanted = words(rest)
        return Verdict.wrong(_first_difference(rest, text), rouge_l(words(text)[: len(wanted)], wanted))

    def answered(self, problem: Problem, text: str) -> tuple[Problem, str]:
        """The problem that was cut, and an answer to it that the task itself may judge: what follows the rest of the
        question, or the whole text where that begins with another."""
        end = end_of_rest(str(problem.answer["rest"]), text)
        return self.whole(problem), text if end is None else text[end:]

    def gold(self, problem: Problem) -> None:
        """None: a text comes down to no final answer."""

    def solve(self, problem: Problem, rng: random.Random) -> str:
        """The rest of the question."""
        return str(problem.answer["rest"])

    def shown_answer(self, problem: Problem) -> Any:
        """The rest of the question."""
        return str(problem.answer["rest"]).strip()

    # -- the task's own ---------------------------------------------------------------------------------------------

    def key(self, problem: Problem) -> str:
        """The task's."""
        return self.task.key(self.whole(problem))

    def question(self, problem: Problem) -> str:
        """The whole question."""
        return self.task.question(self.whole(problem))

    def alphabet(self) -> str | None:
        """The task's."""
        return self.task.alphabet()


def cut_question(question: str, share: float) -> tuple[str, str] | None:
    """A question in two, between the words nearest to a share of its characters; None for less than two words.

    The second part begins with the white space before its first word.
    """
    text = question.strip()
    ends = [match.end() for match in PIECE.finditer(text)][:-1]
    if not ends:
        return None
    at = min(ends, key=lambda end: abs(end - share * len(text)))
    return text[:at], text[at:]


def end_of_rest(rest: str, text: str) -> int | None:
    """Where in `text` the rest of a question ends that it begins with, whatever its spacing; None where it begins with
    another, or its last word goes on: ``1`` is not completed by ``10`` or ``1.5``."""
    match = re.match(r"\s*" + r"\s+".join(map(re.escape, rest.split())), text)
    if match is None:
        return None
    last, after = rest.rstrip()[-1], text[match.end() : match.end() + 2]
    if last.isalnum() and not re.match(f"[{UNSPACED}]", last):
        goes_on = after[:1].isalnum() or (after[:1].strip() != "" and after[1:].isalnum())
    else:
        goes_on = last in ".," and after[:1].isdigit()
    return None if goes_on else match.end()


def _first_difference(rest: str, text: str) -> str:
    wanted, said = rest.split(), text.split()
    at = next((i for i, (a, b) in enumerate(zip(wanted, said, strict=False)) if a != b), min(len(wanted), len(said)))
    if at == len(wanted):
        at -= 1  # the last word goes on
    found = repr(said[at][:SHOWN]) if at < len(said) else "missing"
    return f"word {at + 1} of {len(wanted)} is {found}, not {wanted[at][:SHOWN]!r}"
