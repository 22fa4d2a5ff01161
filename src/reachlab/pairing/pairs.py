"""Pairs of problems of two runs that ask the same, whatever their ids.

A problem is looked up by its question, or, where that is a prompt with a template around it, by what is left of it
without what the run's prompts have in common. Several of one question are told apart by their gold answers and
pictures, then by their ids; what is still not one to one is in no pair.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.pairing.golds import gold_key, other_golds
from reachlab.pairing.questions import Asks, RunAsks, other_pictures


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """`names` has an id for each of the other run's problems: its partner's, or one that nobody else has. The numbers
    count its problems: in a pair; with nothing of the same question; with a partner of another gold answer, or with
    other pictures; asked several times over."""

    names: Mapping[str, str]
    paired: int
    alone: int
    golds: int
    pictures: int
    twice: int


def pair_by_question(ours: RunAsks, theirs: RunAsks) -> Pairing:
    """Find each of their problems among ours.

    Raises:
        ReachlabError: a run that holds no questions, or no question that both ask.
    """
    for run in (ours, theirs):
        if not any(asks.question for asks in run.by_id.values()):
            raise ReachlabError(f"{run.name}: holds no questions, so --match question has nothing to go by")
    partners = Partners()
    single: dict[str, tuple[Asks, Asks]] = {}
    questions = 0
    for own, others in _groups(ours, theirs):
        questions += len(others)
        if len(own) == len(others) == 1:
            single[others[0]] = ours.by_id[own[0]], theirs.by_id[others[0]]
        else:
            _tell_apart(ours, theirs, own, others, partners)
    if not questions:
        raise ReachlabError(f"{ours.name} and {theirs.name}: no question is in both; they are about other problems")
    wrong = set(other_golds((ours.task, theirs.task), single)[0])
    for name, (a, b) in single.items():
        if name in wrong:
            partners.golds += 1
        elif other_pictures(ours, theirs, a, b):
            partners.pictures += 1
        else:
            partners.partner[name] = a.id
    return Pairing(
        names=_names(ours, theirs, partners.partner),
        paired=len(partners.partner),
        alone=len(theirs.by_id) - questions,
        golds=partners.golds,
        pictures=partners.pictures,
        twice=partners.twice,
    )


@dataclass
class Partners:
    """Partners so far, and how many have none, by reason."""

    partner: dict[str, str] = field(default_factory=dict)
    golds: int = 0
    pictures: int = 0
    twice: int = 0


def _tell_apart(ours: RunAsks, theirs: RunAsks, own: Sequence[str], others: Sequence[str], partners: Partners) -> None:
    """Pair problems of one question by their pictures and gold answers; those that agree in these too, by their ids."""
    looks = defaultdict[Any, list[str]](list), defaultdict[Any, list[str]](list)
    blind = any(ours.by_id[i].blind for i in own) or any(theirs.by_id[i].blind for i in others)
    for run, ids, index in ((ours, own, looks[0]), (theirs, others, looks[1])):
        for problem_id in ids:
            asks = run.by_id[problem_id]
            index[() if blind else asks.pictures, gold_key(run.task, asks)].append(problem_id)
    pictures = {shown for shown, _ in looks[0]}
    for key, here in looks[1].items():
        there = looks[0].get(key, [])
        if len(there) == len(here) == 1:
            partners.partner[here[0]] = there[0]
            continue
        named = set(there) & set(here)
        partners.partner.update(zip(named, named, strict=True))
        if there:
            partners.twice += len(here) - len(named)
        elif key[0] in pictures:
            partners.golds += len(here)
        else:
            partners.pictures += len(here)


def _groups(ours: RunAsks, theirs: RunAsks) -> list[tuple[list[str], list[str]]]:
    """Ids of ours and of theirs that ask one question: by the questions as they are, then, of what is left, by what
    tells them from the others of their run."""
    partners: list[tuple[list[str], list[str]]] = []
    seen_ours, seen_theirs = set[str](), set[str]()
    looks = [({i: a.plain for i, a in ours.by_id.items()}, {i: a.plain for i, a in theirs.by_id.items()})]
    if not (ours.own and theirs.own):
        looks.append((dict(ours.cores), dict(theirs.cores)))
    for by_ours, by_theirs in looks:
        index = defaultdict[str, list[str]](list)
        for problem_id, key in by_ours.items():
            if key and problem_id not in seen_ours:
                index[key].append(problem_id)
        others = defaultdict[str, list[str]](list)
        for problem_id, key in by_theirs.items():
            if key in index and problem_id not in seen_theirs:
                others[key].append(problem_id)
        for key, ids in others.items():
            partners.append((index[key], ids))
            seen_ours.update(index[key])
            seen_theirs.update(ids)
    return partners


def _names(ours: RunAsks, theirs: RunAsks, partner: Mapping[str, str]) -> dict[str, str]:
    """What their problems are called: as the partner, or else by a name that is none of ours."""
    taken = {*ours.by_id}
    names = {}
    for problem_id in theirs.by_id:
        name = partner.get(problem_id)
        if name is None:
            name = problem_id if problem_id not in taken else f"{problem_id} of {theirs.name}"
            while name in taken:
                name += "'"
            taken.add(name)
        names[problem_id] = name
    return names
