"""The words everything speaks: a problem, a verdict, a sample, a group. No torch, no files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class Chat:
    """Messages such as ``{"role": "user", "content": "..."}``, which the checkpoint's own chat template writes down.

    ``options`` are what that template is told beside them, such as ``{"enable_thinking": False}``.
    """

    messages: tuple[Mapping[str, str], ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Filled(str):
    """Plain text that a template and somebody's words make: in the spans `said` (from, to) stand the words.

    What there looks like a special token of a model is none; what the template says may be one.
    """

    __slots__ = ("said",)

    said: tuple[tuple[int, int], ...]

    def __new__(cls, text: str, said: Iterable[Sequence[int]]) -> "Filled":
        """A text and its spans."""
        found = super().__new__(cls, text)
        found.said = tuple((start, stop) for start, stop in said)
        return found

    def __getnewargs__(self) -> tuple[str, tuple[tuple[int, int], ...]]:  # type: ignore[override]
        """What a copy is made of."""
        return str(self), self.said


Text = str | Chat
"""Plain text, or a chat."""


def written_prompt(prompt: Text) -> str | list[Any] | dict[str, Any]:
    """A prompt as JSON has it: text, a list of messages, or an object where the template is told something."""
    if isinstance(prompt, str):
        return prompt
    messages = [dict(message) for message in prompt.messages]
    return {"messages": messages, "options": dict(prompt.options)} if prompt.options else messages


def read_prompt(value: Any) -> Text:
    """A prompt from what `written_prompt` made of it.

    Raises:
        TypeError, KeyError: it is none.
    """
    if isinstance(value, str):
        return value
    messages, options = (value["messages"], value["options"]) if isinstance(value, Mapping) else (value, {})
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise TypeError("a prompt is text or a list of messages")
    return Chat(tuple(messages), dict(options))


@dataclass(frozen=True, slots=True)
class Illustrated:
    """A prompt with pictures before its text; in a chat, before the last thing the user says.

    ``images`` are references, as `pictures/reference.py` understands them.
    """

    prompt: Text
    images: tuple[str, ...]


Prompt = Text | Illustrated
"""What an engine is asked."""

Status = Literal["correct", "wrong", "unscored"]
Finish = Literal["stop", "length", "content_filter"]
FILTERED: Final = "content_filter"
"""How an answer ended that a server's filter stopped: not by the model, so nobody judges it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is asked. ``id`` is stable and unique in its task; ``answer`` is whatever the task's verifier needs.

    ``images`` are references to pictures (`pictures/reference.py`); in ``metadata``, ``said`` are the spans of a text
    that a template was filled with (`Filled`), where they could be taken for special tokens.
    """

    id: str
    prompt: Text
    answer: Any
    images: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> Prompt:
        """What an engine is asked: the prompt, with the pictures where there are any."""
        prompt = self.prompt
        if isinstance(prompt, str) and (said := self.metadata.get("said")):
            prompt = Filled(prompt, said)
        return Illustrated(prompt, self.images) if self.images else prompt


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one answer. ``score`` lies in [0, 1]; only ``correct`` counts as solved.

    ``unscored`` is not ``wrong``: the verifier crashed or ran out of time, or there is nothing to judge, and ``reason``
    says how.
    """

    status: Status
    score: float = 0.0
    reason: str = ""

    @classmethod
    def correct(cls) -> "Verdict":
        """A right answer, score 1."""
        return cls("correct", 1.0)

    @classmethod
    def wrong(cls, reason: str = "", score: float = 0.0) -> "Verdict":
        """A wrong answer; ``score`` is its partial credit."""
        return cls("wrong", score, reason)

    @classmethod
    def unscored(cls, reason: str) -> "Verdict":
        """The verifier could not decide, for ``reason``."""
        return cls("unscored", 0.0, reason)


NOT_ANSWERED = "not answered"
"""Why an answer is unscored that is not there: no verifier is ever asked."""


@dataclass(frozen=True, slots=True)
class StepCheck:
    """How far a chain of steps holds: the first ``valid`` of ``steps`` steps are right. ``steps`` = 0 is no chain."""

    valid: int
    steps: int

    @property
    def holds(self) -> bool:
        """Whether there is a chain and every step of it is right."""
        return self.steps > 0 and self.valid == self.steps


@dataclass(frozen=True, slots=True)
class Judged:
    """All that a task says of one answer.

    ``steps`` is None where the task checks no steps or could not check these; ``final_answer`` is what the text comes
    down to, in one form for all that mean the same, None where it states none or the task does not say.
    """

    verdict: Verdict
    steps: StepCheck | None = None
    final_answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to one problem.

    ``tokens`` counts the answer's tokens; ``logprob`` is the sum of the model's own log-probabilities of them (nats, at
    temperature 1), None where the engine gives none; ``seed`` is the 63-bit number that alone decided its random draws,
    None where the engine drew without one; ``steps`` and ``final_answer`` are as in `Judged`; ``tokens_hash`` is one of
    the tokens as they were drawn, None where the engine does not say which they were.
    """

    problem_id: str
    index: int
    text: str
    tokens: int
    finish: Finish
    logprob: float | None
    seed: int | None
    engine: str
    verdict: Verdict
    steps: StepCheck | None = None
    final_answer: str | None = None
    tokens_hash: int | None = None

    @property
    def judgeable(self) -> bool:
        """Whether there is an answer of the model's for a verifier to read."""
        return self.verdict.reason != NOT_ANSWERED and self.finish != FILTERED
