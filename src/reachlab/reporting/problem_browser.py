"""The problem browser's data: a list of every problem, and as many stored samples as the page has room for.

The list (`index`) is one block; prompts, answer keys and samples lie in `chunks` of neighbouring problems, which the
browser opens one at a time. What samples are found by beside their text (`answer_kinds.py`) is in the list. A run may
hold gigabytes of answers and a page must open in a second, so samples are taken in rounds until the budget is spent:
the first one of every problem and model, then the second, and so on, the problems that changed most first. What is left
out is counted, and the page says so.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachlab.boundary.histogram import bins
from reachlab.imports.result import MOST_LISTED
from reachlab.reporting.answer_keys import Key, answer_keys
from reachlab.reporting.answer_kinds import answer_kinds
from reachlab.reporting.blocks import packed
from reachlab.reporting.entries import Entry
from reachlab.reporting.excerpts import SampleExcerpt, read_excerpts
from reachlab.reporting.log_labels import read_labels
from reachlab.reporting.problem_fields import group_fields
from reachlab.reporting.problem_pictures import frame
from reachlab.reporting.texts import asked, spoken
from reachlab.types import Problem

BUDGET = 6_000_000
"""Most bytes, compressed, of prompts and samples in the page."""
MOST = 8
"""Most samples of one problem and model."""
READ = 32_000
"""Most samples whose texts are read; beyond, fewer of each problem, and then fewer problems."""
LENGTHS = (6_000, 4_000, 2_000, 1_000)
"""Characters that a sample's text is cut to: the first that leaves room for two samples everywhere, or the last."""
CHUNK = 400_000
"""Characters after which a chunk ends."""
LISTED = 4_000_000
"""Characters of all prompts in the list, where they are searched; each has its share, `LENGTHS[1]` at most."""

EXTRA = 80
"""Characters that a sample takes beside its text."""

