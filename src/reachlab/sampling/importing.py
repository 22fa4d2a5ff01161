"""Bring in samples drawn elsewhere: judge them, compare with the file's own labels, store them like any run.

The whole file is read and checked, and every answer judged, before anything is written.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling.records import (
    Fields,
    ImportConfig,
    as_label,
    as_text,
    as_texts,
    find_fields,
    lookup,
    matches,
    read_table,
    required,
)
from reachlab.sampling.store import SampleStore, hash_problems
from reachlab.tasks.base import Task
from reachlab.tasks.choice_rows import choice_of
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math, gold_answer
from reachlab.tasks.registry import load_task
from reachlab.tasks.rows import Once, Row
from reachlab.tasks.visual import pictures_of
from reachlab.types import Judged, Problem, Sample

PART_SIZE = 8192
TAIL_LENGTH = 200
UNFIT = re.compile(r"[^\w.-]+")
"""What a folder's name is not made of."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """An answer of which the file's label says another thing than our verdict."""

    problem_id: str
    sample: int
    ours: str
    reason: str
    theirs: bool
    text_tail: str


@dataclass(frozen=True, kw_only=True)
class ImportedRun:
    """What one run of imported samples holds. `labelled` samples came with a label of the file's own."""

    name: str
    folder: str
    problems: int
    samples: int
    correct: int
    wrong: int
    unscored: int
    labelled: int
    disagreements: tuple[Disagreement, ...]

    @property
    def agreement(self) -> float | None:
        """Share of the labels that our verdicts agree with; None without labels."""
        return 1 - len(self.disagreements) / self.labelled if self.labelled else None


@dataclass(frozen=True)
class _Answer:
    problem: Problem
    index: int
    text: str
    label: bool | None

    @property
    def key(self) -> tuple[str, int]:
        return self.problem.id, self.index


