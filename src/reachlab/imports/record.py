"""What one row of a log says, in words that all formats share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.choice_rows import Choice
from reachlab.types import Finish, Problem, Sample


@dataclass(frozen=True, kw_only=True)
class LoggedAnswer:
    """One answer. `text` is None where the model was asked and did not answer; `label` is as the log writes it."""

    text: str | None
    label: Any = None
    finish: Finish = "stop"
    sample: Sample | None = None
    """All of it, where a run was exported: it is stored as it stands."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """What other columns the exported run had of it."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The answers of a row, and what it says of their problem."""

    answers: tuple[LoggedAnswer, ...]
    question: str | None = None
    """None: the log does not hold it."""
    gold: Any = None
    """The right answer: a text, a number, or a list of all that there are. None: the log does not hold it."""
    worked: bool = False
    """Whether the gold answer stands at the end of a worked solution."""
    choice: Choice | None = None
    """A multiple choice, with the letter that is right."""
    images: tuple[str, ...] = ()
    id: str | None = None
    """The problem's; None: it is known by its question."""
    index: int | None = None
    """The number of the first answer within its problem; None: as they come."""
    run: str = ""
    """Which of several runs in one file these answers are of."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """More about the problem that is worth keeping."""
    problem: Problem | None = None
    """All of it, where a run was exported."""
    position: int = 0
    """Its place among the run's problems, where that is not the order of the rows."""


def checked_record(record: Record) -> Record:
    """The same.

    Raises:
        TypeError: something in it is not what it should be.
    """
    for answer in record.answers:
        _wanted("an answer", answer.text, str | None)
    _wanted("the question", record.question, str | None)
    _wanted("the right answer", record.gold, str | int | float | list | None)
    _wanted("a sample's number", record.index, int | None)
    return record


def _wanted(what: str, value: Any, kind: Any) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{what}: text wanted, found {value!r:.60}")


def present(value: Any) -> bool:
    """Whether a cell holds something: neither null nor NaN, which pandas writes for null."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def first_of(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the names under which a row has something."""
    return next((name for name in names if present(row.get(name))), None)


def id_of(value: Any) -> str | None:
    """A problem's id as a text; None where there is none.

    Raises:
        TypeError: it is neither a text nor a number.
    """
    if not present(value):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"an id: text or a number wanted, found {value!r:.60}")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def logged(texts: Any, labels: Any = None, where: str = "", finishes: Any = None) -> tuple[LoggedAnswer, ...]:
    """Answers from a text or a list of texts, and labels to match: as many, or one that is of a single answer.

    None among the texts is a question that was not answered. What a list holds may be objects with their text and
    label in them, or chat messages.

    Raises:
        ReachlabError: something else, or labels of another number.
    """
    listed = texts if isinstance(texts, list) else [texts]
    if isinstance(texts, list) and is_chat(texts) and not (len(texts) > 1 and all(map(_assistant, texts))):
        listed = [answer_of(texts)]  # one answer, which is a conversation; several answers are a message each
    own = [_opened(item, where) for item in listed]
    marks: list[Any] = [label for _, label in own]
    if labels is not None:
        marks = labels if isinstance(labels, list) else [labels]
        if len(marks) != len(own):
            raise ReachlabError(f"{where}: {len(marks)} labels for {len(own)} answers")
    ends = finishes if isinstance(finishes, list) and len(finishes) == len(own) else [finishes] * len(own)
    return tuple(
        LoggedAnswer(text=text, label=mark, finish=finish_of(end))
        for (text, _), mark, end in zip(own, marks, ends, strict=True)
    )


LABELS_IN_AN_ANSWER = ("is_correct", "correct", "passed", "label", "score", "reward")
TEXTS_IN_AN_ANSWER = (
    "text", "content", "response", "completion", "output", "generation", "generated_text", "message", "answer",
)  # fmt: skip


def _opened(item: Any, where: str) -> tuple[str | None, Any]:
    """An answer's text, and the label that came with it."""
    if not present(item) or isinstance(item, str):
        return (item if isinstance(item, str) else None), None
    if isinstance(item, Mapping):
        label = first_of(item, LABELS_IN_AN_ANSWER)
        name = next((name for name in TEXTS_IN_AN_ANSWER if name in item), None)
        if name is not None:
            inner = item[name]
            if isinstance(inner, Mapping):
                return _opened(inner, where)[0], label and item[label]
            if inner is None or isinstance(inner, (str, list)):
                return content_of(inner), label and item[label]
    if isinstance(item, list) and is_chat(item):
        return answer_of(item), None
    raise ReachlabError(f"{where}: text wanted, found {item!r:.60}")


def finish_of(reason: Any) -> Finish:
    """How an answer ended: cut off, or by itself."""
    return "length" if str(reason).casefold() in ("length", "max_tokens", "model_length", "max_length") else "stop"


def is_chat(value: Any) -> bool:
    """Whether a value is a list of chat messages, as OpenAI, ShareGPT or OpenCompass write them."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or not value:
        return False
    return all(
        isinstance(m, Mapping) and ("from" in m or ("role" in m and ("content" in m or "prompt" in m))) for m in value
    )


def question_of(value: Any) -> str | None:
    """The question of a prompt: a text, or the last thing the user says in a chat."""
    if isinstance(value, str):
        return value
    if is_chat(value):
        questions = [content_of(_content(m)) for m in value if _role(m) in ("user", "human")]
        return questions[-1] if questions else None
    return None


def answer_of(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """What the assistant says last in a chat, where that ends it."""
    last = messages[-1]
    return message_text(last) if _assistant(last) else None


def message_text(message: Mapping[str, Any]) -> str | None:
    """What an assistant's message says; a refusal is an answer."""
    text = content_of(_content(message))
    refusal = message.get("refusal")
    return refusal if text is None and isinstance(refusal, str) else text


def content_of(value: Any) -> str | None:
    """A message's text; of several parts those that are text, one after another."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [p.get("text") for p in value if isinstance(p, Mapping) and str(p.get("type", "text")).endswith("text")]
        return "".join(p for p in parts if isinstance(p, str)) if parts else None
    return None


def _assistant(message: Mapping[str, Any]) -> bool:
    return _role(message) in ("assistant", "gpt", "bot", "model")


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("role") or message.get("from") or "").casefold()


def _content(message: Mapping[str, Any]) -> Any:
    return next((message[name] for name in ("content", "value", "prompt") if message.get(name) is not None), None)
