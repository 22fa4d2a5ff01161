"""Rows of somebody's own: one row an answer, or one row a problem with a list of answers, under names that many use.

Fields are named by dotted paths (``response.text``, ``choices.0.text``); one ``*`` in a path stands for any name, and
each name it matches is a run of its own: ``*.solution`` over ``{"question": ..., "small": {"solution": ...}, "large":
{"solution": ...}}`` gives the runs ``small`` and ``large``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.apart import LOOKED_AT, Apart
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.gold import one_answer
from reachlab.imports.labels import are_labels, checked_label
from reachlab.imports.paths import has, lookup, required
from reachlab.imports.printed import looks_printed, printed_list
from reachlab.imports.record import LoggedAnswer, Record, id_of, logged, present, question_of
from reachlab.tasks.choice_rows import choice_of
from reachlab.tasks.rows import shape

QUESTION_NAMES = ("question", "problem", "prompt", "instruction", "query", "input", "question_content")
GOLD_NAMES = (
    "ground_truth", "gold", "gold_answer", "expected_answer", "correct_answer", "reference_answer", "answer", "target",
    "final_answer", "gts", "reference", "reward_model.ground_truth", "solution",
)  # fmt: skip
"""What only a right answer is called comes first: `answer` may be the model's beside it."""
TEXT_NAMES = (
    "raw_output", "raw_response", "full_response", "text", "response", "completion", "output", "generation", "sample",
    "model_output", "model_response", "prediction", "generated_text", "model_answer", "answer_text",
)  # fmt: skip
"""What is called raw comes first: what stands beside it may be extracted from it."""
ID_NAMES = ("problem_id", "unique_id", "task_id", "question_id", "id", "idx", "uuid", "doc_id", "custom_id")
INDEX_NAMES = ("sample_index", "sample_id", "sample")
LABEL_NAMES = (
    "is_correct", "correct", "correctness", "passed", "is_right", "acc", "accuracy", "symbolic_correct",
    "judge_correct", "accs", "labels", "score", "scores", "result",
)  # fmt: skip
MODEL_NAMES = ("model", "model_name", "model_id", "model_name_or_path", "generator", "checkpoint")


@dataclass(frozen=True)
class FieldNames:
    """Paths of the fields that were named or found; None is "not there"."""

    text: str
    question: str | None = None
    answer: str | None = None
    id: str | None = None
    index: str | None = None
    label: str | None = None

    def of(self, name: str) -> "FieldNames":
        """The same, with ``*`` replaced by `name`."""
        return FieldNames(**{key: path and path.replace("*", name) for key, path in vars(self).items()})

    def words(self) -> str:
        """Which field is what."""
        called = {"text": "answers", "question": "question", "answer": "right answer", "id": "id", "label": "label"}
        return ", ".join(f"{what} from {getattr(self, key)}" for key, what in called.items() if getattr(self, key))


