"""One answer, written in many ways."""

from typing import Any

import pytest

from reachlab.pairing import golds
from reachlab.pairing.golds import gold_key, other_golds
from reachlab.pairing.questions import Asks


def asks(answer: Any, options: tuple[str, ...] = ()) -> Asks:
    return Asks(id="p", question="?", answer=answer, options=options, pictures=(), hashed=True, blind=False)


def held(first: Any, second: Any, tasks: tuple[str, str] = ("math", "math")) -> str:
    other, unknown = other_golds(tasks, {"p": (asks(first), asks(second))})
    return "other" if other else "unknown" if unknown else "same"


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("18", "#### 18", "same"),
        ("18", 18, "same"),
        ("18", 18.0, "same"),
        ("18", "She sells 9.\nSo \\boxed{18}.", "same"),
        ("18", "A: 18", "same"),
        ("1,000", "1000", "same"),
        ("1/2", "\\frac12", "same"),
        ("x+1", "1+x", "same"),
        ("Paris", "paris", "same"),
        ("18", "17", "other"),
        ("18", "#### 17", "other"),
        ("A", "B", "other"),
        ("x+1", "x+2", "other"),
        ("Paris", "Rome", "other"),
        (None, "18", "unknown"),
        (None, None, "unknown"),
        ({"tests": ["a"]}, {"tests": ["a"]}, "same"),
        ({"tests": ["a"]}, {"tests": ["a", "b"]}, "other"),
        ({"tests": ["a"]}, "18", "unknown"),
    ],
)
def test_held_against_each_other(first: Any, second: Any, what: str) -> None:
    assert held(first, second) == held(second, first) == what


def test_an_entry_of_reasoning_gym_holds_its_answer() -> None:
    first, second = (repr({"question": "1+1?", "answer": "2", "metadata": {"index": i}}) for i in (3, 9))
    assert held(first, second, ("gym:chain_sum", "gym:chain_sum")) == "same"
    assert held(first, "2", ("gym:chain_sum", "math")) == "same"
    assert held(first, "3", ("gym:chain_sum", "math")) == "other"
    assert held(repr({"question": "?", "answer": None}), "3", ("gym:chain_sum", "math")) == "unknown"


def test_an_option_is_its_letter() -> None:
    pair = {"p": (asks("B", ("red", "blue")), asks("blue")), "q": (asks("B", ("red", "blue")), asks("red"))}
    assert other_golds(("math", "math"), pair) == (["q"], [])


def test_algebra_is_asked_until_some_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golds, "JUDGED", 2)
    same = {f"s{i}": (asks(f"x+{i}"), asks(f"{i}+x")) for i in range(2, 5)}
    assert other_golds(("math", "math"), same) == ([], [])
    first = {"a": (asks("x+1"), asks("x+2")), "b": (asks("y+1"), asks("1+y")), **same}
    assert other_golds(("math", "math"), first) == (["a", *same], [])


def test_one_spelling() -> None:
    assert gold_key("math", asks("#### 1,000")) == gold_key("math", asks("1000")) == "1000"
    assert gold_key("code", asks({"b": 1, "a": 2})) == '{"a": 2, "b": 1}'
    assert gold_key("gym:x", asks(repr({"answer": None}))) == ""
