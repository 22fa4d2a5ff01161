"""Which part of an answer is its program. Runs inside the walls: nothing but the standard library."""

import ast
import re

FENCE = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
AFTER = re.compile(r"\n(?=(?:class |def |@|if __name__|print\(|#|assert |import |from |```|</))")
"""What comes after a completed function: a base model goes on with the next."""


def program_of(text: str, begins: str = "", entry: str = "") -> str:
    """The program in an answer.

    The last fenced block that is not empty: models think first and mend later. Without one, where the prompt is the
    beginning of a program (HumanEval), the text completes it, up to where something new begins; else the text itself.
    """
    blocks = [block for block in FENCE.findall(text) if block.strip()]
    if blocks:
        block = blocks[-1]
        # Helpers and imports of the prompt stay at hand; a complete answer defines its function anew.
        return f"{begins}\n    pass\n\n{block}" if begins and _parses(f"{begins}\n    pass\n\n{block}") else block
    if not begins:
        return text
    if re.search(rf"^(?:def|class) +{re.escape(entry)}\b", text, re.MULTILINE):
        return f"{begins}\n    pass\n\n{text}"  # the whole function again, without a fence
    end = AFTER.search(text)
    return begins + (text[: end.start()] if end else text)


def _parses(program: str) -> bool:
    try:
        ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
