import pytest

from reachlab.reporting.reasoning_parts import reasoning_in
from reachlab.tasks.answers.reasoning import REASONING

HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>42"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>abc</think>yes", "abc", "yes"),
        (" \n<think>abc</think>\n\nyes", "abc", "yes"),
        ("abc</think>\nyes", "abc", "yes"),
        ("<think>abc", "abc", ""),
        ("<think>\n\n</think>\n\n42", "", "42"),
        ("well <think>abc</think>yes", "well <think>abc", "yes"),
        ("<think>a</think>b<think>c</think>d", "a</think>b<think>c", "d"),
        (HARMONY, "hm", "42"),
        ("analysisso it isassistantfinal42", "so it is", "42"),
    ],
)
def test_reasoning_and_answer_are_told_apart(text: str, reasoning: str, answer: str) -> None:
    found = reasoning_in(text)
    assert found is not None
    start, end, behind = found
    assert text[start:end].strip() == reasoning
    assert text[behind:] == answer


@pytest.mark.parametrize(("begin", "close"), REASONING)
def test_every_mark_that_verifiers_know_is_known(begin: str, close: str) -> None:
    text = f"{begin} so {close} 42"
    start, end, behind = reasoning_in(text) or (0, 0, 0)
    assert (text[start:end].strip(), text[behind:].strip()) == ("so", "42")


@pytest.mark.parametrize("text", ["", "42", "analysis of it: 42", "a < b", "assistant\n42", "the final answer"])
def test_a_text_without_marks_has_no_reasoning(text: str) -> None:
    assert reasoning_in(text) is None
