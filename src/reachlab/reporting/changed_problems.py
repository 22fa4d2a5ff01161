"""What paper shows of the problems: the few that changed most, each with its prompt and one answer of every model."""

from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.measures.table import cut
from reachlab.reporting.entries import Entry
from reachlab.reporting.excerpts import read_excerpts
from reachlab.reporting.problem_browser import interest
from reachlab.reporting.texts import spoken

MOST = 5
"""Problems."""
PROMPT, ANSWER = 1_200, 900
"""Most characters of a prompt and of an answer: a page's worth of a problem."""


@dataclass(frozen=True, kw_only=True)
class ShownAnswer:
    """One sample of a model, and how many of its samples were right."""

    entry: Entry
    right: int
    scored: int
    status: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ChangedProblem:
    """A problem: the prompt as (role, text) pairs, and an answer of each model that has one."""

    id: str
    prompt: tuple[tuple[str, str], ...]
    answers: list[ShownAnswer]


def changed_problems(entries: Sequence[Entry]) -> list[ChangedProblem]:
    """The problems that changed most, as the problem browser orders them.

    Raises:
        ReachlabError: a run's problems or samples cannot be read.
    """
    chosen = interest(entries)[:MOST]
    ids = [entries[0].outcomes.problem_ids[p] for p in chosen]
    prompts = {problem.id: problem.prompt for problem in entries[0].store.problems() if problem.id in set(ids)}
    by_entry = [read_excerpts(entry.store, ids, 1, ANSWER) for entry in entries]
    return [
        ChangedProblem(
            id=ids[at],
            prompt=tuple((role, cut(text, PROMPT)) for role, text in spoken(prompts[ids[at]])),
            answers=[
                ShownAnswer(
                    entry=entry,
                    right=int(entry.outcomes.c_P[p]),
                    scored=int(entry.outcomes.n_P[p]),
                    status=found[at][0].status,
                    text=found[at][0].text.cut(ANSWER),
                )
                for entry, found in zip(entries, by_entry, strict=True)
                if found[at]
            ],
        )
        for at, p in enumerate(chosen)
    ]
