"""The question in a prompt that a chat template wrote: ChatML, Llama 3, Gemma, Phi, DeepSeek, Harmony, Mistral, or one
of these whose special tokens are left out, as trainers log it.

Without special tokens ChatML is ``user\\n...\\nassistant\\n``, Gemma ends in ``model``, and Llama 3 has two line ends
after a role and none before it: ``user\\n\\n2+2?assistant\\n\\n``.
"""

import re

TURNS = re.compile(
    r"<\|im_start\|>(?P<a>\w+)\n"
    r"|<\|start_header_id\|>(?P<b>\w+)<\|end_header_id\|>\s*"
    r"|<start_of_turn>(?P<c>\w+)\n"
    r"|<\|(?P<d>user|assistant|system)\|>\n?"
    r"|<\|start\|>(?P<e>user|assistant|system|developer)(?:<\|channel\|>\w+)?(?:<\|message\|>)?"
    r"|<｜(?P<f>User|Assistant)｜>"
    r"|\[(?P<g>INST)\]"
)
ENDS = re.compile(
    r"(?:<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<\|end\|>|<\|endoftext\|>|</s>|<｜end▁of▁sentence｜>|\[/INST\]).*",
    re.DOTALL,
)
USER = ("user", "human", "inst")
BARE_END = re.compile(r"(?:assistant|model)\s*(?:<think>\s*(?:</think>\s*)?)?\Z")
"""How a prompt without special tokens ends; a template may open, or skip, the reasoning."""
BARE = re.compile(r"(?:^|(?<=\n))(?P<role>user|assistant|model|system)\n")
BARE_STUCK = re.compile(r"(?:^|(?<=[\n.!?:)\]}\"'`]))(?P<role>user|assistant|system)\n\n")
"""Llama 3: a role stands behind the last sign of the turn before."""


def question_in(prompt: object) -> str | None:
    """What the user says last; the whole prompt where nothing in it looks like a turn; None where it is no text."""
    if not isinstance(prompt, str):
        return None
    turns = [(turn, next(filter(None, turn.groups()))) for turn in TURNS.finditer(prompt)]
    if not turns:
        return _without_tokens(prompt)
    return _last(prompt, turns) or prompt


def _without_tokens(prompt: str) -> str:
    """A line `user` may be part of a question: the prompt has to begin and end with turns."""
    end = BARE_END.search(prompt)
    if end is None:
        return prompt
    body = prompt[: end.start()]
    stuck = body.lstrip().startswith(("system\n\n", "user\n\n")) and not body.endswith("\n")
    turns = [(turn, turn["role"]) for turn in (BARE_STUCK if stuck else BARE).finditer(body)]
    if not turns or body[: turns[0][0].start()].strip():
        return prompt
    return _last(body, turns) or prompt


def _last(prompt: str, turns: list[tuple[re.Match[str], str]]) -> str | None:
    ends = [turn.start() for turn, _ in turns[1:]] + [len(prompt)]
    texts = [
        ENDS.sub("", prompt[turn.end() : end]).strip()
        for (turn, role), end in zip(turns, ends, strict=True)
        if role.casefold() in USER
    ]
    return texts[-1] if texts else None
