from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import lines, read, texts

from reachlab.errors import ReachlabError


def chat(*answers: dict[str, Any], number: int = 0, model: str = "m") -> dict[str, Any]:
    body = {"model": model, "choices": list(answers)}
    return {
        "id": f"b{number}",
        "custom_id": f"r{number}",
        "response": {"status_code": 200, "body": body},
        "error": None,
    }


def answer(content: Any, reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **more}, "finish_reason": reason}


def test_choices_of_chats_and_of_completions(tmp_path: Path) -> None:
    plain = {"text": "c", "finish_reason": "length"}
    name, _, found = read(lines(tmp_path / "x.jsonl", chat(answer("a"), answer("b")), chat(plain, number=1)))
    assert name == "openai-batch"
    assert [(r.id, r.question, r.gold) for r in found] == [("r0", None, None), ("r1", None, None)]
    assert texts(found) == [["a", "b"], ["c"]]
    assert found[1].answers[0].finish == "length"


@pytest.mark.parametrize(
    "failed",
    [
        {"custom_id": "r1", "response": None, "error": {"code": "expired"}},
        {"custom_id": "r1", "response": {"status_code": 500, "body": {"error": "x"}}, "error": None},
        {"custom_id": "r1", "result": {"type": "errored", "error": {}}},
    ],
)
def test_a_failed_request_was_not_answered(tmp_path: Path, failed: Any) -> None:
    assert texts(read(lines(tmp_path / "x.jsonl", chat(answer("a")), failed))[2]) == [["a"], [None]]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (answer([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab"),
        (answer(None, refusal="I can't."), "I can't."),
        (answer(None, "length"), ""),
        (answer(None, reasoning_content="thinking"), ""),
        (answer(None, "content_filter"), None),
        (answer(None, "tool_calls", tool_calls=[{"id": 1}]), None),
        (answer("4", reasoning_content="2+2"), "4"),
    ],
)
def test_what_a_message_says(tmp_path: Path, said: Any, text: str | None) -> None:
    assert texts(read(lines(tmp_path / "x.jsonl", chat(said), chat(said, number=1)))[2]) == [[text], [text]]


def test_the_responses_api(tmp_path: Path) -> None:
    output = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "4"}]}]
    rows = [
        {"custom_id": str(n), "response": {"status_code": 200, "body": {"output": o, "status": s}}}
        for n, (o, s) in enumerate([(output, "completed"), ([], "incomplete")])
    ]
    found = read(lines(tmp_path / "x.jsonl", *rows))[2]
    assert [(r.answers[0].text, r.answers[0].finish) for r in found] == [("4", "stop"), ("", "length")]


def test_anthropic_and_gemini(tmp_path: Path) -> None:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "4"}]
    message = {"content": content, "stop_reason": "max_tokens", "model": "c"}
    rows = [{"custom_id": n, "result": {"type": "succeeded", "message": message}} for n in "ab"]
    found = read(lines(tmp_path / "x.jsonl", *rows))[2]
    assert [(r.id, r.answers[0].text, r.answers[0].finish) for r in found] == [
        ("a", "4", "length"),
        ("b", "4", "length"),
    ]
    parts = [{"text": "hm", "thought": True}, {"text": "4"}]
    rows = [
        {"key": n, "response": {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}} for n in "ab"
    ]
    assert texts(read(lines(tmp_path / "y.jsonl", *rows))[2]) == [["4"], ["4"]]


def test_models_are_runs_and_a_failure_is_of_none(tmp_path: Path) -> None:
    failed = {"custom_id": "r2", "response": None, "error": {"code": "expired"}}
    one = read(lines(tmp_path / "x.jsonl", chat(answer("a")), failed))[2]
    assert [r.run for r in one] == ["", ""]
    two = read(lines(tmp_path / "y.jsonl", chat(answer("a")), chat(answer("b"), model="n"), failed))[2]
    assert [r.run for r in two] == ["m", "n", "no-model"]


def test_a_response_without_choices(tmp_path: Path) -> None:
    row = {"custom_id": "r", "response": {"status_code": 200, "body": {"data": [1]}}}
    with pytest.raises(ReachlabError, match=r"x\.jsonl:1: a response without choices"):
        read(lines(tmp_path / "x.jsonl", row, row))
