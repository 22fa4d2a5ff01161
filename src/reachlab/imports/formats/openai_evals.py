"""OpenAI evals' record: events in JSON lines, of which `match` has an answer and whether it is right.

``{"run_id": "...", "event_id": 1, "sample_id": "arith.0", "type": "match", "data": {"correct": true, "expected": "12",
"picked": "12", "sampled": "..."}}``. `picked` is what was extracted. The prompts stand in other events: a sample is
known by its id. Several runs are several runs.

Source: https://github.com/openai/evals, `evals/record.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.apart import Apart
from reachlab.imports.formats.base import Format
from reachlab.imports.gold import one_answer
from reachlab.imports.record import Record, id_of, logged


@dataclass(frozen=True)
class OpenAIEvals(Apart, Format):
    """A row an event."""

    name = "openai-evals"
    tool = "OpenAI evals, record of events"
    row = (
        "OpenAI evals, record of events",
        "`sampled` of `match` events; a run a `run_id`",
        "`expected`",
        "`correct`",
    )
    apart_by = ("run_id",)

    def recognises(self, row: Any) -> bool:
        """An event, or what stands before and after all events."""
        if not isinstance(row, dict):
            return False
        return row.keys() in ({"spec"}, {"final_report"}) or {"run_id", "event_id", "sample_id", "type"} <= row.keys()

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """The answer of a match; other events have none."""
        if row.get("type") != "match":
            return
        data = row["data"]
        sampled = data["sampled"]
        texts = sampled if isinstance(sampled, list) else [sampled]
        label = data["correct"] if len(texts) == 1 else None
        yield Record(
            answers=logged(texts, None if label is None else [label], f"{place}: data.sampled"),
            gold=one_answer(data.get("expected")),
            id=id_of(row["sample_id"]),
            run=self.run_of(row),
        )
