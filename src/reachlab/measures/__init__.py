"""What stored samples say: one measure a file, and the list of them. Nothing heavy is imported before it is used.

To add a measure is a file with a `Measure`, its test, and a line of `MEASURES`. The page, the terminal, `--json` and
the table in docs/boundary.md show it then, in this order.
"""

from typing import TYPE_CHECKING

from reachlab.choices import Choices

if TYPE_CHECKING:
    from reachlab.measures.measure import JointMeasure, Measure

MEASURES: "Choices[Measure | JointMeasure]" = Choices(
    "measure",
    {
        "support": "reachlab.measures.kept:KEPT",
        "extrapolation": "reachlab.measures.beyond_samples:BEYOND_SAMPLES",
        "cover": "reachlab.measures.reliability:RELIABILITY",
        "pass": "reachlab.measures.pass_at_k:PASS_AT_K",
        "chain": "reachlab.measures.chains:CHAINS",
        "all_right": "reachlab.measures.all_right:ALL_RIGHT",
        "votes": "reachlab.measures.majority_vote:VOTES",
        "best_of.logprob": "reachlab.measures.likeliest:BY_WHOLE_TEXT",
        "best_of.logprob_per_token": "reachlab.measures.likeliest:PER_TOKEN",
        "distinct": "reachlab.measures.distinct_texts:DISTINCT",
        "distinct_correct": "reachlab.measures.distinct_texts:DISTINCT_RIGHT",
        "answer_entropy": "reachlab.measures.answer_variety:ANSWER_ENTROPY",
        "luck": "reachlab.measures.luck:LUCK",
        "guess": "reachlab.measures.luck:BY_ANSWER_SPACE",
        "duplicates": "reachlab.measures.copies:COPIES",
        "doubts": "reachlab.measures.doubts:DOUBTS",
        "perplexity": "reachlab.measures.surprise:SURPRISE",
    },
    unknown="no measure is called",
    adopt="reachlab.measures.measure:adopted",
)
"""Each measure by its name, which is its key in --json."""


def load_measures() -> "list[Measure | JointMeasure]":
    """All of them, in order; of others' measures those that can be imported."""
    return [measure for _, measure in MEASURES.working()]


def markdown() -> str:
    """The table of docs/boundary.md: a row a measure of ours, what it is, and where."""
    rows = []
    for name, place in MEASURES.places.items():
        m, file = MEASURES[name], place.partition(":")[0].rpartition(".")[2]
        where = f"[`{file}.py`](../src/reachlab/measures/{file}.py)"
        rows.append(f"| {m.title} | {m.caption} | {m.source} | `{m.name}` | {where} |")
    return "".join(
        f"{row}\n" for row in ("| | what it is | source | in `--json` | where |", "|---|---|---|---|---|", *rows)
    )
