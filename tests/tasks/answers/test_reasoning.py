import pytest

from reachlab.tasks.answers.reasoning import REASONING, after_reasoning, next_questions


@pytest.mark.parametrize(("begin", "end"), REASONING)
def test_the_answer_begins_after_the_last_end_of_reasoning(begin: str, end: str) -> None:
    text = f"{begin}one{end}two{begin}three{end} four"
    region = after_reasoning(text)
    assert text[region.start : region.end] == "four"
    assert after_reasoning(f"{begin}one").reason == "the reasoning does not end"
    assert after_reasoning(f"{begin}one{end}two{begin}three").reason == "the reasoning does not end"
    alone = f"one{end}two"  # the prompt may have begun it
    assert alone[after_reasoning(alone).start :] == "two"


@pytest.mark.parametrize(
    "mark", ["<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<｜end▁of▁sentence｜>"]
)
def test_nothing_counts_after_the_end_of_the_text(mark: str) -> None:
    text = f"<think>a{mark}b</think>five{mark} six"
    region = after_reasoning(text)
    assert text[region.start : region.end] == "five"


def test_a_mark_of_ones_own() -> None:
    marks = (*REASONING, ("", "[[done]]"))
    text = "four [[done]] five"
    assert text[after_reasoning(text, marks).start :] == "five"
    assert after_reasoning("four", marks).reason == "the reasoning does not end"
    assert after_reasoning("<think>x</think> four", marks).reason == "the reasoning does not end"


@pytest.mark.parametrize(
    "heading",
    ["Question: x", "**Question 2:** x", "Q: x", "Q2. x", "Problem 3\nx", "### Problem: x",
     "Next question: x", "Human: x",
     "User: x", "### Instruction\nx", "问题：x", "> Exercise 4. x", "Put your final answer within \\boxed{}."],
)  # fmt: skip
def test_where_the_next_question_begins(heading: str) -> None:
    text = f"It is 5.\n\n{heading}"
    assert next_questions(text, after_reasoning(text)) == [text.rindex(f"\n{heading.splitlines()[0]}")]


@pytest.mark.parametrize(
    "text",
    [
        "The question is hard.\nSo 5.",
        "Question: x\nAnswer: 5",
        "The problem\nsays 5",
        "A\nquick answer: 5",
        "x\nusers: 5",
        "\nQuite so: 5",
    ],
)
def test_what_asks_nothing(text: str) -> None:
    assert next_questions(text, after_reasoning(text)) == []