NUMBERED = re.compile(r"\d+|[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""An id that says nothing of its problem: a number, or a hash."""

Shelves = list[list[list[SampleExcerpt]]]
"""Excerpts by problem and model, the most wanted first."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem, and what is held against its answers."""

    problem: Problem
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The blocks, `pictures` by the problem's position, and what they hold: `stored` of `drawn` samples, at most `most`
    of a problem and model.

    `longest` is what texts are cut to, and `cut` how many are; `bare` counts the problems of which no sample is stored.
    """

    index: str
    chunks: tuple[str, ...]
    pictures: Mapping[int, str]
    stored: int
    drawn: int
    most: int
    longest: int
    cut: int
    bare: int


def shelve(
    entries: Sequence[Entry],
    doubtful: Sequence[Mapping[str, int]] = (),
    *,
    budget: int = BUDGET,
    read: int = READ,
) -> Shelf:
    """Choose, read and pack the samples of a page; the base is `entries[0]`.

    `doubtful` has a place a model: of each problem with a verdict to look at, the sample that has it.

    Raises:
        ReachlabError: a run's problems or samples cannot be read.
    """
    known = {p.id: p for p in entries[0].store.problems()}
    listed = [known[i] for i in entries[0].outcomes.problem_ids]
    problems = [Posed(*pair) for pair in zip(listed, answer_keys(entries[0].store, listed), strict=True)]
    most = max(2, min(MOST, read // (len(problems) * len(entries))))
    order = interest(entries)[: max(1, read // (most * len(entries)))]
    doubtful = doubtful or [{} for _ in entries]
    excerpts: Shelves = [[[] for _ in entries] for _ in problems]
    for at, entry in enumerate(entries):
        found = read_excerpts(entry.store, [listed[p].id for p in order], most, LENGTHS[0], doubtful[at])
        for p, samples in zip(order, found, strict=True):
            excerpts[p][at] = samples
    kept, longest, starts, chunks = _fit(problems, excerpts, order, budget)
    return Shelf(
        index=packed(_json(_index(entries, listed, starts, doubtful) | _answers(kept, len(entries)))),
        chunks=tuple(chunks),
        pictures=frame(entries[0].store, [p.id for p in listed], interest(entries)),
        stored=sum(len(samples) for models in kept for samples in models),
        drawn=sum(int((e.outcomes.n_P + e.outcomes.unscored_P).sum()) for e in entries),
        most=max(len(samples) for models in kept for samples in models),
        longest=longest,
        cut=sum(s.text.length > longest for models in kept for samples in models for s in samples),
        bare=sum(not any(models) for models in kept),
    )


def listing(entries: Sequence[Entry], doubtful: Sequence[Mapping[str, int]] = ()) -> Shelf:
    """The list of a page whose samples a server has: every problem is a chunk of its own (`chunk_of`), not made yet.

    Raises:
        ReachlabError: a run's problems cannot be read.
    """
    known = {p.id: p for p in entries[0].store.problems()}
    problems = [known[i] for i in entries[0].outcomes.problem_ids]
    starts = list(range(len(problems)))
    drawn = sum(int((e.outcomes.n_P + e.outcomes.unscored_P).sum()) for e in entries)
    index = packed(_json(_index(entries, problems, starts, doubtful or [{} for _ in entries])))
    return Shelf(index=index, chunks=(), pictures={}, stored=drawn, drawn=drawn, most=0, longest=0, cut=0, bare=0)


def chunk_of(posed: Posed, models: Sequence[Sequence[SampleExcerpt]], longest: int) -> str:
    """A chunk of one problem."""
    return _json([_shown(posed, models, longest)])


def rows_of(excerpts: Sequence[SampleExcerpt], longest: int) -> list[list[Any]]:
    """Samples as the browser reads them, in the order of the page."""
    return [_sample(s, longest) for s in _as_drawn(excerpts)]


def interest(entries: Sequence[Entry]) -> list[int]:
    """Positions of the problems, those that some model gained or lost first, then by how far accuracies differ."""
    solved_P = [e.outcomes.c_P > 0 for e in entries]
    changed_P = np.any([other != solved_P[0] for other in solved_P], axis=0)
    change_P = np.max([abs(e.accuracy - entries[0].accuracy) for e in entries], axis=0)
    order: list[int] = np.lexsort([-change_P, ~changed_P]).tolist()
    return order


# -- the budget -----------------------------------------------------------------------------------------------------


def _fit(
    problems: Sequence[Posed], excerpts: Shelves, order: Sequence[int], budget: int
) -> tuple[Shelves, int, list[int], list[str]]:
    """The excerpts to keep, the length to cut their texts to, and the chunks of both, within the budget.

    How far text shrinks is measured on some of it; if the whole shrinks less, it is done again with what was learned.
    """
    rounds = [
        (turn, p, at)
        for turn in range(MOST)
        for p in order
        for at, samples in enumerate(excerpts[p])
        if turn < len(samples)
    ]
    length_S = np.array([excerpts[p][at][turn].text.length for turn, p, at in rounds])
    early_S = np.array([turn < 2 for turn, *_ in rounds])
    fixed = sum(len(_json(_asked(p))) for p in problems)
    shrink = _shrink(problems, excerpts, order[:: max(1, len(order) // 48)])
    while True:
        room = budget / shrink - fixed
        costs = [np.minimum(length_S, longest) + EXTRA for longest in LENGTHS]
        fitting = next((at for at, cost_S in enumerate(costs) if cost_S[early_S].sum() <= room), len(LENGTHS) - 1)
        inside_S = np.cumsum(costs[fitting]) <= room
        kept: Shelves = [[[] for _ in models] for models in excerpts]
        for (turn, p, at), inside in zip(rounds, inside_S.tolist(), strict=True):
            if inside:
                kept[p][at].append(excerpts[p][at][turn])
        starts, chunks = _chunks(problems, kept, LENGTHS[fitting])
        size = sum(map(len, chunks)) * 3 // 4
        if size <= budget or not inside_S.any():
            return kept, LENGTHS[fitting], starts, chunks
        shrink *= 1.03 * size / budget


def _shrink(problems: Sequence[Posed], excerpts: Shelves, some: Sequence[int]) -> float:
    """Compressed bytes a character, of some problems with all their excerpts."""
    text = _json([_shown(problems[p], excerpts[p], LENGTHS[0]) for p in some])
    return 1.02 * len(packed(text)) * 3 / 4 / len(text)


# -- what the browser reads -----------------------------------------------------------------------------------------


def _chunks(problems: Sequence[Posed], kept: Shelves, longest: int) -> tuple[list[int], list[str]]:
    """Blocks of neighbouring problems, and the position of each block's first problem."""
    starts: list[int] = []
    chunks: list[str] = []
    texts: list[str] = []
    for at, (problem, models) in enumerate(zip(problems, kept, strict=True)):
        if not texts:
            starts.append(at)
        texts.append(_json(_shown(problem, models, longest)))
        if sum(map(len, texts)) >= CHUNK or at + 1 == len(problems):
            chunks.append(packed(f"[{','.join(texts)}]"))
            texts = []
    return starts, chunks


def _asked(posed: Posed) -> dict[str, Any]:
    return {"prompt": spoken(posed.problem.prompt), "answer": posed.key}


def _shown(posed: Posed, models: Sequence[Sequence[SampleExcerpt]], longest: int) -> dict[str, Any]:
    return {**_asked(posed), "models": [[_sample(s, longest) for s in _as_drawn(excerpts)] for excerpts in models]}


def _as_drawn(excerpts: Sequence[SampleExcerpt]) -> list[SampleExcerpt]:
    """Right ones first, each kind in the order it was drawn."""
    return sorted(excerpts, key=lambda s: (s.status != "correct", s.sample))


def _sample(excerpt: SampleExcerpt, longest: int) -> list[Any]:
    """Sample, verdict, what else is known of it, text; what is not known is not there."""
    facts = {
        "stated": excerpt.final,
        "reason": excerpt.reason,
        "tokens": excerpt.tokens,
        "finish": "" if excerpt.finish == "stop" else excerpt.finish,
        "steps": excerpt.steps,
        "doubt": int(excerpt.doubtful),
    }
    known: dict[str, Any] = {name: value for name, value in facts.items() if value}
    if excerpt.label is not None:
        known["label"] = int(excerpt.label)
    if excerpt.reasoning is not None:
        shown = excerpt.text.cut(longest)
        known["reasoning"] = [_in_utf16(shown, excerpt.text.place(at, longest)) for at in excerpt.reasoning]
    return [excerpt.sample, excerpt.status, known, excerpt.text.cut(longest)]


def _in_utf16(text: str, at: int) -> int:
    """A place in a text as a browser counts: an emoji is two."""
    return len(text[:at].encode("utf-16-le", "surrogatepass")) // 2


def _answers(kept: Shelves, models: int) -> dict[str, Any]:
    """What samples are found by; they stand in the order of the chunks."""
    return answer_kinds([[_as_drawn(problem[at]) for problem in kept] for at in range(models)])


def _index(
    entries: Sequence[Entry], problems: Sequence[Problem], starts: Sequence[int], doubtful: Sequence[Mapping[str, int]]
) -> dict[str, Any]:
    share = min(LENGTHS[1], max(200, LISTED // len(problems)))
    return {
        "models": [e.name for e in entries],
        "ids": [p.id for p in problems],
        "numbered": all(NUMBERED.fullmatch(p.id) for p in problems),
        "fields": group_fields(problems),
        "labels": MOST_LISTED if any(len(read_labels(e.store)) >= MOST_LISTED for e in entries) else 0,
        "asked": asked([p.prompt for p in problems], share),
        "starts": starts,
        "doubts": [[at for at, p in enumerate(problems) if p.id in found] for found in doubtful],
        "surely": [_told_apart(e, {p.id: at for at, p in enumerate(problems)}) for e in entries],
        "bars": [bins(*e.outcomes.fractions()).tolist() for e in entries],
        "accuracy": [e.accuracy.round(5).tolist() for e in entries],
        **{key: [getattr(e.outcomes, f"{key}_P").tolist() for e in entries] for key in ("n", "c", "unscored")},
    }


def _told_apart(entry: Entry, position: Mapping[str, int]) -> dict[str, list[int]]:
    """Positions of the problems that a model gained and lost with a low p."""
    if entry.pair is None:
        return {"gained": [], "lost": []}
    sets = entry.pair.coverage
    return {
        "gained": [position[i] for i in sets.surely_gained or ()],
        "lost": [position[i] for i in sets.surely_lost or ()],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
