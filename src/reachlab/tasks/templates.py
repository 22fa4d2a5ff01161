"""What stands around a question when a model is asked it, by the names the field uses, or from a file.

The texts are those that the models were trained with or are evaluated with:

- `qwen-boxed`, `qwen25-math-cot`, `abel`, `deepseek-math`, `llama3-boxed`, `mistral-boxed`: the evaluation code of
  Qwen2.5-Math and of simpleRL-reason has them under the same names; arXiv 2504.13837 asks its models with `qwen-boxed`
  and `abel`. `choice` asks for a letter in the way of OpenAI's simple-evals.
- `r1-zero`: DeepSeek-R1-Zero, arXiv 2501.12948, table 1; `prime-zero`: the same with a box, Eurus-2-7B-PRIME-Zero.
- `orz`, or `open-reasoner`: Open-Reasoner-Zero, arXiv 2503.24290, `playground/zero_setting_base.py` of its repository.
- `oat-zero`: the template that Oat-Zero's Qwen2.5-Math models were trained with, arXiv 2503.20783, which is
  `qwen25-math-cot`; `oat-zero-r1`: that of its other models, `apply_r1_template` of sail-sg/understand-r1-zero.
- `dapo`: the data set DAPO-Math-17k, arXiv 2503.14476, a user's message in the model's own chat.
- `simplerl`, or `simplerl-abel` for its smaller and its other models: simpleRL-Zoo, arXiv 2503.18892.

A template that begins the answer's reasoning (``<think>`` at its end) is read as if the answer had begun it
(`asked.py`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.types import Filled

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
CHOICE = (
    "Answer the following multiple choice question. The last line of your response should be of the form "
    "'Answer: X', where X is the letter of the right option. Think step by step before answering."
)
PLACE = re.compile(r"\{(question|instructed|plain|system)\}")
THINK = "<think>"


@dataclass(frozen=True, slots=True)
class Template:
    """A text, or the messages of a chat, as (role, text), with places to fill in.

    ``{question}`` is the bare question, ``{plain}`` and ``{instructed}`` the question in the plain form of its family,
    or with what an instruct model is told; ``{system}`` the system text, which is `system` where the user gives none.
    """

    name: str
    text: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    system: str = ""
    stop: tuple[str, ...] = ()
    hash: str = ""
    """Of the file it was read from."""

    @property
    def chat(self) -> bool:
        """Whether the checkpoint's own chat template writes it down."""
        return bool(self.messages)

    @property
    def opens(self) -> str:
        """What of the answer the text itself begins."""
        return THINK if self.text.rstrip().endswith(THINK) else ""

    @property
    def takes_system(self) -> bool:
        """Whether there is a place for a system text."""
        return (self.chat and all(role != "system" for role, _ in self.messages)) or "{system}" in self.text

    @property
    def places(self) -> set[str]:
        """The names of the places to fill in."""
        return {m[1] for text in (self.text, *(said for _, said in self.messages)) for m in PLACE.finditer(text)}


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its places filled in; what is filled in is not looked through again."""
    # Not str.format: templates and questions are full of LaTeX's braces.
    return PLACE.sub(lambda match: values[match[1]], text)


def filled(text: str, values: Mapping[str, str]) -> Filled:
    """As `fill`, with the spans of what was filled in."""
    done, said, at = "", list[tuple[int, int]](), 0
    for match in PLACE.finditer(text):
        done += text[at : match.start()]
        said.append((len(done), len(done) + len(values[match[1]])))
        done, at = done + values[match[1]], match.end()
    return Filled(done + text[at:], said)


def _chatml(user: str, system: str = "") -> str:
    before = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return f"{before}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


def _chat(name: str, user: str) -> Template:
    return Template(name, messages=(("user", user),))


_R1 = (
    "A conversation between User and Assistant. The {who} asks a question, and the Assistant solves it. The {as} first "
    "thinks about the reasoning process in the mind and then provides the {who} with the answer. "
)
_TAGS = "<think> reasoning process here </think> <answer> answer here </answer>."
_ZERO = (
    _R1.replace("{who}", "user").replace("{as}", "assistant")
    + "The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, "
    + f"respectively, i.e., {_TAGS}"
)
_OPEN = (
    _R1.replace("{who}", "User").replace("{as}", "Assistant")
    + "The reasoning process is enclosed within <think> </think> and answer is enclosed within <answer> </answer> "
    + f"tags, respectively, i.e., {_TAGS}"
)
_ORZ = (
    "You must put your answer inside <answer> </answer> tags, i.e., <answer> answer here </answer>. And your final "
    "answer will be extracted automatically by the \\boxed{} tag.\nThis is the problem:\n{question}"
)
_DAPO = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.\n\n{question}\n\n"
    'Remember to put your answer on its own line after "Answer:".'
)
_USER = ("\nUser:",)
"""Where a base model poses the next question itself."""

_KNOWN = (
    Template("plain", "{plain}"),
    Template("bare", "{question}"),
    Template("boxed", f"{{question}}\n{BOXED}\n"),
    Template("choice", f"{CHOICE}\n\n{{question}}\n"),
    Template("abel", "Question:\n{question}\nAnswer:\nLet's think step by step.\n"),
    Template("qwen-boxed", _chatml(f"{{question}}\n{BOXED}", "{system}"), system="You are a helpful assistant."),
    Template("qwen25-math-cot", _chatml("{question}", BOXED)),
    Template("deepseek-math", f"User: {{question}}\n{BOXED}\n\nAssistant:"),
    Template("deepseek-r1", f"<｜begin▁of▁sentence｜><｜User｜>{{question}}\n{BOXED}<｜Assistant｜><think>\n"),
    Template(
        "llama3-boxed",
        f"<|start_header_id|>user<|end_header_id|>\n\n{{question}}\n{BOXED}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    Template("mistral-boxed", f"[INST] {{question}}\n{BOXED} [/INST]"),
    Template("code", "{question}\nWrite a Python program, in one ```python block.\n"),
    Template(
        "qwen-code",
        _chatml("{question}\nThink step by step, then give the whole program in one ```python block.", "{system}"),
        system="You are a helpful assistant.",
    ),
    _chat("chat", "{instructed}"),
    _chat("chat-bare", "{question}"),
    _chat("chat-boxed", f"{{question}}\n{BOXED}"),
    _chat("chat-choice", f"{CHOICE}\n\n{{question}}"),
    Template("r1-zero", f"{_ZERO} User: {{question}}. Assistant:", stop=_USER),
    Template(
        "prime-zero",
        f"{_ZERO} User: {{question}}\n\nPresent the answer in LaTex format: \\boxed{{Your answer}}. Assistant:",
        stop=_USER,
    ),
    Template("orz", f"{_OPEN} User: {_ORZ}\nAssistant: <think>", stop=_USER),
    Template("oat-zero-r1", f"{_OPEN}\nUser: {{question}}\nAssistant: <think>", stop=_USER),
    _chat("dapo", _DAPO),
)
TEMPLATES = {template.name: template for template in _KNOWN}
ALIASES = {
    "open-reasoner": "orz",
    "oat-zero": "qwen25-math-cot",
    "simplerl": "qwen-boxed",
    "simplerl-abel": "abel",
}
"""Other names of the same."""


def template_named(name: str) -> Template:
    """The template of a name, or the one in a file: a text, or JSON (`.json`) with `text` or `messages`, and `stop`.

    Raises:
        ReachlabError: neither a template nor a file has that name, or the file holds none.
    """
    found = TEMPLATES.get(ALIASES.get(name, name))
    if found is not None:
        return found
    path = Path(name)
    if not path.is_file():
        names = ", ".join([*TEMPLATES, *ALIASES])
        raise ReachlabError(f"no template {name!r}, and no file of that name; there are: {names}")
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        hashed = hashlib.blake2b(data, digest_size=16).hexdigest()
        if path.suffix == ".json":
            read = _of_json(name, json.loads(text), hashed)
        else:
            # An editor ends a text with a line break, which a model would see.
            read = Template(name, text.replace("\r\n", "\n").removesuffix("\n"), hash=hashed)
    except (OSError, ValueError) as error:
        raise ReachlabError(f"template {name}: not readable: {error}") from error
    if not read.places & {"question", "plain", "instructed"}:
        raise ReachlabError(f"template {name}: has no place for the question; write {{question}} where it goes")
    return read


def _of_json(name: str, found: Any, hashed: str) -> Template:
    """A template from a JSON object.

    Raises:
        ReachlabError: it is none.
    """
    wanted = (
        f'template {name}: a JSON object wanted, {{"text": "... {{question}} ..."}} or {{"messages": [{{"role": '
        f'"user", "content": "... {{question}} ..."}}]}}, and "stop": [texts] where it has any'
    )
    if not isinstance(found, dict) or not set(found) <= {"text", "messages", "stop"}:
        raise ReachlabError(wanted)
    text, messages, stop = found.get("text", ""), found.get("messages", []), found.get("stop", [])
    fit = isinstance(text, str) and isinstance(messages, list) and isinstance(stop, list)
    fit = fit and bool(text) != bool(messages) and all(isinstance(one, str) and one for one in stop)
    fit = fit and all(isinstance(m, dict) and set(m) == {"role", "content"} for m in messages)
    if not fit or not all(isinstance(value, str) for m in messages for value in m.values()):
        raise ReachlabError(wanted)
    said = tuple((m["role"], m["content"]) for m in messages)
    return Template(name, text, said, stop=tuple(stop), hash=hashed)
