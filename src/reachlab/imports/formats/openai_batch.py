"""Output of batch APIs: a row a request, known by the key that its asker gave it. The questions are in the input file.

- OpenAI's, and vLLM's and SGLang's: ``{"custom_id": "request-0", "response": {"status_code": 200, "body": {"choices":
  [...]}}, "error": null}``; of chat completions, of completions, or of the Responses API
- Anthropic's: ``{"custom_id": "request-0", "result": {"type": "succeeded", "message": {"content": [...]}}}``
- Gemini's: ``{"key": "request-0", "response": {"candidates": [{"content": {"parts": [...]}}]}}``

A failed request was not answered. One that ran out of tokens while it reasoned was, with nothing.

Source: https://platform.openai.com/docs/guides/batch, https://docs.anthropic.com/en/docs/build-with-claude/batch-processing,
https://ai.google.dev/gemini-api/docs/batch-api.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.apart import Apart
from reachlab.imports.formats.base import Format
from reachlab.imports.record import LoggedAnswer, Record, content_of, finish_of, id_of, message_text


@dataclass(frozen=True)
class OpenAIBatch(Apart, Format):
    """A row a request."""

    name = "openai-batch"
    tool = "batch output of OpenAI, vLLM, SGLang, Anthropic, Gemini"
    row = (
        "batch output of OpenAI, vLLM, SGLang",
        "each of `choices`; a failed request is not answered",
        "",
        "",
    )
    apart_by = ("response.body.model", "result.message.model")

    def recognises(self, row: Any) -> bool:
        """A request with its response or error."""
        if not isinstance(row, dict):
            return False
        if "custom_id" in row and isinstance(row.get("response"), dict | None):
            return "response" in row or "error" in row or isinstance(row.get("result"), dict)
        return "key" in row and isinstance(row.get("response"), dict) and "candidates" in row["response"]

    def read(self, row: Any, place: str) -> Iterable[Record]:
        """All choices of a request."""
        identity = id_of(row["custom_id"] if "custom_id" in row else row["key"])
        if identity is None:
            raise ValueError("a request without its custom_id")
        yield Record(answers=tuple(self._answers(row, place)), id=identity, run=self.run_of(row))

    def _answers(self, row: dict[str, Any], place: str) -> Iterator[LoggedAnswer]:
        if "result" in row and "response" not in row:
            message = row["result"].get("message")
            yield anthropic_answer(message) if message else LoggedAnswer(text=None)
            return
        response = row.get("response") or {}
        if "candidates" in response:
            yield from (gemini_answer(candidate) for candidate in response["candidates"])
            return
        body = response.get("body") or {}
        if row.get("error") or response.get("status_code", 200) != 200 or not body:
            yield LoggedAnswer(text=None)
            return
        yield from answers_in(body, place)


def answers_in(body: Any, place: str) -> Iterable[LoggedAnswer]:
    """The answers of a response: of chat completions, of completions, or of the Responses API.

    Raises:
        ReachlabError: none of these.
    """
    if isinstance(body.get("choices"), list):
        for choice in body["choices"]:
            message = choice.get("message")
            text = choice.get("text") if message is None else message_text(message)
            reasoned = message is not None and (message.get("reasoning_content") or message.get("reasoning"))
            finish = finish_of(choice.get("finish_reason") or choice.get("stop_reason"))
            yield LoggedAnswer(text="", finish=finish) if text is None and reasoned else _ended(text, finish)
    elif isinstance(body.get("output"), list):
        parts = [content_of(item.get("content")) for item in body["output"] if item.get("type") == "message"]
        text = "".join(p for p in parts if p is not None) if parts else None
        yield _ended(text, "length" if body.get("status") == "incomplete" else "stop")
    else:
        raise ReachlabError(f"{place}: a response without choices")


def anthropic_answer(message: Any) -> LoggedAnswer:
    """The answer of a message, without its thinking."""
    return _ended(content_of(message["content"]), finish_of(message.get("stop_reason")))


def gemini_answer(candidate: Any) -> LoggedAnswer:
    """The answer of a candidate, without its thoughts."""
    parts = (candidate.get("content") or {}).get("parts") or []
    texts = [part["text"] for part in parts if "text" in part and not part.get("thought")]
    return _ended("".join(texts) if texts else None, finish_of(candidate.get("finishReason")))


def _ended(text: str | None, finish: Any) -> LoggedAnswer:
    return LoggedAnswer(text="" if text is None and finish == "length" else text, finish=finish)
