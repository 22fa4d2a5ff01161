"""What stored samples say: one measure a file, and the list of them. Nothing heavy is imported before it is used.

To add a measure is a file with a `Measure`, its test, and a line of `MEASURES`. The page, the terminal, `--json` and
the table in docs/boundary.md show it then, in this order.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from reachlab.errors import ReachlabError

if TYPE_CHECKING:
    from reachlab.measures.measure import JointMeasure, Measure

MEASURES = {
    "support": "kept:KEPT",
    "extrapolation": "beyond_samples:BEYOND_SAMPLES",
    "cover": "reliability:RELIABILITY",
    "pass": "pass_at_k:PASS_AT_K",
    "chain": "chains:CHAINS",
    "all_right": "all_right:ALL_RIGHT",
    "votes": "majority_vote:VOTES",
    "best_of.logprob": "likeliest:BY_WHOLE_TEXT",
    "best_of.logprob_per_token": "likeliest:PER_TOKEN",
    "distinct": "distinct_texts:DISTINCT",
    "distinct_correct": "distinct_texts:DISTINCT_RIGHT",
    "answer_entropy": "answer_variety:ANSWER_ENTROPY",
    "luck": "luck:LUCK",
    "guess": "luck:BY_ANSWER_SPACE",
    "duplicates": "copies:COPIES",
    "doubts": "doubts:DOUBTS",
    "perplexity": "surprise:SURPRISE",
}
"""Each measure's name, which is its key in --json, and where it is: a file of this room and what it is called there."""


def load_measure(name: str) -> "Measure | JointMeasure":
    """The measure of a name.

    Raises:
        ReachlabError: no such name.
    """
    if name not in MEASURES:
        raise ReachlabError(f"no measure is called {name!r}; there are {', '.join(MEASURES)}")
    file, _, called = MEASURES[name].partition(":")
    found: Measure | JointMeasure = getattr(import_module(f"reachlab.measures.{file}"), called)
    return found


def load_measures() -> "list[Measure | JointMeasure]":
    """All of them, in order."""
    return [load_measure(name) for name in MEASURES]


def markdown() -> str:
    """The table of docs/boundary.md: a row a measure, what it is, and where."""
    rows = [
        f"| {m.title} | {m.caption} | {m.source} | `{m.name}` | [`{file}.py`](../src/reachlab/measures/{file}.py) |"
        for m, (file, _, _) in zip(load_measures(), (where.partition(":") for where in MEASURES.values()), strict=True)
    ]
    return "".join(
        f"{row}\n" for row in ("| | what it is | source | in `--json` | where |", "|---|---|---|---|---|", *rows)
    )
