"""Verdicts of a run that a person should look at: right although cut at the limit, or against the final answer.

A text that was cut had not said its answer yet, so a right one was found in unfinished work: a number restated, a guess
on the way. What contradicts a final answer is in `contradictions.py`. Both are counted over all samples that the run
holds, and a few are named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reachlab.errors import ReachlabError
from reachlab.measures.contradictions import KINDS, NONE, Kind, find_contradictions
from reachlab.measures.measure import Measure, PagePart, Result
from reachlab.measures.table import Table, cut
from reachlab.store.columns import codes_of, verdicts
from reachlab.store.samples import SampleStore
from reachlab.tasks.base import Task
from reachlab.tasks.registry import bare_task, prefix_of
from reachlab.types import Problem, Status

NAMED = 3
"""Samples of each kind that are named."""
SHOWN = 60
"""Characters of an answer that are printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One sample to look at. `gold` is None where it is not known."""

    problem_id: str
    sample: int
    verdict: Status
    final_answer: str | None
    gold: str | None
    kind: Kind | None
    """How its verdict contradicts its final answer; None: it is right although cut."""

    def words(self) -> str:
        """In a line. Models wrote the answers, so what a terminal would obey is escaped."""
        said = f"{(self.final_answer or '')[:SHOWN]!r}"
        why = {
            None: "right although cut",
            "silent": "correct, and comes down to no final answer",
            "gold": f"wrong, and comes down to {said}, the gold answer",
            "number": f"correct, and comes down to {said}, not to the gold answer {(self.gold or '')[:SHOWN]!r}",
            "split": f"{self.verdict}, unlike most that come down to {said}",
        }
        return f"problem {self.problem_id}, sample {self.sample}: {why[self.kind]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """`cut` samples are right although cut, `kinds` counts contradictions by kind.

    `kinds` is None where no verdict can contradict a final answer: `note` says why, if it is not that the task states
    none. `named` are a few samples of each kind, `first` is of every problem that has any the first contradiction, or
    else the first that was cut.
    """

    cut: int
    kinds: Mapping[Kind, int] | None
    named: Sequence[Doubt]
    first: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def contradictions(self) -> int:
        """How many verdicts contradict a final answer."""
        return sum((self.kinds or {}).values())

    def lines(self) -> list[str]:
        """What there is to look at; nothing where there is nothing."""
        lines = []
        if self.cut:
            lines.append(f"right although cut at the limit: {self.cut:,}; an answer in unfinished text, such as")
            lines += [f"  {doubt.words()}" for doubt in self.named if doubt.kind is None]
        if self.contradictions:
            lines.append(f"verdicts that contradict the final answer: {self.contradictions:,}, such as")
            lines += [f"  {doubt.words()}" for doubt in self.named if doubt.kind is not None]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "right_but_cut": self.cut,
            "contradictions": None if self.kinds is None else dict(self.kinds),
            "named": [asdict(doubt) for doubt in self.named],
        }


def read_doubts(store: SampleStore, task: Task | None = None) -> Doubts:
    """Look through all samples of a run.

    Args:
        store: the run.
        task: its task; None: as its run.json says, without reading the task's own files.

    Raises:
        ReachlabError: no sample at all, or samples of problems that the run does not list.
    """
    table, row_N = store.numbered(["verdict", "finish", "final_answer"])
    right_N, wrong_N, _ = verdicts(table)
    finish_N, finishes = codes_of(table["finish"])
    cut_N = right_N & np.isin(finish_N, [i for i, name in enumerate(finishes.to_pylist()) if name == "length"])
    if prefix_of(store.spec()) is not None:
        cut_N[:] = False  # the rest of a question is complete, whatever came after it
    problems = store.problems()
    golds: list[str | None] = [None] * len(problems)
    kind_N, kinds, note = np.full(len(table), NONE), None, ""
    states = "final_answer" in table.column_names and table["final_answer"].null_count < len(table)
    if states and not store.older_than("final_answer"):
        task, note = (task, "") if task is not None else _task_of(store)
        if task is None or task.answer_decides:
            if task is not None:
                golds, note = _golds(task, problems)
            scored_N = right_N | wrong_N
            answer_N, answers = codes_of(table["final_answer"])
            kind_N[scored_N] = find_contradictions(
                row_N[scored_N], right_N[scored_N], answer_N[scored_N], answers.to_pylist(), golds
            )
            kinds = {kind: int((kind_N == i).sum()) for i, kind in enumerate(KINDS)}
    rows = _Chosen([p.id for p in problems], golds, table, row_N, right_N)
    kind_or_cut_N = np.where((kind_N == NONE) & cut_N, len(KINDS), kind_N)
    return Doubts(
        cut=int(cut_N.sum()),
        kinds=kinds,
        named=[
            *rows.named(cut_N, None),
            *(doubt for i, kind in enumerate(KINDS) for doubt in rows.named(kind_N == i, kind)),
        ],
        first=rows.first(kind_or_cut_N),
        note=note,
    )


def doubts_result(name: str, found: Doubts) -> Result:
    """Counts and named samples of a run as tables, and in words."""
    against = ["–"] * len(KINDS) if found.kinds is None else [_or_none(found.kinds[kind]) for kind in KINDS]
    counts = (name, (_or_none(found.cut), *against, found.note))
    head = ("right although cut at the limit", *(WHY[kind] for kind in KINDS), "remark")
    named = tuple(
        (
            f"{name}: problem {doubt.problem_id}, sample {doubt.sample}",
            (doubt.verdict, cut(doubt.final_answer or "–", 100), cut(doubt.gold or "–", 100), WHY[doubt.kind]),
        )
        for doubt in found.named
    )
    tables = [Table("Samples by model", head, (counts,))]
    if named:
        tables.append(Table("Such as", ("verdict", "final answer", "gold answer", "why"), named, first="sample"))
    none = [] if found.cut else ["right although cut at the limit: none"]
    agreeing = found.kinds is not None and not found.contradictions
    return Result(
        tables=tuple(tables),
        document=found.to_dict(),
        remarks=(*none, *found.lines(), *(["verdicts that contradict the final answer: none"] if agreeing else [])),
        notes={"gold": found.note} if found.note else {},
        look_at=found.first,
    )


def _or_none(count: int) -> str:
    return f"{count:,}" if count else "none"


WHY: Mapping[Kind | None, str] = {
    None: "right although cut",
    "silent": "right without a final answer",
    "gold": "wrong with the gold answer",
    "number": "right with another number than the gold answer",
    "split": "unlike most with the same final answer",
}

DOUBTS = Measure(
    name="doubts",
    title="Verdicts to look at",
    caption="How many verdicts a person should look at: right although cut at the limit, or against the sample's own "
    "final answer.",
    source="ours",
    compute=lambda run: doubts_result(run.name, read_doubts(run.store)),
    unit="count",
    part=PagePart(
        id="doubts",
        heading="Verdicts to look at",
        lead="A right answer in a text that was cut was found in unfinished work. A verdict that contradicts the final "
        "answer is a fault of the verifier, or of the reading that a vote counts.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """A run's samples, to name some of them."""

    ids: Sequence[str]
    golds: Sequence[str | None]
    table: pa.Table
    row_N: NDArray[np.int64]
    right_N: NDArray[np.bool_]

    def named(self, chosen_N: NDArray[np.bool_], kind: Kind | None) -> list[Doubt]:
        """The first few of the chosen ones, in the order of the problems."""
        at_N = np.flatnonzero(chosen_N)
        sample_N = self.table["sample"].to_numpy()[at_N]
        at_N = at_N[np.lexsort((sample_N, self.row_N[at_N]))][:NAMED]
        columns = [name for name in ("sample", "final_answer") if name in self.table.column_names]
        rows = self.table.select(columns).take(pa.array(at_N)).to_pylist()
        return [
            Doubt(
                problem_id=self.ids[self.row_N[at]],
                sample=row["sample"],
                verdict="correct" if self.right_N[at] else "wrong",
                final_answer=row.get("final_answer"),
                gold=self.golds[self.row_N[at]],
                kind=kind,
            )
            for at, row in zip(at_N.tolist(), rows, strict=True)
        ]

    def first(self, kind_N: NDArray[np.int64]) -> dict[str, int]:
        """Of each problem the sample that comes first: by kind, then by number."""
        at_N = np.flatnonzero(kind_N != NONE)
        sample_N = self.table["sample"].to_numpy()[at_N]
        at_N = at_N[np.lexsort((sample_N, kind_N[at_N] == len(KINDS), self.row_N[at_N]))]
        problem_N, first_N = np.unique(self.row_N[at_N], return_index=True)
        samples = self.table["sample"].to_numpy()[at_N[first_N]]
        return {self.ids[p]: int(sample) for p, sample in zip(problem_N.tolist(), samples, strict=True)}


def _task_of(store: SampleStore) -> tuple[Task | None, str]:
    """The run's task with nothing read, or None and what is not looked for then."""
    spec = store.spec()
    if not spec:
        return None, "the run does not say its task, so final answers are not held against gold answers"
    try:
        return bare_task(spec), ""
    except ReachlabError as error:
        return None, f"final answers are not held against gold answers: {error}"


def _golds(task: Task, problems: Sequence[Problem]) -> tuple[list[str | None], str]:
    """Each problem's gold answer, and why those are not known that are not."""
    golds: list[str | None] = []
    errors: list[str] = []
    for problem in problems:
        try:
            golds.append(task.gold(problem))
        except Exception as error:  # a problem of another day's task, whose answer has another shape
            golds.append(None)
            errors.append(f"problem {problem.id}: {type(error).__name__}: {error}")
    return golds, f"{len(errors):,} gold answers cannot be read; {errors[0]:.200}" if errors else ""
