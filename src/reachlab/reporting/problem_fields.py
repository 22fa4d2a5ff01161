"""Which fields of the problems' metadata part them into groups a reader can choose from: level, subject, kind.

A field qualifies with a short value (text, number, yes or no) at most problems and few different values.
"""

from collections.abc import Sequence
from typing import Any

from reachlab.tasks.groups import NAMES
from reachlab.types import Problem

MOST = 4
"""Fields, the well-known names first."""
VALUES = 40
"""Different values of a field."""
LONGEST = 60
"""Characters of a value."""


def group_fields(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Fields as `name`, `values`, and `of`, each problem's place among the values, -1 where it has none."""
    names = {name for problem in problems for name in problem.metadata}
    found = []
    for name in sorted(names, key=lambda n: (NAMES.index(n) if n in NAMES else len(NAMES), n)):
        texts = [_text(problem.metadata.get(name)) for problem in problems]
        values = sorted({text for text in texts if text}, key=_order)
        known = sum(text is not None for text in texts)
        few = 2 <= len(values) <= (VALUES if name in NAMES else min(VALUES, len(problems) // 2))
        if few and 2 * known > len(problems):
            place = {value: at for at, value in enumerate(values)}
            found.append({"name": name, "values": values, "of": [place.get(text or "", -1) for text in texts]})
    return found[:MOST]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (str, int, float)):
        return None
    text = " ".join(str(value).split())
    return text if 0 < len(text) <= LONGEST else None


def _order(value: str) -> tuple[float, str]:
    """Numbers by size, before words."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value
