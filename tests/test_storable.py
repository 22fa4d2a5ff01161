"""Text on its way into files and out again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.storable import encoded, parse_json, storable

ANY = st.text(st.characters(codec=None, categories=None))


def test_halves_of_pairs_are_escaped_and_nothing_else_changes() -> None:
    assert storable("\ud83d x \\ud83d größer \0") == "\\ud83d x \\ud83d größer \0"
    assert storable({"\udfff": ["a", ("\ud800",)], "b": 5}) == {"\\udfff": ["a", ["\\ud800"]], "b": 5}


@given(ANY)
def test_all_text_becomes_utf_8(text: str) -> None:
    found = storable(text)
    assert found.encode().decode() == found
    assert storable(found) == found
    assert found == text or any("\ud800" <= c <= "\udfff" for c in text)


@given(st.text(st.characters(codec=None, categories=["L", "Cs"]).filter(lambda c: not "\udc00" <= c <= "\udfff")))
def test_json_gives_back_what_was_written(text: str) -> None:
    assert json.loads(encoded(json.dumps([text], ensure_ascii=False))) == [text]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a": \n', "f: line 2: not JSON"),
        (b"[" * 200_000, "f: not JSON that can be read: it is nested too deep"),
        (b"1" * 5000, r"f: not JSON that can be read \(Exceeds"),
        (b'"\xff"', "f: not UTF-8 at byte 1"),
        (b"", "f: line 1: not JSON"),
    ],
)
def test_json_that_is_none(data: bytes, says: str) -> None:
    with pytest.raises(ReachlabError, match=says) as error:
        parse_json(data, "f")
    assert "\n" not in str(error.value)
