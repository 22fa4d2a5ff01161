"""How the models of a page were made: the commands, a stage each, in the order in which they have to run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reachlab.commands.again import run_again
from reachlab.report.entries import Entry
from reachlab.runs import RunFolder


@dataclass(frozen=True, kw_only=True)
class MadeBy:
    """One stage: the words of its command, or none, and a note that says why or what to know."""

    title: str
    words: tuple[str, ...]
    note: str = ""

    @property
    def pieces(self) -> list[str]:
        """The command in pieces that stay on one line: an option with its values each, quoted for a shell."""
        pieces: list[list[str]] = [["reachlab"]] if self.words else []
        for word in self.words:
            if word.startswith("--"):
                pieces.append([])
            pieces[-1].append(word)
        return [shlex.join(piece) for piece in pieces]


@dataclass(frozen=True, kw_only=True)
class Extra:
    """What a page is told of its making: more that was run, as name and text, and the words of the command that writes
    it; without them, the plain ones."""

    rows: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def stages(entries: Sequence[Entry], report: Sequence[str] = ()) -> list[MadeBy]:
    """Pretraining, what trained on, the samples of every model, and the page; a run that several share once.

    `report` is the command that writes the page, in words; where it is not given, it is the plain one.
    """
    return [*_trainings(entries), *_samplings(entries), _page(report or _plain(entries))]


def _trainings(entries: Sequence[Entry]) -> Iterator[MadeBy]:
    seen = set[str]()
    for training in (t for e in entries for t in reversed(e.trainings)):
        if training.folder.path not in seen:
            seen.add(training.folder.path)
            found = run_again(training.document, training.folder.url)
            yield MadeBy(title=f"{training.kind}: {training.folder.name}", words=found.words, note=found.why)


def _samplings(entries: Sequence[Entry]) -> Iterator[MadeBy]:
    for entry in entries:
        for store in entry.stores:
            document = entry.document if store is entry.store else store.folder.read_json("run.json")
            found = run_again(document, store.folder.url)
            several = f" ({store.folder.name})" if len(entry.stores) > 1 else ""
            kind = str(document.get("kind", "samples"))
            yield MadeBy(title=f"{kind}: {entry.name}{several}", words=found.words, note=found.why)


def _page(words: Sequence[str]) -> MadeBy:
    return MadeBy(title="report: this page", words=tuple(words))


def _plain(entries: Sequence[Entry]) -> list[str]:
    """Every model as ``NAME=RUN,RUN``, or as its run where that says its name already."""
    said = [
        url if len(entry.stores) == 1 and RunFolder(url).name == entry.name else f"{entry.name}={url}"
        for entry in entries
        for url in [",".join(store.folder.url for store in entry.stores)]
    ]
    return ["report", *said]
