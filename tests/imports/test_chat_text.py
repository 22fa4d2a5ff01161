import pytest

from reachlab.imports.chat_text import question_in

TEMPLATED = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
    "chatml, no reasoning": "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<bos><start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n",
    "phi": "<|system|>\nBe brief.<|end|>\n<|user|>\n{}<|end|>\n<|assistant|>\n",
    "deepseek": "<｜begin▁of▁sentence｜>Be brief.<｜User｜>{}<｜Assistant｜><think>\n",
    "harmony": "<|start|>system<|message|>Be brief.<|end|><|start|>user<|message|>{}<|end|><|start|>assistant",
    "mistral": "<s>[INST] {} [/INST]",
    "bare chatml": "system\nBe brief.\nuser\n{}\nassistant\n",
    "bare chatml that reasons": "user\n{}\nassistant\n<think>\n",
    "bare gemma": "user\n{}\nmodel\n",
    "bare llama 3": "system\n\nCutting Knowledge Date: 2023\n\nuser\n\n{}assistant\n\n",
    "bare llama 3 with a prompt": "system\n\nBe brief.user\n\n{}assistant\n\n",
}


@pytest.mark.parametrize("template", TEMPLATED.values(), ids=TEMPLATED)
@pytest.mark.parametrize("question", ["What is 2+2?", "A line\nuser of three:\n\nWhat is 2+2?"])
def test_the_question_in_a_template(template: str, question: str) -> None:
    assert question_in(template.format(question)) == question


@pytest.mark.parametrize(
    "prompt",
    [
        "What is 2+2?",
        "What does this print?\nuser\nassistant",
        "Question: 1+1?\nAnswer: 2\n\nQuestion: 2+2?\nAnswer:",
        "The user\nasks the assistant",
        "",
    ],
)
def test_a_prompt_without_turns_is_the_question(prompt: str) -> None:
    assert question_in(prompt) == prompt


def test_the_last_of_several_turns() -> None:
    turns = "".join(
        f"<|im_start|>{r}\n{t}<|im_end|>\n" for r, t in (("user", "1+1?"), ("assistant", "2"), ("user", "2+2?"))
    )
    assert question_in(f"{turns}<|im_start|>assistant\n") == "2+2?"
    assert question_in("user\n1+1?\nassistant\n2\nuser\n2+2?\nassistant\n") == "2+2?"


def test_what_is_no_text() -> None:
    assert question_in(None) is question_in([{"role": "user"}]) is None
