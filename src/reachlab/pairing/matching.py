"""Runs are compared on problems that ask the same: the same question, gold answer and pictures, and not only one id.

Many benchmarks number their problems from 0, so an id alone says little. Problems that share one are held against each
other before anything is counted, and where they ask something else the comparison is refused. Where ids differ, or mean
something else, `match="question"` pairs problems by what they ask; the first run's ids stand for all. What cannot be
checked, for a log holds no questions, is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError
from reachlab.pairing.golds import other_golds
from reachlab.pairing.pairs import Pairing, pair_by_question
from reachlab.pairing.questions import RunAsks, differing, other_pictures, undecidable
from reachlab.pairing.renamed import RenamedStore
from reachlab.store.samples import SampleStore
from reachlab.tasks.identity import same_task

Match = Literal["id", "question", "unchecked"]
"""How problems of different runs are paired: by id, where those of one id have to ask the same; by what they ask; or by
id alone, for one who knows."""

FEW = 0.1
"""A share of a run's problems, of which it is said that they are few."""
SHOWN, LONG = 3, 60
"""Ids that an error shows, and characters of each question there."""


@dataclass(frozen=True, kw_only=True)
class AskingAgreement:
    """What two runs ask under the ids that they share: where it differs, and where that is not known."""

    shared: int
    questions: tuple[str, ...] = ()
    golds: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Ids of which one run does not hold the question, or its template cannot be told from it."""
    only_golds: int = 0
    """Of the unknown ones, those whose gold answers are known to agree."""

    @property
    def differs(self) -> int:
        """Under how many ids the two ask something else."""
        return len(self.questions) + len(self.golds) + len(self.pictures)


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Runs that ask the same under the same ids. `stores` are in the order that was given, and call problems by the
    ids that `outcomes` have."""

    outcomes: tuple[Outcomes, ...]
    stores: tuple[SampleStore, ...]
    match: Match
    remarks: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """How problems were matched, and what is to be known of that."""
        return {"match": self.match, "remarks": list(self.remarks)}


def match_runs(stores: Sequence[SampleStore], names: Sequence[str], match: Match = "id") -> Matched:
    """Read the runs' outcomes, and see that problems of one id ask the same; the first run is the one that others are
    held against. `names` tell the runs apart.

    Raises:
        ReachlabError: problems of one id that ask something else, a run without what `match` goes by, no run of
            samples.
    """
    stores = list(stores)
    remarks: list[str] = []
    if len(stores) > 1:
        runs = [RunAsks(store, name) for store, name in zip(stores, names, strict=True)]
        if match == "unchecked":
            remarks.append(f"{' and '.join(names)}: problems are paired by id alone, whatever they ask, as you say")
        elif match == "question":
            for at in range(1, len(runs)):
                pairing = pair_by_question(runs[0], runs[at])
                remarks += _paired(runs[0], runs[at], pairing)
                if any(own != name for own, name in pairing.names.items()):
                    stores[at] = RenamedStore(stores[at].folder, pairing.names)
        else:
            remarks += check_runs(runs)
    outcomes = [replace(store.outcomes(), name=name) for store, name in zip(stores, names, strict=True)]
    return Matched(outcomes=tuple(outcomes), stores=tuple(stores), match=match, remarks=tuple(remarks))


def check_runs(runs: Sequence[RunAsks]) -> list[str]:
    """See that the runs ask the same under the ids that they share; remarks on what is not known, and on few ids.

    Raises:
        ReachlabError: they do not.
    """
    first, *others = runs
    agreements = [_agree(first, other) for other in others]
    if any(agreement.unknown for agreement in agreements):
        # What the first run does not say, others may say of each other.
        for one, two in combinations(others, 2):
            _agree(one, two)
    return [
        remark
        for other, agreement in zip(others, agreements, strict=True)
        for remark in _remarks(first, other, agreement)
    ]


def remarks_on(stores: Sequence[SampleStore], names: Sequence[str]) -> list[str]:
    """What is to be known where runs stand side by side and nothing is paired: which are about other problems than the
    first.

    Raises:
        ReachlabError: no run of samples.
    """
    if len(stores) < 2:
        return []
    first, *others = [RunAsks(store, name) for store, name in zip(stores, names, strict=True)]
    remarks = []
    for other in others:
        agreed = agreement(first, other)
        both = f"{first.name} and {other.name}"
        if not agreed.shared:
            remarks.append(f"{both} share no problem: their numbers are of different questions")
        elif agreed.differs:
            remarks.append(
                f"{both} are about other problems ({agreed.differs:,} of {agreed.shared:,} with one id ask something "
                "else): their numbers are of different questions"
            )
    return remarks


def _agree(ours: RunAsks, theirs: RunAsks) -> AskingAgreement:
    agreed = agreement(ours, theirs)
    if not agreed.shared and not (ours.own and theirs.own and same_task(ours.task, theirs.task)):
        _offer(ours, theirs)
    if agreed.differs:
        raise ReachlabError(_refusal(ours, theirs, agreed))
    if len(silent := [run for run in (ours, theirs) if not run.says]) == 1 and agreed.only_golds < agreed.shared:
        raise ReachlabError(
            f"{ours.name} and {theirs.name}: whether the {agreed.shared:,} ids in both are of the same problems cannot "
            f"be told, for {silent[0].name} holds no questions; if you know that they are, --match unchecked pairs "
            "them by id alone"
        )
    return agreed