def import_samples(config: ImportConfig, progress: Callable[[int, int], None] | None = None) -> list[ImportedRun]:
    """Import a file as one run, or as one run a match of ``*``; done again, only what is missing.

    `progress` is told how many answers are judged and how many there are.

    Raises:
        ReachlabError: bad input (nothing is written then), or a folder that holds another run.
    """
    rows = list(read_table(config.file))
    fields = find_fields(config, rows[0][1])
    names = matches(rows, fields.text) if "*" in fields.text else [None]
    task = load_task(config.task or "math")
    own = config.task is None or (
        isinstance(task.task, Math) and not task.task.all_problems
    )  # a verifier with settings
    find = _OwnProblems(config.file) if own else _TaskProblems(task, config)
    out = config.out or f"runs/{_stem(config.file)}"
    with fsspec.open(config.file, "rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()

    runs = []
    for name in names:
        run_fields = fields if name is None else fields.of(name)
        answers = _answers(rows, run_fields, find)
        folder = RunFolder(out if name is None else f"{out}/{UNFIT.sub('_', name)}")
        problems = list({a.problem.id: a.problem for a in answers}.values())
        identity = {
            "file_hash": content,
            "fields": asdict(run_fields),
            "task": task.spec,
            "problems_hash": hash_problems(problems),
        }
        runs.append(_Run(folder, identity, problems, answers))
    if len({run.folder.path for run in runs}) < len(runs):
        raise ReachlabError(
            f"--text {fields.text}: two matches give the same folder name: {', '.join(map(str, names))}"
        )

    missing = [(run, a) for run in runs for a in run.missing()]
    with Judge(task, workers=config.workers, timeout_s=config.verify_timeout) as judge:
        told = (lambda done: progress(done, len(missing))) if progress else None
        judged = judge.judge([(a.problem, a.text) for _, a in missing], told)
    for (run, answer), said in zip(missing, judged, strict=True):
        run.judged[answer.key] = said
    return [run.write({"file": config.file, "verify_timeout": config.verify_timeout}) for run in runs]


class _Run:
    """One run on its way into its folder."""

    def __init__(
        self,
        folder: RunFolder,
        identity: dict[str, Any],
        problems: Sequence[Problem],
        answers: Sequence[_Answer],
    ):
        self.folder, self.identity, self.problems, self.answers = folder, identity, problems, answers
        self.store = SampleStore(folder)
        self.judged: dict[tuple[str, int], Judged] = {}
        if folder.exists("run.json"):
            folder.claim("import", identity)  # refuses another run before its answers are judged
            if folder.exists("problems.jsonl"):
                self.judged = {
                    (s.problem_id, s.index): Judged(s.verdict, s.steps, s.final_answer) for s in self.store.samples()
                }
        self.stored = set(self.judged)

    def missing(self) -> list[_Answer]:
        """Answers that the folder does not hold yet."""
        return [a for a in self.answers if a.key not in self.stored]

    def write(self, facts: dict[str, Any]) -> ImportedRun:
        """Store what is missing, and where the labels disagree."""
        self.folder.claim("import", self.identity, facts)
        self.store.write_problems(self.problems)
        missing = self.missing()
        for start in range(0, len(missing), PART_SIZE):
            self.store.write_part([_sample(a, self.judged[a.key]) for a in missing[start : start + PART_SIZE]])
        disagreements = tuple(_disagreements(self.answers, self.judged))
        labelled = sum(a.label is not None for a in self.answers)
        if labelled:
            lines = "".join(json.dumps(asdict(d), ensure_ascii=False) + "\n" for d in disagreements)
            self.folder.write("disagreements.jsonl", lines.encode())
        tally = Counter(self.judged[a.key].verdict.status for a in self.answers)
        return ImportedRun(
            name=self.folder.name,
            folder=self.folder.url,
            problems=len(self.problems),
            samples=len(self.answers),
            correct=tally["correct"],
            wrong=tally["wrong"],
            unscored=tally["unscored"],
            labelled=labelled,
            disagreements=disagreements,
        )


def _answers(rows: Sequence[Row], fields: Fields, find: "_OwnProblems | _TaskProblems") -> list[_Answer]:
    """Every answer of one run, checked."""
    answers: list[_Answer] = []
    once = Once()
    drawn: Counter[str] = Counter()
    for place, row in rows:
        problem = find.problem(row, fields, place)
        texts = as_texts(required(row, fields.text, place), f"{place}: field {fields.text!r}")
        labels: list[bool | None] = [None] * len(texts)
        if fields.label is not None:
            where = f"{place}: field {fields.label!r}"
            value = required(row, fields.label, place)
            values = value if isinstance(value, list) else [value]
            if len(values) != len(texts):
                raise ReachlabError(f"{where}: {len(values)} labels for {len(texts)} answers")
            labels = [as_label(v, where) for v in values]
        start = drawn[problem.id]
        if fields.index is not None:
            start = _index(required(row, fields.index, place), f"{place}: field {fields.index!r}")
        for i, (text, label) in enumerate(zip(texts, labels, strict=True), start):
            once.check(f"sample {i} of problem {problem.id!r}", place)
            answers.append(_Answer(problem, i, text, label))
        drawn[problem.id] += len(texts)
    return answers


class _OwnProblems:
    """The questions that the file itself holds, with their answers."""

    def __init__(self, file: str) -> None:
        self._base = Path(file).parent
        self._by_id: dict[str, tuple[Problem, str]] = {}
        self._ids: dict[tuple[str, ...], str] = {}

    def problem(self, row: Mapping[str, Any], fields: Fields, place: str) -> Problem:
        """The row's problem; rows with the same id must ask the same."""
        path, gold_path = str(fields.question), str(fields.answer)
        question = as_text(required(row, path, place), f"{place}: field {path!r}")
        images = pictures_of(row, place, self._base)
        if fields.id is None:
            identity = self._ids.setdefault((question, *images), str(len(self._ids)))
        else:
            identity = str(required(row, fields.id, place))
        metadata: dict[str, Any] = {"question": question}
        if (choice := choice_of(row, question, place, gold_path)) is not None:
            gold, metadata["choices"] = choice.letter, list(choice.options)
        else:
            gold = gold_answer(
                required(row, gold_path, place),
                worked=gold_path.rpartition(".")[2] == "solution",
                where=f"{place}: field {gold_path!r}",
            )
        asked = Problem(id=identity, prompt=question, answer=gold, images=images, metadata=metadata)
        known, first = self._by_id.setdefault(identity, (asked, place))
        if known != asked:
            raise ReachlabError(
                f"{place}: problem {identity!r} has another question or answer, or another picture, than at {first}"
            )
        return known


class _TaskProblems:
    """The problems of a task, found by question or by id."""

    def __init__(self, task: Task, config: ImportConfig):
        self.spec = task.spec
        split = config.split if config.split != "auto" else "all" if task.finite else "test"
        listed = task.problems(split, config.problems, config.problem_seed)
        self._by_id = {p.id: p for p in listed}
        self._question = {p.id: _same(_question(task, p)) for p in listed}
        # With pictures, many ask the same words.
        asked = Counter(self._question.values())
        self._id_of = {question: identity for identity, question in self._question.items() if asked[question] == 1}

    def problem(self, row: Mapping[str, Any], fields: Fields, place: str) -> Problem:
        """The task's problem that the row answers: by id unless it asks another question, else by that."""
        identity = str(lookup(row, fields.id)) if fields.id else None
        asked = lookup(row, fields.question) if fields.question else None
        question = _same(asked) if isinstance(asked, str) else None
        if identity in self._by_id and (question is None or self._question[identity] in question):
            return self._by_id[identity]
        if question in self._id_of:
            return self._by_id[self._id_of[question]]
        several = question is not None and question in self._question.values()
        what = f"question {asked!r:.60}" if question is not None else f"id {identity!r}"
        raise ReachlabError(
            f"{place}: task {self.spec!r} lists {'several problems' if several else 'no problem'} with this {what}; "
            "name its id field with --id, or list other problems with --split, --problems, --problem-seed"
        )


def _question(task: Task, problem: Problem) -> str:
    if task.finite:
        return str(problem.metadata.get("question") or task.key(problem))
    return task.bare(problem)


def _same(question: str) -> str:
    return " ".join(question.split())


def _index(value: Any, where: str) -> int:
    try:
        index = int(value)
    except (TypeError, ValueError, OverflowError):
        index = -1
    if isinstance(value, bool) or index < 0 or index != float(value):
        raise ReachlabError(f"{where}: a sample's number, 0 or more, wanted, found {value!r:.60}")
    return index


def _sample(answer: _Answer, said: Judged) -> Sample:
    return Sample(
        problem_id=answer.problem.id,
        index=answer.index,
        text=answer.text,
        tokens=0,  # not known: the file does not say which tokenizer
        finish="stop",
        logprob=None,
        seed=0,
        engine="import",
        verdict=said.verdict,
        steps=said.steps,
        final_answer=said.final_answer,
    )


def _disagreements(answers: Iterable[_Answer], judged: Mapping[tuple[str, int], Judged]) -> Iterator[Disagreement]:
    for a in answers:
        verdict = judged[a.key].verdict
        if a.label is not None and verdict.status != ("correct" if a.label else "wrong"):
            yield Disagreement(
                problem_id=a.problem.id,
                sample=a.index,
                ours=verdict.status,
                reason=verdict.reason,
                theirs=a.label,
                text_tail=a.text[-TAIL_LENGTH:],
            )


def _stem(path: str) -> str:
    """The file's name without its kind."""
    name = path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gz")
    return name.rpartition(".")[0] or name
