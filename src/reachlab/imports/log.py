"""The files of an import: their format, their problems, and their answers, numbered as the run will have them.

The files are read twice, always in one order: first every row is checked and the problems are written down, then the
answers come one row after another.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats import read_rows, recognise
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.labels import as_label
from reachlab.imports.log_files import Broken, find_files, hash_file, open_file
from reachlab.imports.log_problems import OwnProblems, TaskProblems, digest
from reachlab.imports.overrides import Overrides
from reachlab.imports.record import LoggedAnswer, Record
from reachlab.imports.result import MOST_LISTED
from reachlab.origins import Maker
from reachlab.plugins import identity_of
from reachlab.store.samples import problem_line
from reachlab.tasks.base import Task
from reachlab.tasks.math import Math
from reachlab.tasks.registry import load_task, maker_of
from reachlab.tasks.visual import pictures_of
from reachlab.types import Problem

KEPT_IN_MEMORY = 1 << 20
TOLD_EVERY = 1000
"""Rows after which it is told how many were read."""

Progress = Callable[[int, int], None]
Row = tuple[Record, Problem, bool, "list[NumberedAnswer]"]
"""What was read, the problem, whether it is the first of it, and its answers."""


@dataclass(frozen=True)
class NumberedAnswer:
    """One answer to one problem, numbered."""

    problem: Problem
    index: int
    logged: LoggedAnswer
    label: bool | None


@dataclass
class Skipped:
    """Rows that could not be read."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)


@dataclass
class Scan:
    """What the first reading found of one run."""

    samples: int = 0
    problems: int = 0
    unnamed_labels: int = 0
    hash: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    lines: Any = field(default_factory=lambda: tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY))  # noqa: SIM115
    """Its problems as they will be kept."""
    positions: "array[int]" = field(default_factory=lambda: array("q"))
    """Which of the run's problems each is; all 0 where that is as they come."""
    starts: "array[int]" = field(default_factory=lambda: array("q"))
    """Where their lines begin."""

    def add(self, problem: Problem, position: int) -> None:
        """One problem more."""
        line = problem_line(problem)
        self.problems += 1
        self.hash.update(line)
        self.positions.append(position)
        self.starts.append(self.lines.tell())
        self.lines.write(line)

    def written(self) -> Iterator[bytes]:
        """The lines of its problems, by position; those of one position as they came."""
        if not any(self.positions):
            self.lines.seek(0)
            yield from self.lines
            return
        for at in sorted(range(self.problems), key=self.positions.__getitem__):
            self.lines.seek(self.starts[at])
            yield self.lines.readline()


