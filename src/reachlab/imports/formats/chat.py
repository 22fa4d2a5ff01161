"""Chats whose last message is the answer: ``messages`` with roles, or ShareGPT's ``conversations``."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import GOLD_NAMES, ID_NAMES, LABEL_NAMES, TEXT_NAMES
from reachlab.imports.record import Record, answer_of, is_chat, question_of, said

CHAT_NAMES = ("messages", "conversations", "conversation")


@dataclass(frozen=True)
class Chat(Format):
    """A row a chat."""

    name = "chat"
    tool = "chats: messages, or conversations as of ShareGPT"

    def recognises(self, row: Any) -> bool:
        """A chat that the assistant ends, and no answers beside it."""
        if not isinstance(row, dict) or any(row.get(n) is not None or row.get(f"{n}s") is not None for n in TEXT_NAMES):
            return False
        chat = _chat(row)
        return chat is not None and answer_of(chat) is not None

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """The question before the last answer, and that answer."""
        chat = _chat(row) or []
        gold, identity, label = (
            next((n for n in names if row.get(n) is not None), None) for names in (GOLD_NAMES, ID_NAMES, LABEL_NAMES)
        )
        text = answer_of(chat) if chat else None
        yield Record(
            answers=said([text], None if label is None else [row[label]], place),
            question=question_of(chat[:-1] if text is not None else chat),
            gold=None if gold is None else row[gold],
            worked=gold == "solution",
            id=None if identity is None else str(row[identity]),
        )


def _chat(row: dict[str, Any]) -> list[Any] | None:
    return next((row[name] for name in CHAT_NAMES if is_chat(row.get(name))), None)
