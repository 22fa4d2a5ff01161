"""Rollouts of a training run: those of another step are another policy's, and never of the same run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from reachlab.imports.formats.base import Placed


@dataclass(frozen=True)
class Steps:
    """A format whose rows say at which step they were drawn."""

    several: bool = False

    def look_through(self, rows: Iterator[Placed]) -> Self:
        """Whether there is more than one step."""
        first: Any = None
        for number, (_, row) in enumerate(rows):
            step = row.get("step") if isinstance(row, Mapping) else first
            first = step if number == 0 else first
            if step != first:
                return replace(self, several=True)
        return self

    def run_of(self, row: Mapping[str, Any]) -> str:
        """The name of a row's run; nothing where all are of one step."""
        return f"step-{int(row['step']):06d}" if self.several and row.get("step") is not None else ""

    def taken(self) -> str:
        """Whether there are several."""
        return "a run a step: each is another policy" if self.several else ""
