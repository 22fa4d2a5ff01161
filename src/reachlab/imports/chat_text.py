"""The question in a prompt that a chat template wrote: ChatML, Llama 3, Gemma, or the same without special tokens."""

import re

TURNS = re.compile(
    r"<\|im_start\|>(?P<a>\w+)\n"
    r"|<\|start_header_id\|>(?P<b>\w+)<\|end_header_id\|>\s*"
    r"|<start_of_turn>(?P<c>\w+)\n"
    r"|<\|(?P<d>user|assistant|system)\|>\n?"
    r"|(?:^|(?<=\n))(?P<e>user|assistant|system)\n"
    r"|\[(?P<f>INST)\]"
)
ENDS = re.compile(r"(?:<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<\|end\|>|</s>|\[/INST\])\s*.*", re.DOTALL)
USER = ("user", "human", "INST")


def question_in(prompt: object) -> str | None:
    """What the user says last; the whole prompt where nothing in it looks like a turn; None where it is no text."""
    if not isinstance(prompt, str):
        return None
    turns = list(TURNS.finditer(prompt))
    bare = any(turn["e"] for turn in turns)
    # Without special tokens a line `user` may be part of the question: the prompt has to begin and end with turns.
    if bare and not (turns[0].start() == 0 and prompt.rstrip().endswith("assistant")):
        return prompt
    ends = [turn.start() for turn in turns[1:]] + [len(prompt)]
    said = [
        ENDS.sub("", prompt[turn.end() : end]).strip()
        for turn, end in zip(turns, ends, strict=True)
        if next(filter(None, turn.groups())) in USER
    ]
    return said[-1] if said else prompt
