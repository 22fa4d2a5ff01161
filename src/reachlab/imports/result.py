"""What came of an import: counts, and where the log's labels and our verdicts differ."""

from collections import Counter
from dataclasses import dataclass, field

from reachlab.types import Verdict

TAIL_LENGTH = 200
SHOWN = 20
"""Disagreements and skipped rows that a person is told."""
MOST_LISTED = 1000
"""Disagreements, and skipped rows, that are kept in words; all are counted."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """An answer of which the log's label says another thing than our verdict."""

    problem_id: str
    sample: int
    ours: str
    reason: str
    theirs: bool
    text_tail: str


@dataclass(frozen=True, kw_only=True)
class ImportedRun:
    """What one run of imported samples holds.

    `labelled` samples came with a label that our verdicts were compared with; `unanswered` ones without a text.
    """

    name: str
    folder: str
    format: str
    taken: str
    problems: int
    samples: int
    correct: int
    wrong: int
    unscored: int
    unanswered: int
    labelled: int
    disagreed: int
    disagreements: tuple[Disagreement, ...]
    """The first of them."""
    skipped: int
    """Rows of all the log that could not be read, with --skip-bad."""
    skipped_rows: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def agreement(self) -> float | None:
        """Share of the labels that our verdicts agree with; None without labels."""
        return 1 - self.disagreed / self.labelled if self.labelled else None

    def lines(self) -> list[str]:
        """What a person is told."""
        line = f"{self.folder}: {self.samples} samples of {self.problems} problems, {self.correct} correct"
        line += f", {self.unscored} unscored" if self.unscored else ""
        line += f" ({self.unanswered} not answered)" if self.unanswered else ""
        if self.agreement is not None:
            line += f"; agrees with the log's labels on {self.agreement:.2%}, disagrees on {self.disagreed}"
        lines = [line, f"  read as {self.format}: {self.taken}" if self.taken else f"  read as {self.format}"]
        lines += [f"  note: {remark}" for remark in self.remarks]
        if self.skipped:
            lines.append(f"  {self.skipped} rows could not be read and are left out:")
            lines += [f"    {reason}" for reason in self.skipped_rows[:SHOWN]]
        for d in self.disagreements[:SHOWN]:
            tail = " ".join(d.text_tail.split())[-80:]
            theirs = "correct" if d.theirs else "wrong"
            lines.append(f"  {d.problem_id}: ours {d.ours}, the log {theirs}: ...{tail}")
        if self.disagreed > SHOWN:
            lines.append(f"  ... and {self.disagreed - SHOWN} more: {self.folder}/disagreements.jsonl")
        return lines


@dataclass
class Tally:
    """Verdicts as they come."""

    status: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    labelled: int = 0
    disagreed: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, problem_id: str, index: int, text: str | None, label: bool | None, verdict: Verdict) -> None:
        """Count one answer."""
        self.status[verdict.status] += 1
        if text is None:
            self.unanswered += 1
            return
        if label is None:
            return
        self.labelled += 1
        if verdict.status == ("correct" if label else "wrong"):
            return
        self.disagreed += 1
        if len(self.disagreements) < MOST_LISTED:
            self.disagreements.append(
                Disagreement(
                    problem_id=problem_id,
                    sample=index,
                    ours=verdict.status,
                    reason=verdict.reason,
                    theirs=label,
                    text_tail=text[-TAIL_LENGTH:],
                )
            )
