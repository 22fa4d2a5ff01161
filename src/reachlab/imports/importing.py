"""Bring in samples drawn elsewhere: read, judge, compare with the log's own labels, store like any run.

The files are read twice. The first time every row is checked and the problems are written down; the second time answers
are judged and stored part by part. A part holds the same answers whenever and wherever it is made, so the same command
goes on where it was stopped, and what lies in memory is one part and a few bytes a row.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.further import add_further
from reachlab.imports.log import Log, NumberedAnswer, Progress, Scan
from reachlab.imports.names import folder_name, run_name
from reachlab.imports.result import ImportedRun, Tally
from reachlab.plugins import facts_of
from reachlab.runs import RunFolder
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore
from reachlab.tasks.identity import as_begun
from reachlab.tasks.judging import Judge
from reachlab.tasks.logged import UNJUDGED
from reachlab.types import NOT_ANSWERED, Judged, Sample, Verdict

PART_SIZE = 2048
"""Answers that are judged and stored at a time."""
UNANSWERED = Judged(Verdict.unscored(NOT_ANSWERED))


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


def _import(log: Log, config: ImportConfig, progress: Progress | None, reading: Progress | None) -> list[ImportedRun]:
    out = config.out or f"runs/{run_name(log.paths)}"
    root = RunFolder(out)
    if not root.glob("*/run.json"):  # else it holds the runs of a log with several
        root.check_free()  # before long reading
    scans = log.scan(reading)
    runs = []
    for name, scan in scans.items():
        folder = RunFolder(out if not name else f"{out}/{folder_name(name)}")
        runs.append(RunImport(name, folder, scan, log.exported.get("columns", {}), log.judges))
    if len({run.folder.path for run in runs}) < len(runs):
        raise ReachlabError(f"two runs in the log give the same folder name: {', '.join(scans)}")
    for run in runs:
        if run.folder.exists("run.json"):
            # Refuses another run before anything is written.
            run.folder.claim("import", as_begun(run.folder, log.identity(run.scan)))
    facts = {"file": log.paths if len(log.paths) > 1 else log.paths[0], "verify_timeout": config.verify_timeout}
    facts |= {"labels_of": log.format.tool} if config.verdicts == "file" and not log.exported else {}
    facts |= {"skipped": log.skipped.count} if log.skipped.count else {}
    facts = {**log.exported.get("facts", {}), **facts, **facts_of(log.makers)}
    for run in runs:
        run.folder.claim("import", as_begun(run.folder, log.identity(run.scan)), facts)
        run.folder.write_lines("problems.jsonl", run.scan.written())

    total = sum(run.scan.samples for run in runs)
    done = 0
    by_name = {run.name: run for run in runs}
    with Judge(log.task, workers=config.workers, timeout_s=config.verify_timeout) as judge:

        def finish(run: RunImport) -> None:
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


class RunImport:
    """One run on its way into its folder."""

    def __init__(self, name: str, folder: RunFolder, scan: Scan, further: Mapping[str, Any], judged_here: bool):
        self.name, self.folder, self.scan, self.further = name, folder, scan, further
        self.store = SampleStore(folder)
        self.waiting: list[NumberedAnswer] = []
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
            add_further(self.store, part or str(self.store.find_part(keys)), [a.logged for a in answers], further)
        for answer, verdict in zip(answers, verdicts, strict=True):
            self.tally.add(answer.problem.id, answer.index, answer.logged.text, answer.label, verdict)
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


def _remarks(log: Log, run: RunImport) -> Iterator[str]:
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
    answers: Sequence[NumberedAnswer], judge: Judge, config: ImportConfig, progress: Callable[[int], None]
) -> list[Judged]:
    """Our verdicts, the log's, or those that were exported; an answer that is not there has none."""
    if exported := [s for a in answers if (s := a.logged.sample) is not None]:
        return [Judged(s.verdict, s.steps, s.final_answer) for s in exported]
    if config.verdicts == "file":
        return [UNANSWERED if a.logged.text is None else Judged(_of_label(a.label)) for a in answers]
    at = [i for i, a in enumerate(answers) if a.logged.text is not None]
    verdicts = judge.judge([(answers[i].problem, str(answers[i].logged.text)) for i in at], progress)
    judged = [UNANSWERED] * len(answers)
    for i, verdict in zip(at, verdicts, strict=True):
        judged[i] = verdict
    return judged


def _of_label(label: bool | None) -> Verdict:
    if label is None:
        return Verdict.unscored("the log does not say")
    return Verdict.correct() if label else Verdict.wrong("so the log says")


def _sample(answer: NumberedAnswer, judged: Judged) -> Sample:
    if answer.logged.sample is not None:
        return answer.logged.sample
    return Sample(
        problem_id=answer.problem.id,
        index=answer.index,
        text=answer.logged.text or "",
        tokens=0,  # not known: the log does not say which tokenizer
        finish=answer.logged.finish,
        logprob=None,
        seed=0,
        engine="import",
        verdict=judged.verdict,
        steps=judged.steps,
        final_answer=judged.final_answer,
    )
