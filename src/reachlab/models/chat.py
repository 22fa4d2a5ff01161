"""The checkpoint's own chat template: writing a chat with it, and whether the checkpoint was trained to be asked so.

Many base models ship a chat template that they were never trained with (Qwen2.5 and Qwen3 base, Qwen2.5-Math,
Llama-3.2, DeepSeek-Math). What tells them from instruct models is evidence, in this order:

1. The mark with which the template ends an assistant's turn is none of the model's end tokens (`generation_config`'s,
   the configuration's, the tokenizer's): nobody could have let such a model answer a chat, it would never stop. It is a
   base model (Qwen2.5: turns end in <|im_end|>, the model in <|endoftext|>), unless its name says that it is an
   instruct model (Gemma-it, whose first configurations forgot <end_of_turn>).
2. The mark is an end token, and one that only chats have (<|im_end|>, <|eot_id|>, <end_of_turn>): an instruct model,
   whatever its folder is called.
3. The mark is what ends any text (</s>, <|endoftext|>), as in Mistral, OLMo or DeepSeek: it says nothing, so the name
   decides where it says base, and else the template does.

The name is that of the folder, and what the configuration says of where it came from.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachlab.errors import ReachlabError
from reachlab.types import Chat, Illustrated, Prompt

if TYPE_CHECKING:  # of a model behind a server only the name is looked at
    from transformers import PreTrainedTokenizerBase

TURN_END = re.compile(r"im_end|eot|eom|end_of_turn|END_OF_TURN|turn_end|end_turn|<\|end\|>|<\|return\|>|<turn\|>")
"""Marks that end a turn and no other text."""
INSTRUCT = re.compile(r"(?:^|[^a-z])(?:instruct|it|chat|sft|dpo|rlhf|assistant|thinking|reasoner)(?=$|[^a-z])")
BASE = re.compile(r"(?:^|[^a-z])(?:base|pt|pretrain(?:ed)?)(?=$|[^a-z])")
NO_TEMPLATE = "its tokenizer has no chat template"
PROBE = "WHATISSAID"
"""What is said in a chat that is written only to be looked at."""


@dataclass(frozen=True, slots=True)
class ModelKind:
    """Whether a checkpoint is asked by chat, and why, in words."""

    chat: bool
    why: str


def kind_of_model(tokenizer: "PreTrainedTokenizerBase", folder: str | Path) -> ModelKind:
    """Whether the checkpoint in a folder is an instruct model."""
    if not has_template(tokenizer):
        return ModelKind(False, NO_TEMPLATE)
    named = name_says(*names_of(folder))
    mark = turn_end(tokenizer)
    if mark is None:
        if named == "base":
            return ModelKind(False, "its name says that it is a base model")
        return ModelKind(True, "its tokenizer has a chat template")
    end = str(tokenizer.convert_ids_to_tokens(mark))
    if mark not in end_tokens(tokenizer, folder):
        if named == "instruct":
            return ModelKind(True, "its name says that it is an instruct model")
        why = f"its chat template ends a turn with {end}, which does not end this model's answers: a base model"
        return ModelKind(False, why)
    if not TURN_END.search(end) and named == "base":
        return ModelKind(False, "its name says that it is a base model")
    return ModelKind(True, f"its chat template ends a turn with {end}, and so does the model")


def name_says(*names: str) -> str:
    """ "instruct", "base" or nothing: what names say of a model."""
    kinds = [
        word for word, how in (("instruct", INSTRUCT), ("base", BASE)) if any(how.search(n.lower()) for n in names)
    ]
    return kinds[0] if len(kinds) == 1 else ""


def names_of(folder: str | Path) -> list[str]:
    """The folder's own name, that of the hub's cache around it, and that under which its configuration was loaded."""
    path = Path(folder)
    here = path.resolve()
    cached = here.parents[1].name if here.parent.name == "snapshots" else ""
    return [here.name, cached, Path(str(_json(path / "config.json").get("_name_or_path") or "")).name]


def end_tokens(tokenizer: "PreTrainedTokenizerBase", folder: str | Path) -> set[int]:
    """The tokens that end the model's answers."""
    path = Path(folder)
    config, generation = (_json(path / name) for name in ("config.json", "generation_config.json"))
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    # What generates takes generation_config's where there are any.
    listed = generation.get("eos_token_id", config.get("eos_token_id", text.get("eos_token_id") if text else None))
    ends = listed if isinstance(listed, list) else [listed]
    return {int(i) for i in [*ends, tokenizer.eos_token_id] if i is not None}


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ReachlabError(f"{path}: not readable as JSON ({error})") from error
    return document if isinstance(document, dict) else {}


