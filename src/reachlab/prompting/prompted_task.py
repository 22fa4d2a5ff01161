"""From what a user says of asking, and the checkpoint that is asked, to a task whose problems are asked that way.

A checkpoint that Reachlab itself trained is asked as in its training: its run says how. Any other is looked at
(`models/chat.py`): an instruct model is asked through its own chat template, any other in plain text. Of a model behind
a server there is no tokenizer to look at. Most that are served are instruct models, so it is asked by chat, unless its
name says that it is a base model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachlab.errors import ReachlabError
from reachlab.models.chat import NO_TEMPLATE, ModelKind, check_chat, end_tokens, kind_of_model, name_says, turn_end
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.runs import RunFolder
from reachlab.tasks.asked import Asked
from reachlab.tasks.asking import AskConfig, Asking
from reachlab.tasks.registry import chosen_template, load_task, own_template, prefix_of
from reachlab.tasks.templates import TEMPLATES, template_named

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = ("rl", "distill")
"""Runs whose models were trained on a task's questions."""


@dataclass(frozen=True)
class PromptedTask:
    """A task as a model is asked it, and how that is."""

    task: Asked
    how: str
    """In words."""
    chosen: bool
    """Whether there was something to choose, so that the user should hear of it."""

    @property
    def remark(self) -> str:
        """What the user should hear, if anything."""
        return self.how if self.chosen else ""

    @property
    def identity(self) -> dict[str, Any]:
        """What the answers depend on."""
        return self.task.asking.identity()


def prompted_task(spec: str, config: AskConfig, model: str) -> PromptedTask:
    """The task that `spec` names, asked as `config` says, or else as `model` was trained to be asked.

    `model` is a checkpoint's folder, or the name of a model behind a server.

    Raises:
        ReachlabError: choices that contradict each other, or that this model's chat template does not take.
    """
    chosen = chosen_template(spec, config)
    if (share := prefix_of(spec)) is not None:
        how = f"shown the first {100 * share:g} % of each question in plain text, and asked for the rest"
        return PromptedTask(load_task(spec, config.settled(chosen)), how, True)
    tokenizer = _own_tokenizer(model) if Path(model).is_dir() else None
    asking = config.settled(chosen) if chosen else _auto(config, model, tokenizer)
    task = load_task(spec, _checked(asking, tokenizer))
    plain = asking.why == NO_TEMPLATE and not (asking.shots or asking.examples)
    how = _how(task, chosen is None)
    if task.template.chat and tokenizer is not None:
        how += _endless(tokenizer, find_checkpoint(model))
    return PromptedTask(task, how, not plain)


def _own_tokenizer(model: str) -> "PreTrainedTokenizerBase":
    from reachlab.models.checkpoint import load_tokenizer  # transformers, which a model behind a server does without

    return load_tokenizer(model)


def _auto(config: AskConfig, model: str, tokenizer: "PreTrainedTokenizerBase | None") -> Asking:
    """The user leaves the template to us."""
    if tokenizer is None:
        kind = _kind_by_name(model)
    else:
        folder = find_checkpoint(model)
        if (trained := _trained(folder)) is not None:
            return _as_trained(config, trained, folder)
        kind = kind_of_model(tokenizer, folder)
    return config.settled(TEMPLATES["chat"] if kind.chat else None, kind.why)


def _kind_by_name(model: str) -> ModelKind:
    if name_says(model.rstrip("/").rpartition("/")[2]) == "base":
        return ModelKind(False, "its name says that it is a base model")
    return ModelKind(True, "what is behind a server is taken for an instruct model")


def _trained(folder: Path) -> Mapping[str, Any] | None:
    """How the run that trained a checkpoint asked it; None for a checkpoint that came from elsewhere."""
    places = {"model": folder.parent, "checkpoints": folder.parent.parent}
    place = places.get(folder.name) or places.get(folder.parent.name)
    run = RunFolder(place) if place is not None else None
    if run is None or not run.exists("run.json"):
        return None
    try:
        document = json.loads(run.fs.cat_file(run.file("run.json")))
        ask = document["config"]["ask"] if document["kind"] in TRAINED else None
        if ask is not None and ask["template"] == own_template(document["config"]["task"]).name:
            ask = {**ask, "template": "plain"}  # of another task another one
    except (ValueError, KeyError, TypeError):
        return None  # somebody else's file, or a run of an earlier day
    return ask if isinstance(ask, Mapping) else None


def _as_trained(config: AskConfig, trained: Mapping[str, Any], folder: Path) -> Asking:
    """Ask as in training; what the user says beside the template counts instead of what was said then."""
    name = str(trained["template"])
    if trained.get("template_hash"):
        template = template_named(name) if Path(name).is_file() else None
        if template is None or template.hash != trained["template_hash"]:
            raise ReachlabError(
                f"{folder}: was trained with the template of a file ({name}), which is not there as it was; say how to "
                "ask it: --template"
            )
    else:
        template = None if name == "plain" else template_named(name)
    settled = config.settled(template, "as in its training")
    return Asking(
        template=template,
        system=settled.system or str(trained.get("system", "")),
        options=settled.options or dict(trained.get("chat_template_kwargs", {})),
        shots=settled.shots or int(trained.get("shots", 0)) * (not settled.examples),
        examples=settled.examples or tuple((q, a) for q, a in trained.get("examples", ()) if not settled.shots),
        why=settled.why,
    )


def _checked(asking: Asking, tokenizer: "PreTrainedTokenizerBase | None") -> Asking:
    """The same, with what the chat template begins of an answer.

    Raises:
        ReachlabError: the template has no place for what is to be said, or the checkpoint's own refuses it.
    """
    asking.check()
    if asking.template is None or not asking.template.chat or tokenizer is None:
        return asking
    opens = check_chat(tokenizer, asking.system, asking.options)
    return replace(asking, opens=opens)


def _endless(tokenizer: "PreTrainedTokenizerBase", folder: Path) -> str:
    """A warning where the model does not stop at the end of its turn."""
    mark = turn_end(tokenizer)
    if mark is None or mark in end_tokens(tokenizer, folder):
        return ""
    end = tokenizer.convert_ids_to_tokens(mark)
    return f"; a turn ends with {end}, which does not end this model's answers: they may go on up to --max-tokens"


def _how(task: Asked, auto: bool) -> str:
    """How the model is asked, for the user."""
    asking, template = task.asking, task.template
    why = f" ({asking.why})" if asking.why else ""
    other = ""
    if template.chat:
        how = "asked through its chat template" + ("" if template.name == "chat" else f", as {template.name}")
        other = "; --template plain asks it in plain text" if auto else ""
    else:
        how = "asked in plain text" + ("" if template.name == "plain" else f", with the template {template.name}")
        if auto and asking.why != NO_TEMPLATE:
            other = "; --template chat asks it through its chat template"
    shots = len(asking.examples) or asking.shots
    few = f", after {shots} worked example{'s' * (shots > 1)}" if shots else ""
    return f"{how}{few}{why}{other}"
