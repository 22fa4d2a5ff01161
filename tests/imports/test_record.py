import pytest

from reachlab.errors import ReachlabError
from reachlab.imports.record import (
    LoggedAnswer,
    Record,
    answer_of,
    checked_record,
    content_of,
    finish_of,
    first_of,
    id_of,
    is_chat,
    logged,
    question_of,
)

USER, BOT = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}


def test_answers_from_texts_lists_objects_and_chats() -> None:
    assert logged("a") == (LoggedAnswer(text="a"),)
    assert logged(["a", "", None]) == (LoggedAnswer(text="a"), LoggedAnswer(text=""), LoggedAnswer(text=None))
    assert logged([]) == ()
    assert logged([{"text": "a", "score": 1}, {"message": {"content": "b"}}]) == (
        LoggedAnswer(text="a", label=1),
        LoggedAnswer(text="b"),
    )
    assert logged([USER, BOT]) == (LoggedAnswer(text="4"),)  # one chat
    assert logged([BOT, BOT]) == (LoggedAnswer(text="4"), LoggedAnswer(text="4"))  # two answers
    assert logged([[USER, BOT], [USER]]) == (LoggedAnswer(text="4"), LoggedAnswer(text=None))
    assert logged(float("nan")) == (LoggedAnswer(text=None),)


def test_labels_and_ends_match_the_answers() -> None:
    assert logged(["a", "b"], [True, False], "f:1", ["length", "stop"]) == (
        LoggedAnswer(text="a", label=True, finish="length"),
        LoggedAnswer(text="b", label=False),
    )
    assert logged("a", 1, "f:1", "MAX_TOKENS") == (LoggedAnswer(text="a", label=1, finish="length"),)
    for labels in (True, [True], [True] * 3):
        with pytest.raises(ReachlabError, match=r"f:1: \d labels for 2 answers"):
            logged(["a", "b"], labels, "f:1")


@pytest.mark.parametrize("worse", [3, True, [3], {"x": "a"}, {"text": 3}, [["a"]], [[]], {}])
def test_what_is_no_text_is_refused(worse: object) -> None:
    with pytest.raises(ReachlabError, match="f:1: text wanted, found"):
        logged([worse], None, "f:1")


def test_chats() -> None:
    assert is_chat([USER])
    assert is_chat([{"from": "human", "value": "x"}])
    assert not any(map(is_chat, ([], None, "x", ["x"], [{"content": "x"}], {"role": "user"})))
    assert question_of([USER, BOT, {"role": "user", "content": "3+3?"}]) == "3+3?"
    assert question_of("x") == "x"
    assert question_of(3) is question_of([BOT]) is None
    assert answer_of([USER, BOT]) == "4"
    assert answer_of([BOT, USER]) is None
    assert answer_of([{"role": "assistant", "content": None, "refusal": "No."}]) == "No."


def test_the_text_of_a_content() -> None:
    parts = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "a"},
        {"type": "output_text", "text": "b"},
    ]
    assert content_of(parts) == "ab"
    assert content_of([]) is content_of([{"type": "image"}]) is content_of(3) is content_of(None) is None


def test_how_answers_end() -> None:
    assert {finish_of(r) for r in ("length", "max_tokens", "MAX_TOKENS", "model_length")} == {"length"}
    assert {finish_of(r) for r in ("stop", "eos", None, 3, "end_turn")} == {"stop"}


def test_ids_and_cells() -> None:
    assert [id_of(v) for v in ("a", 3, 3.0, 3.5, None, float("nan"))] == ["a", "3", "3", "3.5", None, None]
    for bad in (True, [1], {"a": 1}):
        with pytest.raises(TypeError, match="an id"):
            id_of(bad)
    assert first_of({"a": None, "b": float("nan"), "c": 0}, ("a", "b", "c")) == "c"
    assert first_of({}, ("a",)) is None


def test_a_record_holds_texts() -> None:
    good = Record(answers=(LoggedAnswer(text="a"),), question="q", gold=4, index=0)
    assert checked_record(good) is good
    for bad in (
        Record(answers=(LoggedAnswer(text=3),)),  # type: ignore[arg-type]
        Record(answers=(), question=3),  # type: ignore[arg-type]
        Record(answers=(), gold={"a": 1}),
        Record(answers=(), gold=True),
    ):
        with pytest.raises(TypeError, match="text wanted, found"):
            checked_record(bad)
