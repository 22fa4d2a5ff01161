import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.measures.table import cut
from reachlab.reporting.texts import Excerpt, asked, spoken, written
from reachlab.types import Chat


def test_long_texts_say_what_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 3) == "abc … (3 more characters)"


@given(st.text(max_size=60), st.integers(1, 40), st.integers(1, 40))
def test_an_excerpt_keeps_both_ends(text: str, kept: int, longest: int) -> None:
    longest = min(longest, kept)
    shown = Excerpt.of(text, kept).cut(longest)
    if len(text) <= longest:
        assert shown == text
        return
    head, _, rest = shown.partition("\n… (")
    missing, _, tail = rest.partition(" characters left out) …\n")
    assert int(missing) == len(text) - longest
    if "…" not in text:
        assert (head, tail) == (text[: len(head)], text[len(text) - len(tail) :])
        assert len(head) + len(tail) == longest


@pytest.mark.parametrize(("answer", "text"), [("72", "72"), (72, "72"), ({"a": [1]}, '{"a": [1]}'), ("é", "é")])
def test_answers_as_text(answer: object, text: str) -> None:
    assert written(answer) == text


def test_prompts_of_every_shape() -> None:
    chat = Chat(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 +\n 2?"}))
    assert spoken("2 + 2?") == (("", "2 + 2?"),)
    assert spoken(chat) == (("system", "Be brief."), ("user", "2 +\n 2?"))
    assert asked([chat], 100) == ["2 + 2?"]
    assert asked([Chat(())], 100) == [""]
    assert asked([], 100) == []
    parts = Chat(({"role": "user", "content": [{"type": "text", "text": "hi"}]},))  # type: ignore[dict-item]
    assert spoken(parts)[0][1] == '[{"type": "text", "text": "hi"}]'


def test_a_list_leaves_out_what_all_prompts_begin_with() -> None:
    shots = "Q: There are 15 trees in the grove. A: 6. Q: How many "
    assert asked([f"{shots}apples?", f"{shots}pears?"], 100) == ["… apples?", "… pears?"]
    assert asked([f"{shots}apples?"], 100) == [f"{shots}apples?"]
    assert asked(["Q: one?", "Q: two?"], 100) == ["Q: one?", "Q: two?"]
    assert asked([f"{shots}apples and pears?", f"{shots}apples?"], 6)[1] == "… apples"


@given(st.lists(st.text(" abQ:", max_size=90), max_size=4), st.integers(1, 100))
def test_lines_of_a_list_are_ends_of_what_was_asked(prompts: list[str], longest: int) -> None:
    for text, line in zip(prompts, asked(prompts, longest), strict=True):
        assert line.removeprefix("… ") in " ".join(text.split())
        assert len(line) <= longest + 2
