"""Bring in samples drawn elsewhere: read, judge, compare with the log's own labels, store like any run.

The files are read twice. The first time every row is checked and the problems are written down; the second time answers
are judged and stored part by part. A part holds the same answers whenever and wherever it is made, so the same command
goes on where it was stopped, and what lies in memory is one part and a few bytes a row.
"""

import hashlib
import json
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.files import Broken, find_files, hash_file, open_file
from reachlab.imports.formats import read_rows, recognise
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.further import add_further
from reachlab.imports.labels import as_label
from reachlab.imports.names import folder_name, run_name
from reachlab.imports.overrides import Overrides
from reachlab.imports.problems import OwnProblems, TaskProblems, digest
from reachlab.imports.record import Record, Said
from reachlab.imports.result import MOST_LISTED, ImportedRun, Tally
from reachlab.runs import RunFolder
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore, problem_line
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.logged import UNJUDGED
from reachlab.tasks.math import Math
from reachlab.tasks.registry import load_task
from reachlab.tasks.visual import pictures_of
from reachlab.types import NOT_ANSWERED, Judged, Problem, Sample, Verdict

PART_SIZE = 2048
"""Answers that are judged and stored at a time."""
TOLD_EVERY = 1000
"""Rows after which it is told how many were read."""
KEPT_IN_MEMORY = 1 << 20
UNANSWERED = Judged(Verdict.unscored(NOT_ANSWERED))

Progress = Callable[[int, int], None]
Row = tuple[Record, Problem, bool, "list[Answer]"]
"""What was read, the problem, whether it is the first of it, and its answers."""


@dataclass(frozen=True)
class Answer:
    """One answer to one problem, numbered."""

    problem: Problem
    index: int
    said: Said
    label: bool | None


