"""How each model was asked: the first problem of its run, as the model got it.

A prompt that is text is what the model got. Messages go through the checkpoint's own chat template, so they are
written by its tokenizer, where its folder is still there; where it is not, they are shown as messages. A system text
is said apart: the run's, or what the template adds by itself can be read in the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reachlab.errors import ReachlabError
from reachlab.measures.table import cut
from reachlab.reporting.entries import Entry
from reachlab.reporting.texts import spoken
from reachlab.types import Chat, Text

ELSEWHERE = {
    "import": "The question as the log has it; what else the model was told, the log does not say.",
    "reference": "The task's question; its own solutions answer it, and no model was asked.",
}
"""What is said of runs that drew no samples themselves, by kind."""


@dataclass(frozen=True, kw_only=True)
class FirstPrompt:
    """The prompt that some models got: pieces, each with a role or none, and what is to be known of it."""

    names: tuple[str, ...]
    system: str
    pieces: tuple[tuple[str, str], ...]
    note: str


def first_prompts(entries: Sequence[Entry]) -> list[FirstPrompt]:
    """One of every way of asking; models that were asked alike share it."""
    found: dict[tuple[str, tuple[tuple[str, str], ...], str], list[str]] = {}
    for entry in entries:
        problem = next(iter(entry.store.problems()), None)
        if problem is not None:
            pieces, note = _written(entry, problem.prompt)
            found.setdefault((_system(entry, problem.prompt), pieces, note), []).append(entry.name)
    return [
        FirstPrompt(names=tuple(names), system=system, pieces=pieces, note=note)
        for (system, pieces, note), names in found.items()
    ]


def _system(entry: Entry, prompt: Text) -> str:
    """The system text that the run was told to give, or that stands among the messages."""
    if isinstance(prompt, Chat):
        said = [str(m.get("content", "")) for m in prompt.messages if m.get("role") == "system"]
        if said:
            return cut("\n".join(said))
    ask = entry.part("config").get("ask")
    return cut(str(ask.get("system") or "")) if isinstance(ask, dict) else ""


def _written(entry: Entry, prompt: Text) -> tuple[tuple[tuple[str, str], ...], str]:
    if note := ELSEWHERE.get(str(entry.document.get("kind"))):
        return spoken(prompt), note
    if not isinstance(prompt, Chat):
        return spoken(prompt), "This text is what the model got."
    facts = entry.part("facts")
    folder = facts.get("tokenizer_path", facts.get("model_path"))
    if not isinstance(folder, str) or not Path(folder).is_dir():
        return spoken(prompt), "These messages went through the model's own chat template, which is not here to show."
    try:
        from reachlab.prompting.rendered import as_written  # with transformers, which pages of plain text do without

        return (("", cut(as_written(folder, prompt))),), f"Written by the chat template of {folder}."
    except ReachlabError as error:
        return spoken(prompt), f"These messages went through the model's own chat template ({error})."
