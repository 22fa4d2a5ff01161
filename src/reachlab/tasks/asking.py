"""How a model is asked a task's questions: what a user says of it, and what came of that. No torch here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.tasks.templates import TEMPLATES, Template

RESERVED = frozenset(
    (
        *("conversation", "messages", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize"),
        *("padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "processor_kwargs", "sanitize_control_tokens"),
    )
)
"""What the call of a chat template is told by us, and is no option of the template."""


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """How the model is asked."""

    template: str = "auto"
    """What stands around a question: a name (plain, bare, chat, boxed, qwen-boxed, r1-zero ..., as docs/tasks.md lists
    them) or a file with {question} in it. auto: an instruct model through its own chat template, any other in plain
    text."""
    system: str = ""
    """What a system message says, where the template has one; default the template's own, or none."""
    chat_template_kwargs: str = ""
    """What the checkpoint's chat template is told, as JSON, e.g. '{"enable_thinking": false}'."""
    shots: int = 0
    """Worked examples before the question, from the task's training problems; of --shots-file, the first so many."""
    shots_file: str = ""
    """Worked examples of your own instead: JSON lines with question and answer; all of them unless --shots says."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.template:
            raise ReachlabError("--template is empty; auto, a name or a file")
        if self.shots < 0:
            raise ReachlabError(f"shots={self.shots} must be 0 or more")
        self.options()

    def settled(self, template: Template | None, why: str = "") -> "Asking":
        """What the user says, with a template; None is the task's own.

        Raises:
            ReachlabError: examples that cannot be read, or that do not go with the template.
        """
        examples = read_examples(self.shots_file, self.shots) if self.shots_file else ()
        if self.shots or examples:
            # They have a form of their own, which a benchmark's request does not go with.
            template = template or TEMPLATES["plain"]
            if not template.chat and template.name != "plain":
                raise ReachlabError(
                    f"worked examples go with the templates plain and chat, and the template {template.name} has no "
                    "place for them; one from a file may hold them itself"
                )
        return Asking(
            template=template,
            system=self.system,
            options=self.options(),
            shots=0 if examples else self.shots,
            examples=examples,
            why=why,
        )

    def options(self) -> dict[str, Any]:
        """The `chat_template_kwargs`.

        Raises:
            ReachlabError: not a JSON object, or one of what is not the template's to be told.
        """
        try:
            found = json.loads(self.chat_template_kwargs or "{}")
        except (ValueError, RecursionError) as error:
            raise ReachlabError(f"--chat-template-kwargs: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise ReachlabError("--chat-template-kwargs: a JSON object is wanted, e.g. '{\"enable_thinking\": false}'")
        if taken := sorted(RESERVED & set(found)):
            raise ReachlabError(f"--chat-template-kwargs: {taken[0]!r} is no option of a chat template")
        return found


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a model is asked, all choices made. Without a `template` in the plain form of the task's family."""

    template: Template | None = None
    system: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    shots: int = 0
    examples: tuple[tuple[str, str], ...] = ()
    """Worked examples that the user brings, as (question, answer)."""
    opens: str = ""
    """What of an answer the checkpoint's chat template begins itself: ``<think>``, or nothing."""
    why: str = ""
    """Why it is this template, in words."""

    def check(self) -> None:
        """Refuse what the template has no place for."""
        template = self.template or TEMPLATES["plain"]
        if self.system and not template.takes_system:
            raise ReachlabError(f"--system: the template {template.name} has no place for a system text")
        if self.options and not template.chat:
            raise ReachlabError(
                f"--chat-template-kwargs: the template {template.name} does not go through the checkpoint's own"
            )

    def identity(self) -> dict[str, Any]:
        """What the answers depend on, as JSON; what is empty is left out."""
        template = self.template
        found = {
            "template": template.name if template else "plain",
            "template_hash": template.hash if template else "",
            "system": self.system,
            "chat_template_kwargs": dict(self.options),
            "shots": self.shots,
            "examples": [list(pair) for pair in self.examples],
        }
        return {name: value for name, value in found.items() if value or name == "template"}


def read_examples(path: str, n: int) -> tuple[tuple[str, str], ...]:
    """Worked examples from a file of JSON lines: the first `n`, or all where it is 0.

    Raises:
        ReachlabError: a line without question and answer, or fewer of them than `n`.
    """
    from reachlab.tasks.rows import read_jsonl  # with what opens files everywhere, which a command line does without

    found = []
    for place, row in read_jsonl(path, storable=True):
        for name in ("question", "answer"):
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise ReachlabError(f"{place}: field {name!r}: text wanted; an example has a question and an answer")
        found.append((row["question"], row["answer"]))
    if n > len(found):
        raise ReachlabError(f"{path}: {len(found)} examples, --shots asks for {n}")
    return tuple(found[: n or len(found)])