@dataclass(frozen=True)
class Fields(Apart, Format):
    """Rows with named fields, and a run a model where there are several. The last format that is tried."""

    name = "fields"
    tool = "a file of rows"
    row = (
        "your own rows; human-eval's and evalplus's samples",
        "`response`, `completion`, `output`, `text` ..., or a list in `responses` ...",
        "`answer`, `solution` ...",
        "`is_correct`, `correct`, `passed` ...",
    )
    narrow = False
    apart_by = MODEL_NAMES

    names: FieldNames = field(default_factory=lambda: FieldNames(""))
    matches: tuple[str, ...] = ()
    """What the ``*`` stands for."""

    def recognises(self, row: Any) -> bool:
        """Any object."""
        return isinstance(row, dict)

    def look_through(self, rows: Iterator[Placed]) -> "Fields":
        """Which fields the first rows have, and which models there are."""
        first = list(islice(rows, LOOKED_AT))
        looked = [(place, row) for place, row in first if isinstance(row, dict)]
        names = self._find(*looked[0], [row for _, row in looked])
        matches = [name for _, row in looked for name in _matches(row, names.text)] if "*" in names.text else []
        apart = super().look_through(chain(first, rows))
        return replace(apart, names=names, matches=tuple(dict.fromkeys(matches)))

    def settings(self) -> dict[str, Any]:
        """Which field is what."""
        return {"fields": vars(self.names)}

    def taken(self) -> str:
        """Which field is what."""
        return "; ".join(filter(None, (self.names.words(), super().taken())))

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """One record, or one for each match of the ``*``."""
        if "*" not in self.names.text:
            yield self._record(row, self.names, place, self.run_of(row))
            return
        strange = [name for name in _matches(row, self.names.text) if name not in self.matches]
        if strange or not self.matches:
            raise ReachlabError(
                f"{place}: {self.names.text} matches {', '.join(strange) or 'nothing'}, and in the first "
                f"{LOOKED_AT} rows {', '.join(self.matches) or 'nothing'}; its fields: {shape(row)}"
            )
        for name in self.matches:
            run = "-".join(filter(None, (self.run_of(row), name)))
            yield self._record(row, self.names.of(name), place, run)

    def _record(self, row: Mapping[str, Any], names: FieldNames, place: str, run: str) -> Record:
        if not has(row, names.text):
            raise ReachlabError(f"{place}: no field {names.text!r}; its fields: {shape(row)}")
        question = None
        if names.question is not None:
            text = lookup(row, names.question)
            question = question_of(text)
            # A row may be known by its id alone.
            if question is None and (text is not None or names.id is None or lookup(row, names.id) is None):
                text = required(row, names.question, place)
                raise ReachlabError(f"{place}: field {names.question!r}: text wanted, found {text!r:.60}")
        gold = None if names.answer is None else self._gold(required(row, names.answer, place), names.answer, place)
        index = None
        if names.index is not None:
            where = f"{place}: field {names.index!r}"
            index = number_of(required(row, names.index, place), where)
        return Record(
            answers=self._answers(row, names, place),
            question=question,
            gold=gold,
            worked=names.answer is not None and names.answer.rpartition(".")[2] == "solution",
            choice=None if names.answer is None or question is None else choice_of(row, question, place, names.answer),
            id=None if names.id is None else id_of(required(row, names.id, place)),
            index=index,
            run=run,
        )

    def _gold(self, gold: Any, field: str, place: str) -> Any:
        """The right answer; a printed list is a list, and code that nobody called an answer is none."""
        if isinstance(gold, str) and looks_printed(gold):
            return printed_list(gold, f"{place}: field {field!r}")
        plain = self.config.answer is None and isinstance(gold, str) and gold.strip()
        return one_answer(gold) if plain else gold

    def _answers(self, row: Mapping[str, Any], names: FieldNames, place: str) -> tuple[LoggedAnswer, ...]:
        texts = lookup(row, names.text)
        labels = None if names.label is None else lookup(row, names.label)
        where = f"{place}: field {names.text!r}"
        if _is_cell(row):
            # A table's cell is text: an empty one is no answer, and a printed list is a list.
            texts = printed_list(texts, where) if looks_printed(texts) else texts or None
            labels = _marks(labels)
        if self.config.label is None and isinstance(texts, list) and len(texts) > 1 and not isinstance(labels, list):
            labels = None  # what is said of all answers together is the label of none
        if self.config.label is not None and labels is None:
            raise ReachlabError(f"{place}: no field {names.label!r}; its fields: {shape(row)}")
        answers = logged(texts, labels, f"{place}: field {names.label if labels is not None else names.text!r}")
        if self.config.label is not None:
            for answer in answers:
                checked_label(answer.label, f"{place}: field {names.label!r}", self.config.threshold)
        return answers

    def _find(self, place: str, row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> FieldNames:
        """The fields to read: those the configuration names, the rest by common names.

        Raises:
            ReachlabError: nothing looks like answers.
        """
        config = self.config

        def first_named(names: Sequence[str]) -> str | None:
            filled = next((name for name in names if any(present(lookup(r, name)) for r in rows)), None)
            return filled or next((name for name in names if any(has(r, name) for r in rows)), None)

        question, answer = config.question or first_named(QUESTION_NAMES), config.answer or first_named(GOLD_NAMES)
        text, label = config.text, config.label
        if text is None:
            free = [n for n in (*TEXT_NAMES, *(f"{n}s" for n in TEXT_NAMES)) if n not in (question, answer)]
            text = first_named((*free, *(("solution",) if answer != "solution" else ())))
        if text is None and (holders := [n for n, v in row.items() if isinstance(v, Mapping) and "solution" in v]):
            text = "*.solution"
            if label is None and all("is_correct" in row[name] for name in holders):
                label = "*.is_correct"
        if text is None and answer == "solution" and "task_id" in row:
            text, answer = "solution", None  # programs: what solves is the answer, and tests judge it
        if text is None:
            raise ReachlabError(
                f"{place}: no answers found; its fields are {shape(row)}; say which holds them, as in: "
                f"reachlab import {' '.join(config.file)} --text FIELD"
            )
        if label is None:
            telling = [
                name for name in LABEL_NAMES if are_labels((_marks(r.get(name)) for r in rows), config.threshold)
            ]
            label = first_named([name for name in telling if name not in (text, answer)])
        named_id = config.id or first_named([name for name in ID_NAMES if name != text])
        if question is None and named_id is None:
            raise ReachlabError(
                f"{place}: neither a question nor an id found; its fields are {shape(row)}; say which holds it, as in: "
                f"reachlab import {' '.join(config.file)} --question FIELD"
            )
        return FieldNames(
            text=text,
            question=question,
            answer=answer,
            id=named_id,
            index=config.index or first_named([name for name in INDEX_NAMES if name != text]),
            label=label,
        )


def _matches(row: Mapping[str, Any], path: str) -> list[str]:
    """What the ``*`` of a path stands for in a row."""
    before, _, after = path.partition("*")
    holder = lookup(row, before.rstrip(".")) if before else row
    return [str(n) for n in holder if has(holder, f"{n}{after}")] if isinstance(holder, Mapping) else []


def number_of(value: Any, where: str) -> int:
    """A sample's number.

    Raises:
        ReachlabError: none, or one that the store cannot hold.
    """
    try:
        index = int(value)
        whole = index == float(value)
    except (TypeError, ValueError, OverflowError):
        index, whole = -1, False
    if isinstance(value, bool) or not whole or not 0 <= index < 2**31:
        raise ReachlabError(f"{where}: a sample's number, from 0 to {2**31 - 1}, wanted, found {value!r:.60}")
    return index


def _marks(value: Any) -> Any:
    """Labels as a list where a table's cell holds a printed one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return [word.strip(" '\"") for word in value.strip("[] ").replace(",", " ").split()]
    return value


def _is_cell(row: Mapping[str, Any]) -> bool:
    """Whether a row is a table's, all of text."""
    return all(isinstance(value, str) for value in row.values())