def agreement(ours: RunAsks, theirs: RunAsks) -> AskingAgreement:
    """Hold two runs' problems against each other where they share an id."""
    ids = [i for i in ours.by_id if i in theirs.by_id]
    both = [i for i in ids if ours.by_id[i].question and theirs.by_id[i].question]
    missing = [i for i in ids if not (ours.by_id[i].question and theirs.by_id[i].question)]
    questions = differing(ours, theirs, both)
    if questions and undecidable(ours, theirs):
        missing, questions = [*missing, *questions], []
    left = _without(ids, questions)
    golds, untold = other_golds((ours.task, theirs.task), {i: (ours.by_id[i], theirs.by_id[i]) for i in left})
    left = _without(left, golds)
    pictures = [i for i in left if other_pictures(ours, theirs, ours.by_id[i], theirs.by_id[i])]
    unknown = [i for i in missing if i not in {*golds, *pictures}] if golds or pictures else missing
    return AskingAgreement(
        shared=len(ids),
        questions=tuple(questions),
        golds=tuple(golds),
        pictures=tuple(pictures),
        unknown=tuple(unknown),
        only_golds=len(set(unknown) - set(untold)),
    )


def _without(ids: Sequence[str], others: Sequence[str]) -> list[str]:
    out = set(others)
    return [i for i in ids if i not in out]


def _offer(ours: RunAsks, theirs: RunAsks) -> None:
    """Say what pairs two runs that share no id.

    Raises:
        ReachlabError: questions do.
    """
    questions = {asks.plain for asks in ours.by_id.values() if asks.question}
    same = sum(asks.plain in questions for asks in theirs.by_id.values())
    if same:
        raise ReachlabError(
            f"{ours.name} and {theirs.name} share no id, and {same:,} questions: pair them by these with "
            "--match question"
        )


# -- in words ------------------------------------------------------------------------------------------------------


def _refusal(ours: RunAsks, theirs: RunAsks, agreed: AskingAgreement) -> str:
    """Which runs, how many problems, the first of them, and what can be done."""
    parts = {
        "with another question": [
            f"{i!r} asks {_short(ours.by_id[i].plain)} and {_short(theirs.by_id[i].plain)}" for i in agreed.questions
        ],
        "with another gold answer": [
            f"{i!r} has {_short(ours.by_id[i].answer)} and {_short(theirs.by_id[i].answer)}" for i in agreed.golds
        ],
        "with other pictures": [f"{i!r}, {_short(ours.by_id[i].plain)}" for i in agreed.pictures],
    }
    differences = "; ".join(
        f"{len(shown):,} {what}: {', '.join(shown[:SHOWN])}{' ...' if len(shown) > SHOWN else ''}"
        for what, shown in parts.items()
        if shown
    )
    return (
        f"{ours.name} and {theirs.name} are not about the same problems: of {agreed.shared:,} "
        f"id{'s' * (agreed.shared > 1)} in both, {differences}. Pair problems by what they ask with --match question, "
        "or compare runs of one benchmark"
    )


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return repr(text if len(text) <= LONG else f"{text[:LONG]}...")


def _remarks(ours: RunAsks, theirs: RunAsks, agreed: AskingAgreement) -> Iterator[str]:
    """What is not known, and that few problems are shared."""
    both = f"{ours.name} and {theirs.name}"
    if agreed.unknown:
        golds = ""
        if agreed.only_golds:
            golds = f"; the gold answers of {_all(agreed.only_golds, len(agreed.unknown))} agree"
        yield (
            f"{both}: paired by id alone: whether {len(agreed.unknown):,} of {agreed.shared:,} problems ask the same "
            f"is not known, for their bare questions are not in both runs{golds}"
        )
    yield from _few(ours, theirs, agreed.shared)


def _few(ours: RunAsks, theirs: RunAsks, shared: int) -> Iterator[str]:
    sizes = len(ours.by_id), len(theirs.by_id)
    if 0 < shared < FEW * max(sizes):
        yield (
            f"{ours.name} and {theirs.name} share {shared:,} problems only, of {sizes[0]:,} and {sizes[1]:,}: what is "
            "said is said of these"
        )


def _all(count: int, of: int) -> str:
    return "all" if count == of else f"{count:,}"


def _paired(ours: RunAsks, theirs: RunAsks, pairing: Pairing) -> Iterator[str]:
    """How many problems found their partner by question, and why others did not."""
    left = {
        "without the same question there": pairing.alone,
        "whose partner has another gold answer": pairing.golds,
        "whose partner shows other pictures": pairing.pictures,
        "asked more than once, which are left out": pairing.twice,
    }
    rest = "".join(f", {count:,} {what}" for what, count in left.items() if count)
    yield f"{theirs.name}: {pairing.paired:,} of {len(theirs.by_id):,} problems found in {ours.name} by question{rest}"
    yield from _few(ours, theirs, pairing.paired)
