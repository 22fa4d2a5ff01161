"""Rows of several models, or of several steps of a training run: each is another policy, and a run of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, ClassVar, Self

from reachlab.imports.formats.base import Placed
from reachlab.imports.paths import lookup

LOOKED_AT = 64
"""Where none of the first rows names a policy, no row does."""


@dataclass(frozen=True)
class Apart:
    """A format whose rows may say which model or step they are of."""

    apart_by: ClassVar[tuple[str, ...]] = ("step",)
    """Paths of the fields that say it."""
    varies: tuple[str, ...] = ()
    """Those that are not the same in all rows."""

    def look_through(self, rows: Iterator[Placed]) -> Self:
        """Which of the fields vary."""
        first = list(islice(rows, LOOKED_AT))
        names = [name for name in self.apart_by if any(_named(row, name) is not None for _, row in first)]
        settings: dict[str, Any] = {}
        varies: set[str] = set()
        for _, row in chain(first, rows if names else ()):
            for name in names if isinstance(row, Mapping) else ():
                # What a row does not say, such as a failed request, makes no other policy.
                if (value := _named(row, name)) is not None and settings.setdefault(name, value) != value:
                    varies.add(name)
            if len(varies) == len(names):
                break
        return replace(self, varies=tuple(name for name in names if name in varies))

    def run_of(self, row: Mapping[str, Any]) -> str:
        """The name of a row's run; nothing where all are of one."""
        return "-".join(_word(name, _named(row, name)) for name in self.varies)

    def taken(self) -> str:
        """Whether there are several."""
        return f"a run for each {' and '.join(self.varies)}: each is another policy" if self.varies else ""


def _named(row: Any, name: str) -> str | int | float | None:
    value = lookup(row, name)
    return value if isinstance(value, (str, int, float)) else None


def _word(name: str, value: Any) -> str:
    if value is None:
        return f"no-{name.rpartition('.')[2]}"
    if name.endswith("step") and (isinstance(value, int) or str(value).isdecimal()):
        return f"step-{int(value):06d}"
    return str(value)
