"""Problems that only a log knows: nobody here can say what is right, so no answer is judged.

What a run of imported samples has for a task where the log holds no right answers, or where the log's own labels are
the verdicts. `reachlab verify --task TASK` judges it with another.

``logged:FILE`` poses the questions of a file whose rows need no right answer, such as the problems.jsonl of such a run:
to sample what is judged elsewhere, or to ask for the rest of each question (`prefixed.py`).
"""

from collections.abc import Mapping
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import FiniteTask, Split
from reachlab.tasks.rows import Once, read_rows, shape
from reachlab.types import Problem, Verdict

UNJUDGED = "the log holds no right answer"


class Logged(FiniteTask):
    """Problems without a verifier; those of a file, where one is named."""

    answer_decides = False
    all_problems: list[Problem]

    def __init__(self, argument: str = "") -> None:
        self.spec = f"logged:{argument}" if argument else "logged"
        self.all_problems = _read(argument) if argument else []

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As of any finite task.

        Raises:
            ReachlabError: no file is named; problems come along with their answers.
        """
        if not self.all_problems:
            raise ReachlabError(
                f"task {self.spec!r} is of imported samples, and has no problems of its own; name a file, as in: "
                "logged:runs/other/problems.jsonl"
            )
        return super().problems(split, n, seed)

    def key(self, problem: Problem) -> str:
        """The question, or the id where the log does not hold it."""
        return str(problem.metadata.get("question") or problem.id)

    def question(self, problem: Problem) -> str:
        """The question, where the log holds it apart from the prompt."""
        return str(problem.metadata.get("question") or self.bare(problem))

    def gold(self, problem: Problem) -> None:
        """Nothing is held against a gold answer."""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Unscored, always."""
        return Verdict.unscored(UNJUDGED)


def _read(path: str) -> list[Problem]:
    """The questions of a file.

    Raises:
        ReachlabError: a row without a question in words, or with an id that came before.
    """
    once, found = Once(), []
    for number, (place, row) in enumerate(read_rows(path)):
        question = _question(row)
        if question is None:
            raise ReachlabError(f"{place}: no question as text, in question or prompt; its fields: {shape(row)}")
        identity = str(number if row.get("id") is None else row["id"])
        once.check(f"id {identity!r}", place)
        found.append(Problem(id=identity, prompt=question, answer=None, metadata={"question": question}))
    return found


def _question(row: Mapping[str, Any]) -> str | None:
    """Of a run's problem the bare question; a prompt may have a template around it."""
    about = row.get("metadata")
    kept = about if isinstance(about, Mapping) else {}
    names = (kept.get("question"), kept.get("bare"), row.get("question"), row.get("prompt"))
    return next((text for text in names if isinstance(text, str) and text.strip()), None)