def has_template(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the tokenizer, or the processor that belongs to it, has a chat template."""
    return _holder(tokenizer) is not None


def _holder(tokenizer: "PreTrainedTokenizerBase") -> Any:
    processor = getattr(tokenizer, "processor", None)
    return next((h for h in (tokenizer, processor) if getattr(h, "chat_template", None)), None)


def template_text(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The chat template itself; of several, the one that is used without tools."""
    template = getattr(_holder(tokenizer), "chat_template", "")
    return (
        str(template.get("default", next(iter(template.values())))) if isinstance(template, Mapping) else str(template)
    )


def write_chat(tokenizer: "PreTrainedTokenizerBase", chat: Chat, *, answer: bool = True) -> str:
    """A chat as the checkpoint's template writes it, up to where the answer begins.

    Raises:
        ReachlabError: there is no template, or it refuses the chat.
    """
    holder = _holder(tokenizer)
    if holder is None:
        raise ReachlabError("the prompt is a chat, and this checkpoint's tokenizer has no chat template")
    messages: list[dict[str, Any]] = [dict(message) for message in chat.messages]
    if holder is not tokenizer:  # a processor's template reads what is said part by part
        messages = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    return written_by(holder, messages, chat.options, answer=answer)


def written_by(
    holder: Any, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, answer: bool = True
) -> str:
    """What the template of a tokenizer or processor makes of messages.

    Raises:
        ReachlabError: it refuses them.
    """
    try:
        return str(holder.apply_chat_template(list(messages), add_generation_prompt=answer, tokenize=False, **options))
    except Exception as error:  # templates are programs, and fail in their own ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        roles = ", ".join(dict.fromkeys(str(m["role"]) for m in messages))
        with_options = f" with {', '.join(options)}" if options else ""
        raise ReachlabError(
            f"this checkpoint's chat template refuses a chat of {roles}{with_options}: {reason}"
        ) from error


def turn_end(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The token with which the chat template ends an assistant's turn; None where it writes nothing there."""
    messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": PROBE})
    try:
        text = write_chat(tokenizer, Chat(messages), answer=False)
    except ReachlabError:
        return None  # one that only takes its own kind of conversation, which says nothing of what ends a turn
    _, said, after = text.rpartition(PROBE)
    ids = tokenizer(after.lstrip(), add_special_tokens=False)["input_ids"] if said and after.strip() else []
    return int(ids[0]) if ids else None


def answer_end(tokenizer: "PreTrainedTokenizerBase", ends: Collection[int]) -> int:
    """The token that ends an answer in a chat: the one that ends a turn, if it is among the model's `ends`."""
    mark = turn_end(tokenizer) if ends and has_template(tokenizer) else None
    return mark if mark is not None and mark in ends else int(tokenizer.eos_token_id)


def is_chat(prompt: Prompt) -> bool:
    """Whether a prompt, with pictures or without, is a chat."""
    return isinstance(prompt.prompt if isinstance(prompt, Illustrated) else prompt, Chat)


def check_chat(tokenizer: "PreTrainedTokenizerBase", system: str, options: Mapping[str, Any]) -> str:
    """What of an answer the chat template begins itself, ``<think>`` or nothing.

    Raises:
        ReachlabError: there is no chat template, it refuses the chat, leaves the system text out, or knows no such
            option.
    """
    if not has_template(tokenizer):
        raise ReachlabError("this checkpoint's tokenizer has no chat template; ask it in plain text: --template plain")
    template = template_text(tokenizer)
    for name in options:
        if not re.search(rf"\b{re.escape(name)}\b", template):
            raise ReachlabError(f"--chat-template-kwargs: this checkpoint's chat template knows no {name!r}")
    messages = [{"role": "system", "content": system}] if system else []
    text = write_chat(tokenizer, Chat((*messages, {"role": "user", "content": PROBE}), options))
    if system and system.strip() not in text:
        raise ReachlabError("--system: this checkpoint's chat template leaves a system message out")
    if PROBE not in text:
        raise ReachlabError("this checkpoint's chat template leaves out what the user says")
    return "<think>" if text.rstrip().endswith("<think>") else ""
