import math
from typing import Any

import pytest

from reachlab.tasks.countdown import Countdown
from reachlab.tasks.saying import ANSWER_LENGTH, Question, ask, clean, failed, read, words
from reachlab.types import Problem, StepCheck, Verdict

PROBLEM = Problem(id="1", prompt="?", answer="1")


class Odd(str):
    """A text that lies about itself."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> str:
        raise ValueError("no")

    def __str__(self) -> str:
        return self


class Says(Countdown):
    """Says what it was given."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.said = said

    def verify(self, problem: Problem, text: str) -> Verdict:
        return self.said  # type: ignore[no-any-return]

    check_steps = final_answer = verify  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("question", "said", "value"),
    [
        ("verify", Verdict.correct(), Verdict.correct()),
        ("verify", Verdict.wrong(Odd("a\x00\ud800\U0001f600"), 0.5), Verdict.wrong("a\ufffd\\ud800\U0001f600", 0.5)),
        ("verify", Verdict(Odd("wrong"), True, None), Verdict("wrong", 1.0, "None")),  # type: ignore[arg-type]
        ("verify", Verdict.unscored("x" * 1000), Verdict.unscored("x" * 300)),
        ("check_steps", StepCheck(1, 2), StepCheck(1, 2)),
        ("check_steps", StepCheck(3, 2), None),
        ("check_steps", StepCheck(-1, 2), None),
        ("check_steps", None, None),
        ("final_answer", None, None),
        ("final_answer", "", ""),
        ("final_answer", 7, "7"),
        ("final_answer", Odd("x" * ANSWER_LENGTH), "x" * ANSWER_LENGTH),
    ],
)
def test_what_is_asked_can_be_read(question: Question, said: Any, value: Any) -> None:
    found = read(question, ask(Says(said), question, PROBLEM, ""))
    assert found == value
    assert not isinstance(found, Verdict) or type(found.reason) is str


@pytest.mark.parametrize("said", [None, "correct", Verdict("fine"), Verdict.wrong(score=math.inf)])  # type: ignore[arg-type]
def test_what_is_no_verdict_is_an_error(said: Any) -> None:
    with pytest.raises((ValueError, AttributeError)):
        ask(Says(said), "verify", PROBLEM, "")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("verify", []),
        ("verify", ["fine", 1.0, ""]),
        ("verify", ["correct", "1", ""]),
        ("verify", ["correct", 1.0, None]),
        ("verify", {"correct": 1.0}),
        ("check_steps", [3, 2]),
        ("check_steps", [1, 1e9]),
        ("check_steps", [1, 2**40]),
        ("final_answer", [7]),
        ("final_answer", "seven"),
        ("final_answer", None),
    ],
)
def test_what_ask_never_gives_is_not_read(question: Question, said: Any) -> None:
    with pytest.raises(ValueError, match=question):
        read(question, said)


def test_what_is_read_is_clean_whoever_sent_it() -> None:
    assert read("verify", ["wrong", 0.0, "\ud800" * 999]) == Verdict.wrong("\\ud800" * 50)
    assert read("final_answer", ["\x00" * 9999]) == "\ufffd" * ANSWER_LENGTH
    assert read("verify", failed("verify", "late")) == Verdict.unscored("late")
    assert read("final_answer", failed("final_answer", "late")) is None


def test_errors_in_words() -> None:
    assert words(ValueError("a\nb")) == "ValueError: a\nb"
    assert words(KeyError(Odd("x"))) == "KeyError: 'x'"
    assert words(type("E" * 1000, (Exception,), {})("why")) == "E" * 100 + ": why"
    assert clean("abc\ud800", 3) == "abc"
