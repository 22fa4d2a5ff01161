"""What a format is: how its rows are told, and what a row says.

A new one is a file here, a line in `formats/__init__.py`, and a test.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reachlab.choices import a_class
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.record import Record, checked_record

Placed = tuple[str, Any]
"""A row, and where it stands."""


@dataclass(frozen=True)
class Format(ABC):
    """A tool's way of writing samples down. Made for one import, whose `config` it may look at."""

    config: ImportConfig

    name: ClassVar[str]
    """As in --format and docs/formats.md."""
    tool: ClassVar[str]
    """Who writes it."""
    row: ClassVar[tuple[str, str, str, str]]
    """In docs/formats.md: who writes it, what is a sample, the right answer, the label."""
    narrow: ClassVar[bool] = True
    """Whether only its own rows are recognised, not any object."""
    filters: ClassVar[bool] = False
    """Whether --filter chooses among its scores."""
    archives: ClassVar[bool] = False
    """Whether an archive (`inspect_archive.py`) is its."""
    positional: ClassVar[bool] = False
    """Whether the n-th row answers the n-th problem of a task."""

    def unfold(self, document: Any, place: str) -> Iterator[Placed] | None:
        """The rows that a JSON document holds: a list, one under a name, rows by name, or the document itself.

        None where it is none of this format.
        """
        if objects(document):
            return numbered(document, place)
        if not isinstance(document, dict) or not document:
            return None
        if self.recognises(document) and self.narrow:
            return numbered([document], place)
        lists = [name for name, value in document.items() if objects(value)]
        if len(lists) == 1:
            return numbered(document[lists[0]], f"{place}: {lists[0]}")
        if all(isinstance(value, dict) for value in document.values()):
            if any("id" in value for value in document.values()):
                return numbered(document.values(), place)
            return named(document, place, "id")
        return numbered([document], place)

    @abstractmethod
    def recognises(self, row: Any) -> bool:
        """Whether a row is of this format."""

    def records(self, row: Any, place: str) -> list[Record]:
        """What a row says: one record, or one for each run in it.

        Raises:
            ReachlabError: it lacks what it should have, or has it otherwise; the message begins with its place.
        """
        try:
            return [checked_record(record) for record in self.read(row, place)]
        except KeyError as error:
            raise ReachlabError(f"{place}: no field {error} in what should be a row of {self.tool}") from error
        except (TypeError, AttributeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            why = f"not as {self.tool} writes it ({reason})" if self.narrow else reason
            raise ReachlabError(f"{place}: {why}") from error

    @abstractmethod
    def read(self, row: Any, place: str) -> Iterable[Record]:
        """As `records`, of a row that may be malformed: what then goes wrong `records` puts into words."""

    def look_through(self, rows: Iterator[Placed]) -> "Format":
        """The format for these rows, where something has to be known of all of them; `rows` need not be used up."""
        return self

    def settings(self) -> dict[str, Any]:
        """What the format has chosen; part of a run's identity."""
        return {}

    def exported(self) -> Mapping[str, Any] | None:
        """Of rows that a run of ours was exported to, what that says of itself: its kind, config, facts, columns."""
        return None

    def taken(self) -> str:
        """What of a row was taken for what, in a few words."""
        return ""


def numbered(rows: Iterable[Any], place: str) -> Iterator[Placed]:
    """Rows of a document with their places."""
    for number, row in enumerate(rows, 1):
        yield f"{place}: row {number}", row


def named(rows: dict[str, Any], place: str, key: str) -> Iterator[Placed]:
    """Rows by name with their places; the name goes into the row as `key`."""
    for name, row in rows.items():
        yield f"{place}: {name}", {key: name, **row}


def objects(value: Any) -> bool:
    """Whether a value is a list of objects that is not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def adopted(name: str, found: Any) -> type[Format]:
    """A format as others give it.

    Raises:
        ReachlabError: it is none.
    """
    return a_class(name, found, Format, of="log format", named=True)  # type: ignore[type-abstract]
