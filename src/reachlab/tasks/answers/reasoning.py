"""Which part of a text answers: what comes after the reasoning, and before the next question.

    text = reasoning + answer + what a base model goes on with

Reasoning ends at its last mark of an end (``</think>``, ``<|channel|>final``). One that is begun and never ended has no
answer after it. A base model that has answered often poses itself the next question: that, and all after it, answers
something else. So does what follows a mark of the end of a text. The marks are in `sandbox/marks.py`.
"""

import re
from dataclasses import dataclass

from reachlab.tasks.sandbox.marks import ENDS, MESSAGE_ENDS, REASONING, TURNS

__all__ = ["REASONING", "Marks", "Region", "after_reasoning", "next_questions"]

Marks = tuple[tuple[str, str], ...]

END = re.compile("|".join(map(re.escape, (*ENDS, *TURNS, *MESSAGE_ENDS))))
"""What no answer goes on after."""

NEXT_QUESTION = re.compile(
    r"\n[ \t>*_#-]*"
    r"(?:(?:next |new |another )?(?:question|problem|exercise|(?-i:Q))(?:[ \t]*(?:no\.?[ \t]*|#)?\d+)?[ \t*_]*[:.)]"
    r"|(?:question|problem|exercise)[ \t]*#?\d+[ \t*_]*(?:\n|[:.)])"
    r"|\#{1,4}[ \t]*(?:question|problem|instruction|exercise)\b"
    r"|(?:human|user|问题|题目|問題)[ \t]*[:：]|\[question\]|example[ \t]*\d+[ \t]*[:.]|instruction[ \t*]*[:：\n])",
    re.IGNORECASE,
)
"""Where a text begins to ask: a heading of a question, a user's turn."""
INLINE = re.compile(r"(?<=[\d.!)}*])[ ]+(?:Question|Problem|Q)(?:[ ]?\d+)?:")
"""The same on a line that has answered."""
REQUEST = re.compile(
    r"\n[^\n]{0,300}\b(?:put|write|give) your final answer (?:within|in|inside) \\boxed", re.IGNORECASE
)
"""The template's own request once more."""

HEADING = re.compile(r"\n[ \t>*_#-]*+(?=[QqPpEeIiHhUuNnAa\[问题題])")
"""A line that begins with a letter that a heading of a question may begin with: quick to find."""
MOST_QUESTIONS = 30
FIRST_MARK = re.compile(r"\s*(?:(?:assistant|<\|(?:im_start|start_header_id)\|>\w*(?:<\|end_header_id\|>)?)\s*)?")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a text, from `start` to `end`; `reason` says why there is none."""

    start: int
    end: int
    reason: str = ""


def after_reasoning(text: str, marks: Marks = REASONING) -> Region:
    """What comes after the last end of reasoning; with a `reason`, and empty, where the reasoning never ends.

    A mark of an end without one of a beginning says that every text begins with reasoning.
    """
    if marks is REASONING and not (
        "<" in text or "[INST]" in text or "THINK]" in text or "think▷" in text or text.startswith("analysis")
    ):
        return Region(FIRST_MARK.match(text).end(), len(text))  # type: ignore[union-attr]
    start = max((text.rfind(close) + len(close) for _, close in marks if close in text), default=0)
    for begin, close in marks:
        if (begin in text and text.find(begin, start) >= 0) if begin else close not in text:
            return Region(len(text), len(text), "the reasoning does not end")
    if text.startswith("analysis") and "assistantfinal" in text:  # Harmony, its marks left out in decoding
        start = max(start, text.rindex("assistantfinal") + len("assistantfinal"))
    if text.startswith("<|message|>", start):  # of <|channel|>final<|message|>
        start += len("<|message|>")
    start = max(start, FIRST_MARK.match(text, start).end())  # type: ignore[union-attr]
    found = END.search(text, start) if "<" in text or "[INST]" in text else None
    end = found.start() if found else len(text)
    return Region(start, end)


def next_questions(text: str, region: Region) -> list[int]:
    """Where in the region a further question begins, in order."""
    lines = (match.start() for match in HEADING.finditer(text, region.start, region.end))
    found = [line for line in lines if NEXT_QUESTION.match(text, line, region.end)]
    if "Question" in text or "Problem" in text or " Q" in text:
        found += [match.start() for match in INLINE.finditer(text, region.start, region.end)]
    if "final answer" in text:
        found += [match.start() for match in REQUEST.finditer(text, region.start, region.end)]
    return sorted(found)[:MOST_QUESTIONS]