class Log:
    """The files of an import, their format, and what is judged by what."""

    def __init__(self, config: ImportConfig):
        self.config = config
        self.paths = find_files(config.file)
        self.files = [open_file(path) for path in self.paths]
        formats = [recognise(config, file) for file in self.files]
        names = list(dict.fromkeys(f.name for f in formats))
        if len(names) > 1:
            raise ReachlabError(f"files of several formats ({', '.join(names)}); import each by itself")
        if config.filter and not formats[0].filters:
            raise ReachlabError(f"--filter {config.filter}: logs of the format {names[0]} have no filters")
        self.format: Format = formats[0].look_through(self._all_rows(formats[0]))
        self.read = Overrides(self.format, config)
        hashes, lines = zip(*map(hash_file, self.paths), strict=True)
        self.hashes = list(hashes)
        self.lines = sum(lines) if all(file.kind == "lines" for file in self.files) else 0
        """Rows at most, where a row is a line."""
        self.skipped = Skipped()
        self.scans: dict[str, Scan] = {}
        self.gold = self.labelled = False
        self._task = load_task(config.task) if config.task else None
        # A verifier with settings but no problems, such as math,reasoning_end=..., judges the log's own.
        self._own = self._task is None or (isinstance(self._task.task, Math) and not self._task.task.all_problems)

    @property
    def exported(self) -> Mapping[str, Any]:
        """What the run says of itself that was exported to these files; nothing where they are somebody else's log."""
        return self.format.exported() or {}

    @property
    def task(self) -> Task:
        """What judges: the task that was named; else math, where the log holds a right answer."""
        return self._task or load_task("math" if self.gold and not self.exported else "logged")

    @property
    def judges(self) -> bool:
        """Whether verdicts are given here, and not the log's or an exported run's."""
        return self.config.verdicts == "judge" and not self.exported and self.task.spec != "logged"

    def _all_rows(self, format: Format) -> Iterator[Placed]:
        return chain.from_iterable(read_rows(file, format) for file in self.files)

    def close(self) -> None:
        """Drop what the first reading wrote down."""
        for scan in self.scans.values():
            scan.lines.close()

    def scan(self, reading: Progress | None = None) -> dict[str, Scan]:
        """Read and check every row; `reading` is told how many there were of how many.

        Raises:
            ReachlabError: one cannot be read, unless they are skipped; no answer at all.
        """
        scans = self.scans
        for number, (record, problem, new, answers) in enumerate(self._rows(note=True), 1):
            if reading and not number % TOLD_EVERY and number < self.lines:
                reading(number, self.lines)
            scan = scans.setdefault(record.run, Scan())
            if new:
                scan.add(problem, record.position)
            scan.samples += len(answers)
            scan.unnamed_labels += sum(a.label is None and a.logged.label is not None for a in answers)
            self.gold |= problem.answer is not None
            self.labelled |= any(a.label is not None for a in answers)
        if not any(scan.samples for scan in scans.values()):
            why = f"; {self.skipped.count} rows were skipped, {self.skipped.reasons[0]}" if self.skipped.count else ""
            raise ReachlabError(f"{self.paths[0]}: no answers in it{why}")
        if self.config.verdicts == "file" and not self.labelled and not self.exported:
            raise ReachlabError(
                f"{self.paths[0]}: --verdicts file, and no labels are found; name their field with --label, and "
                "--threshold where they are numbers"
            )
        return scans

    def answers(self) -> Iterator[tuple[str, list[NumberedAnswer]]]:
        """The answers of one row after another, with the run that they are of."""
        for record, _, _, answers in self._rows(note=False):
            yield record.run, answers

    def _rows(self, note: bool) -> Iterator[Row]:
        """Every record's problem and numbered answers; always in the same order."""
        find: OwnProblems | TaskProblems = OwnProblems()
        if self._task is not None and not self._own:
            find = TaskProblems(self._task, self.config, self.format.positional)
        drawn: dict[str | tuple[str, str], int] = {}
        taken: set[int] = set()
        for file in self.files:
            base = Path(file.path).parent
            for place, row in read_rows(file, self.format):
                try:
                    records = list(self._records(base, row, place, find, drawn, taken))
                except ReachlabError as error:
                    if not self.config.skip_bad:
                        raise
                    if note:
                        self.skipped.count += 1
                        if len(self.skipped.reasons) < MOST_LISTED:
                            self.skipped.reasons.append(str(error))
                    continue
                yield from records

    def _records(
        self,
        base: Path,
        row: Any,
        place: str,
        find: OwnProblems | TaskProblems,
        drawn: dict[str | tuple[str, str], int],
        taken: set[int],
    ) -> Iterator[Row]:
        if isinstance(row, Broken):
            raise ReachlabError(f"{place}: {row.reason}")
        if not self.format.recognises(row):
            raise ReachlabError(f"{place}: not a row of the format {self.format.name}, as those before it")
        for record in self.read.records(row, place):
            if self._own and not self.format.narrow and (pictures := pictures_of(row, place, base)):
                record = replace(record, images=pictures)
            problem = find.problem(record, place)
            key = (record.run, problem.id) if record.run else problem.id
            new = key not in drawn
            start = drawn.setdefault(key, 0)
            # Numbers of a file's own start again in the next file, whose samples are others.
            own = len(self.files) == 1 or self.config.index is not None or record.problem is not None
            if record.index is not None and own:
                start = record.index
                for i in range(start, start + len(record.answers)):
                    if (mark := digest(key, i)) in taken:
                        raise ReachlabError(f"{place}: sample {i} of problem {problem.id!r} again; each may come once")
                    taken.add(mark)
            drawn[key] += len(record.answers)
            yield record, problem, new, [
                NumberedAnswer(problem, i, logged, as_label(logged.label, self.config.threshold))
                for i, logged in enumerate(record.answers, start)
            ]  # fmt: skip

    def _verdicts(self) -> str:
        """Where they come from: ours, the log's, or those of an exported run, which may have been a log's before."""
        if not self.exported:
            return self.config.verdicts
        return "file" if self.exported["config"].get("verdicts") == "file" else "reachlab"

    def identity(self, scan: Scan) -> dict[str, Any]:
        """All that the result depends on."""
        config = self.config
        named = {n: getattr(config, n) for n in ("text", "question", "answer", "id", "index", "label")}
        given = {name: value for name, value in named.items() if value is not None}
        return {
            "files": self.hashes,
            "format": self.format.name,
            **self.format.settings(),
            **({"named": given} if given and self.format.narrow else {}),
            **({"threshold": config.threshold} if config.threshold is not None else {}),
            "verdicts": self._verdicts(),
            "skip_bad": config.skip_bad,
            "task": self.exported["config"].get("task") if self.exported else self.task.spec,
            "problems_hash": scan.hash.hexdigest(),
            **identity_of(self.makers),
        }

    @property
    def makers(self) -> dict[str, Maker]:
        """Who made the task whose code this import asks, where that is not ours."""
        by = None if self.exported else maker_of(self.task.spec)
        return {} if by is None else {"task": by}
