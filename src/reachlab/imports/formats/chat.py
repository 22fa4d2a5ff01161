"""Chats whose last message is the answer: ``messages`` with roles, ShareGPT's ``conversations``, or the ``convos`` of
simple-evals' results, a list of chats.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.apart import Apart
from reachlab.imports.formats.base import Format, Placed, numbered
from reachlab.imports.formats.fields import GOLD_NAMES, ID_NAMES, LABEL_NAMES, MODEL_NAMES, TEXT_NAMES
from reachlab.imports.labels import are_labels
from reachlab.imports.record import Record, answer_of, first_of, id_of, is_chat, logged, question_of

CHAT_NAMES = ("messages", "conversations", "conversation")


@dataclass(frozen=True)
class ChatLog(Apart, Format):
    """A row a chat."""

    name = "chat"
    tool = "chats: messages, conversations as of ShareGPT, convos as of simple-evals"
    row = (
        "`messages`, or ShareGPT's `conversations`",
        "what the assistant says last",
        "`answer`, `solution` ...",
        "`correct` ...",
    )
    apart_by = MODEL_NAMES

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """A row a chat."""
        convos = document.get("convos") if isinstance(document, dict) else None
        if isinstance(convos, list) and convos and all(is_chat(chat) for chat in convos):
            return numbered(({"messages": chat} for chat in convos), f"{place}: convos")
        return super().unfold(document, place)

    def recognises(self, row: Any) -> bool:
        """A chat that the assistant ends, and no answers beside it."""
        if not isinstance(row, dict) or any(row.get(n) is not None or row.get(f"{n}s") is not None for n in TEXT_NAMES):
            return False
        chat = _chat(row)
        return chat is not None and question_of(chat) is not None

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """The question before the last answer, and that answer; one that is not there where the user ends the chat."""
        chat = _chat(row)
        if chat is None:
            raise ValueError(f"none of the fields {', '.join(CHAT_NAMES)} is a list of messages")
        gold, label = first_of(row, GOLD_NAMES), first_of(row, LABEL_NAMES)
        marked = label is not None and are_labels([row[label]], self.config.threshold)
        identity = first_of(row, ID_NAMES)
        yield Record(
            answers=logged([answer_of(chat)], [row[label]] if marked and label else None, place),
            question=question_of(chat),
            gold=None if gold is None else row[gold],
            worked=gold == "solution",
            id=None if identity is None else id_of(row[identity]),
            run=self.run_of(row),
        )


def _chat(row: dict[str, Any]) -> list[Any] | None:
    return next((row[name] for name in CHAT_NAMES if is_chat(row.get(name))), None)
