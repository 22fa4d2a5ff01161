"""Problems worth looking at, with a few samples of each model: lost, gained, solved by all, by few, by none.

The choice is a function of the counts alone, and the page says what it is: the clearest cases, not typical
ones.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reachlab.boundary.outcomes import Outcomes
from reachlab.report.entries import Entry
from reachlab.report.styles import Style
from reachlab.sampling.store import SampleStore
from reachlab.types import Problem, Prompt

MOST = 24
"""Most problems shown."""
SAMPLES = 2
"""Samples shown of each model."""
LONGEST = 4_000
"""Most characters shown of one text."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One sample, as the page shows it."""

    status: str
    text: str
    remark: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one model made of a problem."""

    name: str
    style: Style
    accuracy: str
    samples: tuple[Shown, ...]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One problem with every model's answers. `prompt` holds (role, text) pairs; plain text has no role."""

    kind: str
    gist: str
    problem_id: str
    prompt: tuple[tuple[str, str], ...]
    images: int
    answer: str
    answers: tuple[Answers, ...]


def choose(outcomes: Sequence[Outcomes]) -> list[int]:
    """Positions of the problems to show; the base is `outcomes[0]`.

    For every other model the two clearest losses and gains (by accuracy of the model that solved them); then
    two that all solve and on which accuracies differ most, two barely solved, two that nobody solved.
    """
    accuracies_P = [o.c_P / o.n_P for o in outcomes]
    lowest_P, highest_P = np.min(accuracies_P, axis=0), np.max(accuracies_P, axis=0)
    chosen: list[int] = []

    def take(where_P: np.ndarray, clearest_P: np.ndarray, most: int = 2) -> None:
        order = np.flatnonzero(where_P)[np.argsort(-clearest_P[where_P], kind="stable")]
        chosen.extend([p for p in order.tolist() if p not in chosen][: min(most, MOST - len(chosen))])

    for other_P in accuracies_P[1:]:
        take((accuracies_P[0] > 0) & (other_P == 0), accuracies_P[0])
        take((accuracies_P[0] == 0) & (other_P > 0), other_P)
    take(lowest_P > 0, highest_P - lowest_P)
    take(highest_P > 0, -highest_P)
    take(highest_P == 0, -highest_P)
    return chosen


def kind(outcomes: Sequence[Outcomes], position: int) -> str:
    """What the counts say of one problem: lost or gained by whom, or solved by all, some or none."""
    base, *others = (bool(o.c_P[position]) for o in outcomes)
    changed = [o.name for o, solved in zip(outcomes[1:], others, strict=True) if solved != base]
    if not changed:
        return ("solved" if base else "not solved") if not others else ("solved by all" if base else "solved by none")
    who = " and ".join(changed) if len(changed) < 3 else f"{len(changed)} models"
    return f"{'lost' if base else 'gained'} by {who}"


def collect(entries: Sequence[Entry]) -> list[Example]:
    """The chosen problems with samples, read from one model's store after the other."""
    outcomes = [e.outcomes for e in entries]
    chosen = choose(outcomes)
    ids = [outcomes[0].problem_ids[position] for position in chosen]
    problems = {p.id: p for p in entries[0].store.problems()}
    samples = [_samples(e.store, ids) for e in entries]
    return [_example(entries, problems[i], p, samples) for i, p in zip(ids, chosen, strict=True)]


def _example(
    entries: Sequence[Entry],
    problem: Problem,
    position: int,
    samples: Sequence[Mapping[str, tuple[Shown, ...]]],
) -> Example:
    return Example(
        kind=kind([e.outcomes for e in entries], position),
        gist=gist(problem.prompt),
        problem_id=problem.id,
        prompt=spoken(problem.prompt),
        images=len(problem.images),
        answer=cut(written(problem.answer)),
        answers=tuple(
            Answers(
                name=e.name,
                style=e.style,
                accuracy=_accuracy(e.outcomes, position),
                samples=found[problem.id],
            )
            for e, found in zip(entries, samples, strict=True)
        ),
    )


def _samples(store: SampleStore, ids: Sequence[str]) -> dict[str, tuple[Shown, ...]]:
    """For each problem the first right sample and the first others, in the order they were drawn."""
    table = store.read(["text", "tokens", "finish", "verdict", "reason"])
    rows: dict[str, list[dict[str, Any]]] = {problem_id: [] for problem_id in ids}
    for row in table.filter(pc.is_in(table["problem_id"], pa.array(ids, pa.string()))).to_pylist():
        rows[row["problem_id"]].append(row)
    found = {}
    for problem_id, drawn in rows.items():
        drawn.sort(key=lambda row: row["sample"])
        right = [row for row in drawn if row["verdict"] == "correct"]
        other = [row for row in drawn if row["verdict"] != "correct"]
        picked = [*right[:1], *other[: SAMPLES - 1], *right[1:], *other[SAMPLES - 1 :]][:SAMPLES]
        found[problem_id] = tuple(_shown(row) for row in picked)
    return found


def _shown(row: Mapping[str, Any]) -> Shown:
    tokens = f"{row['tokens']} tokens" if row["tokens"] else ""
    length = "cut at the token limit" if row["finish"] == "length" else ""
    remark = ", ".join(part for part in (f"sample {row['sample']}", tokens, length, row["reason"]) if part)
    return Shown(status=row["verdict"], text=cut(row["text"] or "(empty)"), remark=cut(remark, 300))


def _accuracy(outcomes: Outcomes, position: int) -> str:
    n, c, unscored = (int(x[position]) for x in (outcomes.n_P, outcomes.c_P, outcomes.unscored_P))
    return f"{c} of {n} right" + (f", {unscored} unscored" if unscored else "")


def cut(text: str, longest: int = LONGEST) -> str:
    """Text of bounded length that says how much is missing."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest:,} more characters)"


def spoken(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """A prompt as (role, text) pairs; plain text is one pair without a role."""
    if isinstance(prompt, str):
        return (("", cut(prompt)),)
    return tuple((str(m.get("role", "")), cut(written(m.get("content", "")))) for m in prompt)


def gist(prompt: Prompt) -> str:
    """The start of what is asked: of the text, or of the last message."""
    text = spoken(prompt)[-1][1] if prompt else ""
    return " ".join(text.split())[:200]


def written(value: object) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
