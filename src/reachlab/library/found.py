"""What a function returns that has no class of its own: what was found, as rows, as JSON, and for a notebook."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reachlab.boundary.curve import plain
from reachlab.library.html import paragraphs, table

if TYPE_CHECKING:
    import pandas as pd

T_co = TypeVar("T_co", covariant=True)


class Found(Generic[T_co]):
    """What was found. ``found`` is the room's own object; ``to_dict`` is what the command prints with ``--json``."""

    def __init__(
        self,
        found: T_co,
        document: Any,
        rows: Sequence[Mapping[str, Any]],
        lines: Sequence[str] = (),
    ):
        self.found = found
        """What the room that found it returns, with every number."""
        self._document, self._rows, self._lines = plain(document), [dict(row) for row in rows], tuple(lines)

    def to_frame(self) -> "pd.DataFrame":
        """A tidy frame."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def to_dict(self) -> Any:
        """Plain lists, strings and numbers for JSON: what the command prints with ``--json``."""
        return self._document

    def __repr__(self) -> str:
        rows = self.to_frame().to_string(index=False) if self._rows else ""
        return "\n".join(filter(None, [*self._lines, rows]))

    def _repr_html_(self) -> str:
        return paragraphs(self._lines) + table(self._rows)
