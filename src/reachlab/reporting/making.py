"""How the models of a page were made: the commands, a stage each, in the order in which they have to run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from reachlab.commands.again import Known, run_again
from reachlab.reporting.entries import Entry
from reachlab.reporting.lineage import Ancestor, ancestors
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore


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
    lines = [_Line(entry, store) for entry in entries for store in entry.stores]
    return [*_trainings(lines), *_samplings(lines), _page(report or _plain(entries))]


def drawn_by(store: SampleStore) -> dict[str, int]:
    """How many samples of a run each engine drew, by name."""
    counts = store.read_encoded(["engine"])["engine"].value_counts().to_pylist()
    return dict(sorted((str(found["values"]), int(found["counts"])) for found in counts))


class _Line:
    """A run of samples and the training runs behind its model, the latest first."""

    def __init__(self, entry: Entry, store: SampleStore):
        self.entry, self.store = entry, store
        first = store is entry.store
        self.document = entry.document if first else store.folder.read_json("run.json")
        self.trainings = entry.trainings if first else ancestors(self.document, store.folder)


def _trainings(lines: Sequence[_Line]) -> Iterator[MadeBy]:
    kept: dict[str, set[int]] = {}
    for training in (t for line in lines for t in line.trainings):
        kept.setdefault(training.folder.path, set()).update([training.until] if training.until else [])
    seen = set[str]()
    for line in lines:
        for made, parent in reversed([*pairwise([*line.trainings, None])]):
            if made and made.folder.path not in seen:
                seen.add(made.folder.path)
                yield _training(made, parent, kept[made.folder.path])


def _training(training: Ancestor, parent: Ancestor | None, kept: set[int]) -> MadeBy:
    known = Known(model=parent.model if parent else "", kept=kept)
    found = run_again(training.document, training.folder.url, known)
    why = found.why
    if kept and not found.words:
        why += f"; of it the checkpoints of steps {', '.join(map(str, sorted(kept)))} are used below"
    return MadeBy(title=f"{training.kind}: {training.folder.name}", words=found.words, note=why)


def _samplings(lines: Sequence[_Line]) -> Iterator[MadeBy]:
    for line in lines:
        model = line.trainings[0].model if line.trainings else ""
        url = line.store.folder.url
        found = run_again(line.document, url, Known(model=model, drawn=drawn_by(line.store)))
        several = f" ({line.store.folder.name})" if len(line.entry.stores) > 1 else ""
        kind = str(line.document.get("kind", "samples"))
        yield MadeBy(title=f"{kind}: {line.entry.name}{several}", words=found.words, note=found.why)


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
