import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.imports.printed import looks_printed, printed_list


def test_what_looks_like_a_list_of_texts() -> None:
    assert all(map(looks_printed, ("[]", "['a']", ' ["a", "b"] ', "['a' 'b']", "['a',\n 'b',]", "[r'a']")))
    assert not any(
        map(looks_printed, ("", "a", "[1, 2]", "[1, 2] and ['a']", "['a'] is it", "It is ['a']", "[x]", "(1, 2]"))
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_printed_lists_come_back(texts: list[str]) -> None:
    assert printed_list(repr(texts), "f:1") == texts


def test_json_and_python() -> None:
    assert printed_list('["a", "b\\n"]', "f:1") == ["a", "b\n"]
    assert printed_list("['a', \"it's\"]", "f:1") == ["a", "it's"]
    assert printed_list(" [ ] ", "f:1") == []


@pytest.mark.parametrize("text", ["['a' 'b']", "['a'\n 'b']", "['a', 1]", "['a', 'b'", "['a' + 'b']", "['a', 'b' 'c']"])
def test_what_does_not_say_where_a_text_ends_is_refused(text: str) -> None:
    with pytest.raises(ReachlabError, match="f:1: a printed list that does not say where a text ends"):
        printed_list(text, "f:1")