@dataclass
class Skipped:
    """Rows that could not be read."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)


def import_samples(
    config: ImportConfig, progress: Progress | None = None, reading: Progress | None = None
) -> list[ImportedRun]:
    """Import files as one run, or as one a match of ``*``, or a step; done again, only what is missing.

    `progress` is told how many answers are judged and how many there are, `reading` how many rows are checked before.

    Raises:
        ReachlabError: input that cannot be read (nothing is written then), or a folder that holds another run.
    """
    with closing(Log(config)) as log:
        return _import(log, config, progress, reading)


def _import(log: "Log", config: ImportConfig, progress: Progress | None, reading: Progress | None) -> list[ImportedRun]:
    out = config.out or f"runs/{run_name(log.paths)}"
    root = RunFolder(out)
    if not root.glob("*/run.json"):  # else it holds the runs of a log with several
        root.check_free()  # before long reading
    scans = log.scan(reading)
    runs = []
    for name, scan in scans.items():
        folder = RunFolder(out if not name else f"{out}/{folder_name(name)}")
        runs.append(_Run(name, folder, scan, log.exported.get("columns", {}), log.judges))
    if len({run.folder.path for run in runs}) < len(runs):
        raise ReachlabError(f"two runs in the log give the same folder name: {', '.join(scans)}")
    for run in runs:
        if run.folder.exists("run.json"):
            run.folder.claim("import", log.identity(run.scan))  # refuses another run before anything is written
    facts = {"file": log.paths if len(log.paths) > 1 else log.paths[0], "verify_timeout": config.verify_timeout}
    facts |= {"labels_of": log.format.tool} if config.verdicts == "file" and not log.exported else {}
    facts |= {"skipped": log.skipped.count} if log.skipped.count else {}
    facts = {**log.exported.get("facts", {}), **facts}
    for run in runs:
        run.folder.claim("import", log.identity(run.scan), facts)
        run.folder.write_lines("problems.jsonl", run.scan.written())

    total = sum(run.scan.samples for run in runs)
    done = 0
    by_name = {run.name: run for run in runs}
    with Judge(log.task, workers=config.workers, timeout_s=config.verify_timeout) as judge:

        def finish(run: _Run) -> None:
            nonlocal done
            before = done

            def notify(n: int) -> None:
                if progress:
                    progress(before + n, total)

            done += run.finish_part(judge, config, notify)

        for name, answers in log.answers():
            run = by_name[name]
            for answer in answers:
                run.waiting.append(answer)
                if len(run.waiting) == PART_SIZE:
                    finish(run)
        for run in runs:
            if run.waiting:
                finish(run)
    return [run.result(log) for run in runs]


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
        self.starts.append(self.lines.notify())
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
            scan.unnamed_labels += sum(a.label is None and a.said.label is not None for a in answers)
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

    def answers(self) -> Iterator[tuple[str, list[Answer]]]:
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
                    found = list(self._records(base, row, place, find, drawn, taken))
                except ReachlabError as error:
                    if not self.config.skip_bad:
                        raise
                    if note:
                        self.skipped.count += 1
                        if len(self.skipped.reasons) < MOST_LISTED:
                            self.skipped.reasons.append(str(error))
                    continue
                yield from found

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
                Answer(problem, i, said, as_label(said.label, self.config.threshold))
                for i, said in enumerate(record.answers, start)
            ]  # fmt: skip

    def _verdicts(self) -> str:
        """Whose they are: ours, the log's, or those of an exported run, which may have been a log's before."""
        if not self.exported:
            return self.config.verdicts
        return "file" if self.exported["config"].get("verdicts") == "file" else "reachlab"

    def identity(self, scan: Scan) -> dict[str, Any]:
        """All that the result depends on."""
        config = self.config
        named = {n: getattr(config, n) for n in ("text", "question", "answer", "id", "index", "label")}
        said = {name: value for name, value in named.items() if value is not None}
        return {
            "files": self.hashes,
            "format": self.format.name,
            **self.format.settings(),
            **({"named": said} if said and self.format.narrow else {}),
            **({"threshold": config.threshold} if config.threshold is not None else {}),
            "verdicts": self._verdicts(),
            "skip_bad": config.skip_bad,
            "task": self.exported["config"].get("task") if self.exported else self.task.spec,
            "problems_hash": scan.hash.hexdigest(),
        }


class _Run:
    """One run on its way into its folder."""

    def __init__(self, name: str, folder: RunFolder, scan: Scan, further: Mapping[str, Any], judged_here: bool):
        self.name, self.folder, self.scan, self.further = name, folder, scan, further
        self.store = SampleStore(folder)
        self.waiting: list[Answer] = []
        self.tally = Tally()
        self.judged_here, self.noted = judged_here, False

    def finish_part(self, judge: Judge, config: ImportConfig, progress: Callable[[int], None]) -> int:
        """Judge and store what waits, unless the folder holds it; how many answers these were."""
        answers, self.waiting = self.waiting, []
        keys = [(a.problem.id, a.index) for a in answers]
        part = self.store.find_part(keys)
        if part is None:
            if self.judged_here and not self.noted:
                note_judged(self.folder, judge.task, config.verify_timeout)
                self.noted = True
            judged = _judge(answers, judge, config, progress)
            self.store.write_part([_sample(a, j) for a, j in zip(answers, judged, strict=True)])
            verdicts = [j.verdict for j in judged]
            progress(len(answers))
        else:
            stored = {(s.problem_id, s.index): s.verdict for s in self.store.part(part)}
            verdicts = [stored[key] for key in keys]
        if further := self.further:
            add_further(self.store, part or str(self.store.find_part(keys)), [a.said for a in answers], further)
        for answer, verdict in zip(answers, verdicts, strict=True):
            self.tally.add(answer.problem.id, answer.index, answer.said.text, answer.label, verdict)
        return len(answers)

    def result(self, log: Log) -> ImportedRun:
        """What was stored; where the labels disagree is kept in a file."""
        compared = log.config.verdicts == "judge" and log.task.spec != "logged" and self.tally.labelled > 0
        if compared:
            lines = "".join(json.dumps(asdict(d)) + "\n" for d in self.tally.disagreements)
            self.folder.write("disagreements.jsonl", lines.encode())
        return ImportedRun(
            name=self.folder.name,
            folder=self.folder.url,
            format=log.format.name,
            taken=log.format.taken(),
            problems=self.scan.problems,
            samples=self.scan.samples,
            correct=self.tally.status["correct"],
            wrong=self.tally.status["wrong"],
            unscored=self.tally.status["unscored"],
            unanswered=self.tally.unanswered,
            labelled=self.tally.labelled if compared else 0,
            disagreed=self.tally.disagreed if compared else 0,
            disagreements=tuple(self.tally.disagreements) if compared else (),
            skipped=log.skipped.count,
            skipped_rows=tuple(log.skipped.reasons),
            remarks=tuple(_remarks(log, self)),
        )


def _remarks(log: Log, run: _Run) -> Iterator[str]:
    """What a reader of the numbers has to know."""
    if log.exported:
        return
    if log.config.verdicts == "file":
        yield f"verdicts are the labels of the log ({log.format.tool}), not ours"
    elif log.task.spec == "logged":
        has = "; its labels are verdicts with --verdicts file" if run.tally.labelled else ""
        yield f"nothing is judged: {UNJUDGED}; name the problems with --task, or its field with --answer{has}"
    if run.scan.unnamed_labels:
        yield f"{run.scan.unnamed_labels} labels say neither right nor wrong; of numbers --threshold says from where on"


def _judge(
    answers: Sequence[Answer], judge: Judge, config: ImportConfig, progress: Callable[[int], None]
) -> list[Judged]:
    """Our verdicts, the log's, or those that were exported; an answer that is not there has none."""
    if exported := [s for a in answers if (s := a.said.sample) is not None]:
        return [Judged(s.verdict, s.steps, s.final_answer) for s in exported]
    if config.verdicts == "file":
        return [UNANSWERED if a.said.text is None else Judged(_believed(a.label)) for a in answers]
    at = [i for i, a in enumerate(answers) if a.said.text is not None]
    said = judge.judge([(answers[i].problem, str(answers[i].said.text)) for i in at], progress)
    judged = [UNANSWERED] * len(answers)
    for i, verdict in zip(at, said, strict=True):
        judged[i] = verdict
    return judged


def _believed(label: bool | None) -> Verdict:
    if label is None:
        return Verdict.unscored("the log does not say")
    return Verdict.correct() if label else Verdict.wrong("so the log says")


def _sample(answer: Answer, judged: Judged) -> Sample:
    if answer.said.sample is not None:
        return answer.said.sample
    return Sample(
        problem_id=answer.problem.id,
        index=answer.index,
        text=answer.said.text or "",
        tokens=0,  # not known: the log does not say which tokenizer
        finish=answer.said.finish,
        logprob=None,
        seed=0,
        engine="import",
        verdict=judged.verdict,
        steps=judged.steps,
        final_answer=judged.final_answer,
    )
