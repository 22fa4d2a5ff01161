"""A run's problems one at a time: only where each one's line begins lies in memory, and those that were used last."""

import json
import shutil
import tempfile
from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import IO, Any

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder

FILE = "problems.jsonl"
KEPT = 4096
"""Problems that stay in memory: more than the samples of a part are of, as a rule."""
QUESTION_NAMES = ("bare", "question")
"""Where a problem's metadata has the question alone."""


class Problems:
    """The problems of a run folder, by number. `number` has the ids; what kinds of prompts there are, the rest."""

    def __init__(self, folder: RunFolder):
        """Look through the list once.

        Raises:
            ReachlabError: it is not there, or damaged.
        """
        self._path = folder.file(FILE)
        if not folder.exists(FILE):
            raise ReachlabError(f"{folder.url}: not a run of samples (no {FILE})")
        self._file: IO[bytes] = folder.fs.open(self._path, "rb")
        if not folder.is_local:  # lines are read in any order, which is slow from afar
            copy = tempfile.TemporaryFile()  # noqa: SIM115 (it is open as long as this object)
            shutil.copyfileobj(self._file, copy)
            copy.seek(0)
            self._file = copy
        self.number: dict[str, int] = {}
        self._starts = array("q")
        self.message_names: tuple[str, ...] = ()
        """Names of the fields of chat messages; none where no prompt is a chat."""
        self.options = self.images = False
        """Whether a chat template is told something; whether there are pictures."""
        self._look()
        self.fields = lru_cache(KEPT)(self._fields)
        """What rows say of the problem of a number."""

    def _look(self) -> None:
        names: dict[str, None] = {}
        start = 0
        for line in self._file:
            if line.strip():
                row = self._parsed(line)
                if self.number.setdefault(row["id"], len(self.number)) != len(self._starts):
                    raise ReachlabError(f"{self._path}: holds problem {row['id']!r} twice")
                self._starts.append(start)
                messages, options = _chat(row["prompt"])
                names |= {name: None for message in messages or () for name in message}
                self.options |= bool(options)
                self.images |= bool(row["images"])
            start += len(line)
        self.message_names = tuple(names)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            row: dict[str, Any] = json.loads(line)
            if not isinstance(row["id"], str) or not isinstance(row["metadata"], Mapping):
                raise TypeError("an id that is text and metadata that is an object are wanted")
            _chat(row["prompt"])
            row["images"], row["answer"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            at = len(self._starts) + 1
            raise ReachlabError(f"{self._path}: problem {at}: not a problem ({error})") from error
        return row

    def _fields(self, number: int) -> dict[str, Any]:
        self._file.seek(self._starts[number])
        row = self._parsed(self._file.readline())
        messages, options = _chat(row["prompt"])
        fields: dict[str, Any] = {
            "problem_id": row["id"],
            "question": _question(row, messages),
            "prompt": row["prompt"] if messages is None else None,
            "answer": row["answer"],
            "metadata": row["metadata"],
            "problem_index": number,
        }
        if self.message_names:
            fields["messages"] = messages
        if self.options:
            fields["chat_options"] = options or None
        if self.images:
            fields |= {"images": row["images"], "image_hashes": row.get("image_hashes", [])}
        return fields


def _chat(prompt: Any) -> tuple[list[dict[str, Any]] | None, dict[str, Any]]:
    """The messages of a prompt as it is stored, and what the chat template is told; no messages where it is text.

    Raises:
        TypeError, KeyError: it is no prompt.
    """
    if isinstance(prompt, str):
        return None, {}
    messages, options = (prompt["messages"], prompt["options"]) if isinstance(prompt, Mapping) else (prompt, {})
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise TypeError("a prompt is text or a list of messages")
    return messages, dict(options)


def _question(row: Mapping[str, Any], messages: list[dict[str, Any]] | None) -> str:
    """The bare question; else the prompt, or what the user says last in it."""
    question = next((row["metadata"][n] for n in QUESTION_NAMES if isinstance(row["metadata"].get(n), str)), None)
    if question is not None:
        return str(question)
    if messages is None:
        return str(row["prompt"])
    return str(next((m.get("content") for m in reversed(messages) if m.get("role") == "user"), ""))
