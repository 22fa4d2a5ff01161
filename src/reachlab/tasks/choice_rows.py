"""Multiple choice as benchmarks publish it: the options of a row, and which of them is right.

- MMLU, ARC, CommonsenseQA, OpenBookQA: `choices`, a list or ``{"text": [...], "label": [...]}``; `answer` or
  `answerKey`, a letter, a number from 0, or a label
- MMLU-Pro: `options`; `answer`, a letter, with `answer_index` from 0
- GPQA: `Correct Answer`, `Incorrect Answer 1` to `3`; their order is drawn, by a hash of the question
- MathQA, AQuA: options that begin with their letters, ``"A) 12"``

The question is asked with its options below it, each behind its letter.
"""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.answers.kinds.choice import LETTERS, MOST_OPTIONS, options_in

OPTION_FIELDS = ("choices", "options")
INDEX_FIELDS = ("answer_index", "answer_idx", "correct_index", "label")
KEY_FIELDS = ("answerKey", "answer", "correct", "gold", "target", "correct_answer", "cop")
GPQA = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
OWN_LETTER = re.compile(r"\s*\(?([A-J])\s*[.):]\)?\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with its options below it, the options, and the letter of the right one."""

    question: str
    options: tuple[str, ...]
    letter: str


def choice_of(row: Mapping[str, Any], question: str, place: str, key: str = "") -> Choice | None:
    """The multiple choice of a row; None where it has no options. `key` is the field that says which one is right.

    Without a `key` the row is a benchmark's, and GPQA's options are put into an order. With one it is a row of samples,
    and what is called options there may be anything: what is not understood is none.

    Raises:
        ReachlabError: options of which none is said to be right, too many, or two that are the same.
    """
    if not key and all(isinstance(row.get(name), str) and row[name].strip() for name in GPQA):
        options = [str(row[name]).strip() for name in GPQA]
        rng = random.Random(hashlib.blake2b(question.encode(), digest_size=8).digest())
        rng.shuffle(options)
        return _choice(question, options, options.index(str(row[GPQA[0]]).strip()), place)
    field = next((name for name in OPTION_FIELDS if row.get(name)), None)
    if field is None or (key and not _understood(row, field, key)):
        return None
    options, labels = _options(row[field], f"{place}: field {field!r}")
    return _choice(question, options, _right(row, options, labels, place, key), place)


def choice_from(question: str, choices: Any, right: Any, place: str) -> Choice | None:
    """The multiple choice of a log: `right` is a letter, a label or an option; None where letters do not suffice.

    Raises:
        ReachlabError: `right` is none of them.
    """
    row = {"choices": choices, "right": right}
    options, labels = _options(choices, place)
    if len(options) > MOST_OPTIONS:
        return None
    return _choice(question, options, _right(row, options, labels, place, "right"), place)


def _understood(row: Mapping[str, Any], field: str, key: str) -> bool:
    """Whether a row of samples has options, of which its gold answer is one."""
    try:
        options, labels = _options(row[field], "")
        _right(row, options, labels, "", key)
    except ReachlabError:
        return False
    return len(options) <= MOST_OPTIONS


def _options(value: Any, where: str) -> tuple[list[str], list[str]]:
    """Options and their labels."""
    labels: list[str] = []
    if isinstance(value, str):
        value = list(options_in(value))
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        named, value = value.get("label"), value["text"]
        labels = [str(v) for v in named] if isinstance(named, list) and len(named) == len(value) else []
    elif isinstance(value, Mapping):
        value = {k: v for k, v in value.items() if v is not None}  # Parquet fills rows up
        labels, value = [str(k) for k in value], list(value.values())
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(v, (str, int, float)) for v in value):
        raise ReachlabError(f"{where}: a list of two options or more wanted, found {value!r:.60}")
    options = [str(v).strip() for v in value]
    own = [OWN_LETTER.match(o) for o in options]
    if all(m and m[1] == letter for m, letter in zip(own, LETTERS, strict=False)):
        options = [o[m.end() :] for o, m in zip(options, own, strict=True) if m]
    return options, labels or list(LETTERS[: len(options)])


def _right(row: Mapping[str, Any], options: list[str], labels: list[str], place: str, key: str) -> int:
    """The number of the right option, from 0."""
    for name in (key,) if key else KEY_FIELDS:
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            continue
        letter = str(value).strip().strip("()")
        if letter in labels:
            return labels.index(letter)
        if isinstance(value, int) and 0 <= value < len(options):
            if str(value) in options and options.index(str(value)) != value:
                raise ReachlabError(f"{place}: field {name!r}: {value} is an option's text and another's number")
            return value
        if len(letter) == 1 and letter in LETTERS[: len(options)]:
            return LETTERS.index(letter)
        if options.count(str(value).strip()) == 1:
            return options.index(str(value).strip())
    for name in () if key else INDEX_FIELDS:
        if isinstance(row.get(name), int) and not isinstance(row[name], bool) and 0 <= row[name] < len(options):
            return int(row[name])
    fields = key or ", ".join(INDEX_FIELDS + KEY_FIELDS)
    raise ReachlabError(f"{place}: options, but none of these fields says which is right: {fields}")


def _choice(question: str, options: list[str], right: int, place: str) -> Choice:
    if len(options) > MOST_OPTIONS:
        raise ReachlabError(f"{place}: {len(options)} options; at most {MOST_OPTIONS} can be told apart by letters")
    if len(set(options)) < len(options) and options.count(options[right]) > 1:
        raise ReachlabError(f"{place}: two options are the right one: {options[right]!r:.60}")
    return Choice(f"{question.strip()}{_listed(options)}", tuple(options), LETTERS[right])


def unlisted(question: str, options: Sequence[str]) -> str:
    """A question with its options below it, without these."""
    return question.removesuffix(_listed(options)) if options else question


def _listed(options: Sequence[str]) -> str:
    return "\n\n" + "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
