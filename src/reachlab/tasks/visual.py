"""Math questions with pictures, from files or data sets in the shape of MathVista, MathVision and Geometry3K.

Only free-form questions: one with choices can be guessed, and arXiv 2504.13837 (section 3.3) leaves them out too. The
answer is judged as `math.py` judges it, and a decimal one to the number of decimals that the data set states.

A row's question is `question` or `problem`, its answer `answer`. Its pictures are `decoded_image`, `images` or
`image`: each the path of a file (seen from the data file's folder), or the picture itself, as Parquet files and data
sets hold it.
Marks such as ``<image1>`` in the text are taken out: pictures stand before it.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.pictures.keep import keep
from reachlab.pictures.reference import check_picture, fingerprint
from reachlab.tasks.answers.spelling import plain_number
from reachlab.tasks.math import Math
from reachlab.tasks.rows import DATASETS, Once, read_rows, shape
from reachlab.types import Problem, Verdict

QUESTION_FIELDS = ("question", "problem")
PICTURE_FIELDS = ("decoded_image", "images", "image")
CHOICE_FIELDS = ("choices", "options")
ID_FIELDS = ("pid", "id", "unique_id", "problem_id")
MARK = re.compile(r"\s*<image\s*\d*>\s*")


class Visual(Math):
    """The free-form questions of one file or data set."""

    def __init__(self, argument: str, reasoning_end: str = ""):
        super().__init__(reasoning_end=reasoning_end)
        self.spec = f"visual:{argument}"
        self.all_problems = _read(argument)

    def key(self, problem: Problem) -> str:
        """The question with its pictures, wherever these lie: many ask "Find x"."""
        return " ".join([str(problem.metadata["question"]), *map(fingerprint, problem.images)])

    def verify(self, problem: Problem, text: str) -> Verdict:
        """As a math answer; a decimal is compared as rounded to the stated decimals."""
        precision = problem.metadata.get("precision")
        gold, said = plain_number(str(problem.answer)), self.final_answer(problem, text)
        if (
            precision is not None
            and gold is not None
            and said is not None
            and (number := plain_number(said)) is not None
        ):
            places = Decimal(1).scaleb(-precision)
            rounded = (Decimal(number.numerator) / number.denominator).quantize(places, ROUND_HALF_UP)
            wanted = (Decimal(gold.numerator) / gold.denominator).quantize(places, ROUND_HALF_UP)
            return Verdict.correct() if rounded == wanted else Verdict.wrong(f"{said[:80]}, not {problem.answer}")
        return super().verify(problem, text)


def _read(path: str) -> list[Problem]:
    """Every free-form question.

    Raises:
        ReachlabError: a row that lacks a field or has one of the wrong type, a picture that cannot be used, or not one
            free-form question.
    """
    rows = list(read_rows(path))
    base = None if path.startswith(DATASETS) else Path(path).parent
    once, problems = Once(), []
    for number, (place, row) in enumerate(rows):
        if _has_choices(row):
            continue
        question = _question(row, place)
        answer = row.get("answer")
        if isinstance(answer, bool) or not isinstance(answer, (str, int, float)) or not str(answer).strip():
            raise ReachlabError(f"{place}: field 'answer': text or a number wanted, found {answer!r:.60}")
        identity = str(next((row[name] for name in ID_FIELDS if row.get(name) is not None), number))
        once.check(f"id {identity!r}", place)
        metadata: dict[str, Any] = {"question": question}
        if isinstance(row.get("precision"), (int, float)) and row.get("answer_type") == "float":
            metadata["precision"] = int(row["precision"])
        for name in ("answer_type", "level", "subject", "solution"):
            if isinstance(row.get(name), (str, int)):
                metadata[name] = row[name]
        problems.append(
            Problem(
                id=identity,
                prompt=question,
                answer=str(answer).strip(),
                images=_wanted(pictures_of(row, place, base), row, place),
                metadata=metadata,
            )
        )
    if not problems:
        raise ReachlabError(
            f"{path}: all {len(rows)} questions are multiple choice, which is left out: no problem is left"
        )
    return problems


def _has_choices(row: Mapping[str, Any]) -> bool:
    """Whether an answer is a choice."""
    return row.get("question_type") == "multi_choice" or any(
        row.get(name) not in (None, "", []) for name in CHOICE_FIELDS
    )


def _question(row: Mapping[str, Any], place: str) -> str:
    field = next((name for name in QUESTION_FIELDS if row.get(name) is not None), None)
    if field is None:
        raise ReachlabError(f"{place}: no field {' or '.join(QUESTION_FIELDS)}; its fields: {shape(row)}")
    text = row[field]
    if not isinstance(text, str) or not (bare := MARK.sub(" ", text).strip()):
        raise ReachlabError(f"{place}: field {field!r}: text wanted, found {text!r:.60}")
    unit = row.get("unit")
    return f"{bare} (Unit: {unit})" if isinstance(unit, str) and unit else bare


def _wanted(pictures: tuple[str, ...], row: Mapping[str, Any], place: str) -> tuple[str, ...]:
    if not pictures:
        names = ", ".join(PICTURE_FIELDS)
        raise ReachlabError(f"{place}: no picture: {names} are looked for; its fields: {shape(row)}")
    return pictures


def pictures_of(row: Mapping[str, Any], place: str, base: Path | None) -> tuple[str, ...]:
    """References of the pictures that a row holds or names; paths are seen from `base`, the data file's folder.

    Raises:
        ReachlabError: one that cannot be used, with the row's `place`.
    """
    field = next((name for name in PICTURE_FIELDS if row.get(name)), None)
    if field is None:
        return ()
    value = row[field]
    found = []
    for one in value if isinstance(value, list) else [value]:
        try:
            reference = _reference(one, base)
            check_picture(reference)
        except ReachlabError as error:
            raise ReachlabError(f"{place}: field {field!r}: {error}") from error
        found.append(reference)
    return tuple(found)


def _reference(value: Any, base: Path | None) -> str:
    """Where a picture is that a row holds or names."""
    if isinstance(value, Mapping) and value.get("bytes"):
        return keep(bytes(value["bytes"]))
    if isinstance(value, bytes) and value:
        return keep(value)
    if isinstance(value, Mapping) and value.get("path"):
        value = value["path"]
    if not isinstance(value, str):
        raise ReachlabError(f"a picture or the path of one wanted, found {value!r:.60}")
    if "://" in value or base is None:
        return value
    try:
        return str((base / value).resolve())
    except (OSError, ValueError) as error:  # a NUL, or a name that leads in circles
        raise ReachlabError(f"{value!r:.60}: no path of a picture ({error})") from error
