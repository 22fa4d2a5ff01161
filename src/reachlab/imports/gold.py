"""Whether what stands where a log has its right answer is one: a number, a text, a worked solution that ends in one.

Not one are: code and tests, which some tools log there for programs; an object; several answers of which each is right
(aliases), since a problem has one. Such problems have no gold answer, and are not judged by comparing.
"""

import json
import re
from typing import Any

from reachlab.imports.printed import looks_printed
from reachlab.imports.record import present

CODE = re.compile(r"^\s*(?:def \w+\(|class \w+[(:]|import \w|from \w+ import |assert[ (]|```)", re.MULTILINE)


def one_answer(value: Any) -> Any:
    """The right answer, a text or a number; None where there is none, or none that is the only one."""
    if not present(value) or isinstance(value, (bool, dict)):
        return None
    if isinstance(value, (list, tuple)):
        return one_answer(value[0]) if len(value) == 1 else None
    if not isinstance(value, str):
        return value if isinstance(value, (int, float)) else None
    if looks_printed(value):
        return one_answer(_printed(value))
    if not value.strip() or CODE.search(value) or _is_object(value):
        return None
    return value


def is_worked(value: Any) -> bool:
    """Whether a right answer is a solution with the answer in a box."""
    return isinstance(value, str) and "\\boxed" in value


def _printed(text: str) -> Any:
    """What is in a printed list that one can read; several, of which none is the only one, where one cannot."""
    try:
        return json.loads(text.strip().replace("'", '"'))
    except ValueError:
        return [None, None]


def _is_object(text: str) -> bool:
    """Whether a text is JSON of something larger, such as the inputs and outputs of tests."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) or (isinstance(document, list) and any(isinstance(i, dict) for i in document))
