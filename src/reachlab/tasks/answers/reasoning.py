"""Which part of a text answers: what comes after the reasoning, and before the next question.

    text = reasoning + answer + what a base model goes on with

Reasoning ends at its last mark of an end (``</think>``, ``<|channel|>final``). One that is begun and never ended has no
answer after it. A base model that has answered often poses itself the next question: that, and all after it, answers
something else. So does what follows a mark of the end of a text.

Source: the marks are those of the models' own chat templates.
"""

import re
from dataclasses import dataclass

REASONING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis", "<|channel|>final"),
)
"""How models mark where reasoning begins and ends. A prompt may hold the beginning, so an end can stand alone."""

END = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|end_of_text|return|end|eom_id|im_start|start_header_id|START_OF_TURN_TOKEN"
    r"|END_OF_TURN_TOKEN|END_RESPONSE|end_of_solution|user|endofprompt)\|>"
    r"|</s>|<eos>|<end_of_turn>|<start_of_turn>|\[INST\]|<｜(?:end▁of▁sentence|User)｜>"
)
"""What no answer goes on after."""

NEXT_QUESTION = re.compile(
    r"\n[ \t>*_#-]*"
    r"(?:(?:next |new |another )?(?:question|problem|exercise|task|q)(?:[ \t]*(?:no\.?[ \t]*|#)?\d+)?[ \t*_]*[:.)]"
    r"|(?:question|problem|exercise)[ \t]*#?\d+[ \t*_]*(?:\n|[:.)])"
    r"|\#{1,4}[ \t]*(?:question|problem|instruction|exercise)\b"
    r"|(?:human|user|问题|题目|問題)[ \t]*[:：])"
    r"|\n[^\n]{0,300}\b(?:put|write|give) your final answer (?:within|in|inside) \\boxed",
    re.IGNORECASE,
)
"""Where a text begins to ask: a heading of a question, a user's turn, or the template's own request once more."""

FIRST_MARK = re.compile(r"\s*(?:(?:assistant|<\|(?:im_start|start_header_id)\|>\w*(?:<\|end_header_id\|>)?)\s*)?")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a text, from `start` to `end`; `reason` says why there is none."""

    start: int
    end: int
    reason: str = ""


def after_reasoning(text: str, marks: tuple[tuple[str, str], ...] = REASONING) -> Region:
    """What comes after the last end of reasoning; with a `reason`, and empty, where the reasoning never ends."""
    start = 0
    for _, close in marks:
        start = max(start, text.rfind(close) + len(close) if close in text else 0)
    for begin, _ in marks:
        if text.find(begin, start) >= 0:
            return Region(len(text), len(text), "the reasoning does not end")
    if text.startswith("<|message|>", start):  # of <|channel|>final<|message|>
        start += len("<|message|>")
    start = max(start, FIRST_MARK.match(text, start).end())  # type: ignore[union-attr]
    end = found.start() if (found := END.search(text, start)) else len(text)
    return Region(start, end)


def next_questions(text: str, region: Region) -> list[int]:
    """Where in the region a further question begins, in order."""
    return [match.start() for match in NEXT_QUESTION.finditer(text, region.start, region.end)]
