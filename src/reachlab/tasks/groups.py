"""Fields of a benchmark's rows that part its problems into groups: MATH's level and subject, OlympiadBench's field.

They are kept in a problem's metadata under their own names, for `--cluster level` and for the page's filter. They are
no part of what is asked, so a run's identity does not know them.
"""

from collections.abc import Mapping
from typing import Any

NAMES = (
    *("cluster", "level", "subject", "category", "topic", "type", "kind", "domain", "difficulty", "source"),
    *("subfield", "field", "contest", "year"),
)
LONGEST = 200
"""Characters of a value; longer ones tell a problem and no group."""


def groups_of(row: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The row's fields of such a name that hold a short text or a number."""
    return {
        name: value
        for name in NAMES
        if isinstance(value := row.get(name), (str, int, float)) and 0 < len(str(value).strip()) <= LONGEST
    }
