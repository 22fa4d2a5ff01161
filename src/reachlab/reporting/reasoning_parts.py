"""An answer's reasoning and the answer behind it, so that the page can fold the one and show the other.

Where reasoning ends is what the verifiers take for its end (`tasks/answers/reasoning.py`). A text without such marks
has no reasoning that could be told from its answer.
"""

import re

from reachlab.tasks.answers.reasoning import REASONING, after_reasoning

CLOSED = re.compile(r"(?:<\|end\|>)?(?:<\|start\|>(?:assistant)?)?\s*\Z")
"""What Harmony writes between the end of its analysis and the mark of its answer."""
BARE = ("analysis", "assistantfinal")
"""Harmony's marks where decoding has left out their signs."""


def reasoning_in(text: str) -> tuple[int, int, int] | None:
    """Where reasoning begins and ends within its marks, and where the answer behind it begins; None: there is none.

    The answer begins where the text ends if the reasoning never does.
    """
    region = after_reasoning(text)
    if region.reason:
        return _begin(text), len(text), len(text)
    if region.start == 0:
        return None
    marks = [*(close for _, close in REASONING), *([BARE[1]] if text.startswith(BARE[0]) else [])]
    end = max(text.rfind(close, 0, region.start) for close in marks)
    if end < 0:
        return None
    start = _begin(text)
    closed = CLOSED.search(text, max(start, end - 40), max(start, end))
    return start, max(start, closed.start() if closed else end), region.start


def _begin(text: str) -> int:
    """Behind the mark that the text begins with, 0 where it begins with none: what stands before a mark is shown."""
    blank = len(text) - len(text.lstrip())
    for begin in (*(begin for begin, _ in REASONING), *([BARE[0]] if BARE[1] in text else [])):
        if begin and text.startswith(begin, blank):
            after = blank + len(begin)
            return after + len("<|message|>") if text.startswith("<|message|>", after) else after
    return 0
