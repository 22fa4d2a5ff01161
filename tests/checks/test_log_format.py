"""Broken formats are found, each by what it breaks."""

from collections.abc import Iterable
from typing import Any

import pytest

from reachlab.checks.contract import ContractError
from reachlab.checks.log_format import check_log_format
from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Format
from reachlab.imports.record import LoggedAnswer, Record

GOOD = [{"question": "2+2?", "said": "4", "id": 7}]


class Whole(Format):
    name, tool, row = "whole", "a tool", ("a tool", "`said`", "", "")

    def recognises(self, row: Any) -> bool:
        return isinstance(row, dict) and "said" in row

    def read(self, row: Any, place: str) -> Iterable[Record]:
        text = row["said"]
        if not isinstance(text, str):
            raise ReachlabError(f"{place}: field 'said': text wanted")
        yield Record(answers=(LoggedAnswer(text=text),), question=str(row["question"]), id=str(row.get("id")))


class Nameless(Whole):
    row = ()  # type: ignore[assignment]


class Blind(Whole):
    def recognises(self, row: Any) -> bool:
        return False


class Fragile(Whole):
    def recognises(self, row: Any) -> bool:
        return bool(row["said"])


class Empty(Whole):
    def read(self, row: Any, place: str) -> Iterable[Record]:
        return []


class Placeless(Whole):
    def read(self, row: Any, place: str) -> Iterable[Record]:
        if not isinstance(row["said"], str):
            raise ReachlabError("text wanted")
        return super().read(row, place)


class Wordy(Whole):
    def read(self, row: Any, place: str) -> Iterable[Record]:
        if not isinstance(row["said"], str):
            raise ReachlabError(f"{place}: text\nwanted")
        return super().read(row, place)


class Loud(Whole):
    def read(self, row: Any, place: str) -> Iterable[Record]:
        if not isinstance(row["said"], str):
            raise RuntimeError("text wanted")
        return super().read(row, place)


def test_a_whole_one_passes() -> None:
    check_log_format(Whole, GOOD)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Nameless, "has no row"),
        (Blind, "does not recognise"),
        (Fragile, "raises KeyError"),
        (Empty, "finds no answer"),
        (Placeless, "says 'text wanted'"),
        (Wordy, "one line that begins with its place"),
        (Loud, "RuntimeError"),
    ],
)
def test_what_is_broken_is_named(kind: type[Format], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        check_log_format(kind, GOOD)


def test_no_rows_show_nothing() -> None:
    with pytest.raises(ContractError, match="was given no row"):
        check_log_format(Whole, [])
