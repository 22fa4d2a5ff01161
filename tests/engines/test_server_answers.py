"""What a server says an answer is, right and wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.engines.served import completion

from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer
from reachlab.engines.server_answers import CutError, read_answer
from reachlab.engines.wire import UnusableError

DECODING = Decoding(max_tokens=8)
NAN, INF = float("nan"), float("inf")


def read(found: Any, *, chat: bool = False) -> EngineAnswer:
    """As it comes from the wire: through JSON."""
    return read_answer(json.loads(json.dumps(found)), DECODING, chat=chat)


def used(tokens: Any, **changes: Any) -> dict[str, Any]:
    return completion("x", **changes) | {"usage": {"completion_tokens": tokens}}


def scored(*values: Any) -> dict[str, Any]:
    return completion("x", logprobs={"token_logprobs": list(values)})


def says(content: Any, **message: Any) -> dict[str, Any]:
    return completion("", chat=True, message={"role": "assistant", "content": content, **message})


def test_what_is_right() -> None:
    assert read(completion("x")) == EngineAnswer("x", 3, "stop", -3.0)
    assert read(completion("x", chat=True), chat=True) == EngineAnswer("x", 3, "stop", -3.0)
    assert read(completion("x", logprobs=None)) == EngineAnswer("x", 3, "stop", None)
    # A server of either endpoint may write log-probabilities as the other does, or round them up.
    listed = [{"logprob": -0.5}, {"logprob": -0.25}, {"logprob": 0}]
    assert read(completion("x", logprobs={"content": listed})).logprob == -0.75
    assert read(scored(1e-7, 1e-7, 0)).logprob == 0.0
    assert read(scored(-9999.0, -1.0, -1.0)).logprob == -10001.0
    # Without a count the tokens that are listed count; a list that is not whole is no sum.
    assert read(completion("x") | {"usage": None}) == EngineAnswer("x", 3, "stop", -3.0)
    assert read(scored(None, -1.0, -1.0)) == EngineAnswer("x", 3, "stop", None)
    assert read(scored(-1.0)) == EngineAnswer("x", 3, "stop", None)
    assert read(used(8, finish_reason="length", logprobs=None)) == EngineAnswer("x", 8, "length", None)
    assert read(completion("", logprobs=None) | {"usage": {"completion_tokens": 0}}) == EngineAnswer(
        "", 0, "stop", None
    )
    assert read(says(None, reasoning_content="2"), chat=True).text == "<think>2</think>"
    assert read(completion("a\ud83d")).text == "a\\ud83d"


WRONG: list[tuple[str, Any, str]] = [
    ("no object", [], "without choices"),
    ("null", None, "without choices"),
    ("a word", "busy", "without choices"),
    ("no choices", {}, "without choices"),
    ("choices that are none", {"choices": {"0": completion("x")["choices"][0]}}, "without choices"),
    ("a choice that is none", {"choices": ["x"]}, "without choices"),
    ("fewer", {"choices": []}, "0 choices where 1"),
    ("more", {"choices": completion("x")["choices"] * 2}, "2 choices where 1"),
    ("no end", completion("x", finish_reason=None), "not whole"),
    ("aborted", completion("x", finish_reason="abort"), "not whole"),
    ("another end", completion("x", finish_reason="tool_calls"), "tool_calls"),
    ("an end that is none", completion("x", finish_reason=["stop"]), "stop"),
    ("a null text", completion("x", text=None), "text is no text"),
    ("a number for a text", completion("x", text=5), "text is no text"),
    ("tokens for a text", completion("x", text=["a", "b"]), "text is no text"),
    ("a negative count", used(-1), "answer of -1 tokens"),
    ("a count of 1e300", used(1e300), r"answer of 1e\+300 tokens"),
    ("a count of 10^18", used(10**18), "answer of 1000000000000000000 tokens"),
    ("more tokens than asked for", used(9), "answer of 9 tokens"),
    ("a fraction", used(2.5), "answer of 2.5 tokens"),
    ("a word for a count", used("3"), "answer of '3' tokens"),
    ("a truth for a count", used(True), "answer of True tokens"),
    ("NaN for a count", used(NAN), "answer of nan tokens"),
    ("a list for usage", completion("x") | {"usage": [3]}, r"answer of \[3\] tokens"),
    ("no count", used(None, logprobs=None), "how many tokens"),
    ("text of no tokens", used(0, logprobs=None), "how many tokens"),
    ("more log-probabilities than tokens asked for", scored(*[-1.0] * 9) | {"usage": None}, "answer of 9 tokens"),
    ("NaN", scored(NAN, -1.0, -1.0), "log-probability nan"),
    ("infinite", scored(-INF, -1.0, -1.0), "log-probability -inf"),
    ("infinite upwards", scored(INF, -1.0, -1.0), "log-probability inf"),
    ("positive", scored(0.5, -1.0, -1.0), "log-probability 0.5"),
    ("-1e300", scored(-1e300, -1.0, -1.0), r"log-probability -1e\+300"),
    ("a word for a log-probability", scored("-1", -1.0, -1.0), "log-probability '-1'"),
    ("a truth for a log-probability", scored(False, -1.0, -1.0), "log-probability False"),
    ("words for tokens", completion("x", logprobs={"content": ["a", "b", "c"]}), "log-probability 'a'"),
    ("a list for log-probabilities", completion("x", logprobs=[-1.0]), "log-probabilities that are none"),
    ("a word for log-probabilities", completion("x", logprobs={"token_logprobs": "-1"}), "log-probabilities that are"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "says"), [pytest.param(f, s, id=name) for name, f, s in WRONG])
def test_what_is_wrong(found: Any, says: str) -> None:
    with pytest.raises(UnusableError, match=says):
        read(found)


@pytest.mark.parametrize(
    ("found", "match"),
    [
        (says(None), "content is no text"),
        (says(["5"]), "content is no text"),
        (says({"text": "5"}), "content is no text"),
        (says("5", reasoning_content=7), "reasoning is no text"),
        (completion("", chat=True, message="5"), "without a message"),
        (completion("", chat=True, message=None), "without a message"),
        (completion("5"), "without a message"),
        (completion("", chat=True, logprobs={"content": [{"logprob": NAN}]}), "log-probability nan"),
        (completion("", chat=True, logprobs={"content": {"logprob": -1.0}}), "log-probabilities that are none"),
    ],
)
def test_what_is_wrong_in_a_chat(found: Any, match: str) -> None:
    with pytest.raises(UnusableError, match=match):
        read(found, chat=True)


def test_a_servers_own_limit() -> None:
    with pytest.raises(CutError, match="cut an answer after 3 of 8 tokens"):
        read(completion("x", finish_reason="length"))


@pytest.mark.parametrize("made", [lambda **c: completion("so", **c), lambda **c: completion("so", chat=True, **c)])
def test_a_filtered_answer_is_none_of_the_models(made: Callable[..., dict[str, Any]]) -> None:
    """What came of it is kept, and nothing that would be the model's word for it."""
    chat = "message" in made()["choices"][0]
    assert read(made(finish_reason="content_filter"), chat=chat) == EngineAnswer("so", 3, "content_filter", None)
    nothing: dict[str, Any] = {"message": {"content": None}, "text": None, "logprobs": None}
    bare = made(finish_reason="content_filter", **nothing) | {"usage": None}
    assert read(bare, chat=chat) == EngineAnswer("", 0, "content_filter", None)
