"""Texts that users and models wrote, made short enough for a page: what is missing is said in the text's place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.measures.table import cut
from reachlab.types import Text

SHARED = 40
"""Characters that all prompts must begin with, such as the same worked examples, before a list leaves them out."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Both ends of a text and its length: an answer's end is what was judged, so what is cut is its middle."""

    head: str
    tail: str
    length: int

    @classmethod
    def of(cls, text: str, longest: int) -> "Excerpt":
        """As much as `cut` needs for at most `longest` characters."""
        return cls(text[:longest], text[len(text) - min(len(text), longest // 3) :], len(text))

    def cut(self, longest: int) -> str:
        """At most `longest` characters of the text, and how many are left out."""
        if self.length <= longest:
            return self.head
        tail = longest // 3
        return f"{self.head[: longest - tail]}{self._gap(longest)}{self.tail[len(self.tail) - tail :]}"

    def place(self, position: int, longest: int) -> int:
        """Where a position of the whole text is in the cut one; of what is left out, behind the words that say so."""
        tail = longest // 3
        if self.length <= longest or position <= longest - tail:
            return position
        return longest - tail + len(self._gap(longest)) + max(0, position - (self.length - tail))

    def _gap(self, longest: int) -> str:
        return f"\n… ({self.length - longest:,} characters left out) …\n"


def written(value: object) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def spoken(prompt: Text) -> tuple[tuple[str, str], ...]:
    """A prompt as (role, text) pairs; plain text has no role."""
    if isinstance(prompt, str):
        return (("", cut(prompt)),)
    return tuple((str(m.get("role", "")), cut(written(m.get("content", "")))) for m in prompt.messages)


def asked(prompts: Sequence[Text], longest: int) -> list[str]:
    """What tells each prompt from the others, on one line: its last message, without a beginning that all share."""
    last = [" ".join(_last(prompt).split()) for prompt in prompts]
    first, final = min(last, default=""), max(last, default="")  # what these two share, all do
    differ = (i for i, signs in enumerate(zip(first, final, strict=False)) if len(set(signs)) > 1)
    shared = first.rfind(" ", 0, next(differ, len(first))) + 1
    if len(prompts) < 2 or shared < SHARED:
        return [text[:longest] for text in last]
    return [f"… {text[shared : shared + longest]}" for text in last]


def _last(prompt: Text) -> str:
    if isinstance(prompt, str):
        return prompt
    return written(prompt.messages[-1].get("content", "")) if prompt.messages else ""
