"""Output of OpenAI's batch API, and of vLLM's and SGLang's: a row a request, known by its `custom_id`.

``{"custom_id": "request-0", "response": {"status_code": 200, "body": {"choices": [...]}}, "error": null}``. The questions are
in the input file, not here.

Source: https://platform.openai.com/docs/guides/batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record, Said, content_of, finish_of


@dataclass(frozen=True)
class OpenAIBatch(Format):
    """A row a request."""

    name = "openai-batch"
    tool = "batch output of OpenAI, vLLM, SGLang"

    def recognises(self, row: Any) -> bool:
        """A request with its response or error."""
        return isinstance(row, dict) and "custom_id" in row and ("response" in row or "error" in row)

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """All choices of a request; a failed one was not answered."""
        response = row.get("response") or {}
        body = response.get("body") or {}
        if row.get("error") or response.get("status_code", 200) != 200 or not body:
            yield Record(answers=(Said(text=None),), id=str(row["custom_id"]))
            return
        yield Record(answers=tuple(said_in(body, place)), id=str(row["custom_id"]))


def said_in(body: Any, place: str) -> Iterable[Said]:
    """The answers of a response: of chat completions, of completions, or of the Responses API.

    Raises:
        ReachlabError: none of these.
    """
    if isinstance(body.get("choices"), list):
        for choice in body["choices"]:
            message = choice.get("message")
            text = content_of(message.get("content")) if isinstance(message, dict) else choice.get("text")
            yield Said(text=text, finish=finish_of(choice.get("finish_reason") or choice.get("stop_reason")))
    elif isinstance(body.get("output"), list):
        parts = [content_of(item.get("content")) for item in body["output"] if item.get("type") == "message"]
        text = "".join(p for p in parts if p is not None) if parts else None
        yield Said(text=text, finish="length" if body.get("status") == "incomplete" else "stop")
    else:
        raise ReachlabError(f"{place}: a response without choices")
