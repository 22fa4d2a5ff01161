from dataclasses import replace
from pathlib import Path

import pytest
from tests.models.chats import BASE, CHATML, GEMMA, IM, INSTRUCT, R1, SENTENCE, Shape, made

from reachlab.errors import ReachlabError
from reachlab.models.chat import answer_end, check_chat, end_tokens, kind_of_model, name_says, turn_end, write_chat
from reachlab.models.tokenizer import encode_prompts, train_tokenizer
from reachlab.types import Chat

SMOL = INSTRUCT[2]


def ids(shapes: tuple[Shape, ...]) -> list[str]:
    return [shape.name for shape in shapes]


@pytest.mark.parametrize("shape", INSTRUCT, ids=ids(INSTRUCT))
def test_instruct_models_are_asked_by_chat(shape: Shape, tmp_path: Path) -> None:
    found = kind_of_model(*made(shape, tmp_path))
    assert found.chat, found.why


@pytest.mark.parametrize("shape", BASE, ids=ids(BASE))
def test_base_models_are_not_whatever_template_they_ship(shape: Shape, tmp_path: Path) -> None:
    found = kind_of_model(*made(shape, tmp_path))
    assert not found.chat, found.why


def test_the_reason_names_the_mark(tmp_path: Path) -> None:
    assert (
        kind_of_model(*made(SMOL, tmp_path)).why
        == "its chat template ends a turn with <|im_end|>, and so does the model"
    )
    assert "<|im_end|>, which does not end this model's answers" in kind_of_model(*made(BASE[0], tmp_path)).why
    assert kind_of_model(*made(BASE[5], tmp_path)).why == "its tokenizer has no chat template"
    assert kind_of_model(*made(INSTRUCT[6], tmp_path)).why == "its name says that it is an instruct model"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Qwen2.5-7B-Instruct", "instruct"),
        ("gemma-2-2b-it", "instruct"),
        ("Llama-2-7b-chat-hf", "instruct"),
        ("Qwen3-8B-Base", "base"),
        ("gemma-3-1b-pt", "base"),
        ("Qwen2.5-7B-Base-SFT", ""),  # both
        ("baseline-italic-chatty", ""),
        ("Qwen3-8B", ""),
    ],
)
def test_what_a_name_says(name: str, says: str) -> None:
    assert name_says(name) == says


@pytest.mark.parametrize("shape", [*INSTRUCT, *BASE[:5]], ids=ids((*INSTRUCT, *BASE[:5])))
def test_the_mark_that_ends_a_turn(shape: Shape, tmp_path: Path) -> None:
    tokenizer, folder = made(shape, tmp_path)
    mark = turn_end(tokenizer)
    assert mark is not None
    said = tokenizer.convert_ids_to_tokens(mark)
    assert said in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", shape.eos)
    ends = end_tokens(tokenizer, folder)
    assert {tokenizer.convert_ids_to_tokens(i) for i in ends} == {*shape.ends, shape.eos}
    # What is taught ends the model's answers, whatever its template writes.
    assert answer_end(tokenizer, ends) == (mark if mark in ends else tokenizer.eos_token_id)
    assert answer_end(tokenizer, []) == tokenizer.eos_token_id


def test_a_gemma_ends_its_turn_and_not_the_text(tmp_path: Path) -> None:
    tokenizer, folder = made(INSTRUCT[5], tmp_path)
    end = answer_end(tokenizer, end_tokens(tokenizer, folder))
    assert tokenizer.convert_ids_to_tokens(end) == "<end_of_turn>"
    assert tokenizer.eos_token == "<eos>"


def test_what_cannot_be_asked_is_one_line(tmp_path: Path) -> None:
    qwen, gemma = (made(shape, tmp_path)[0] for shape in (SMOL, INSTRUCT[5]))
    assert check_chat(qwen, "Be brief.", {"enable_thinking": False}) == ""
    with pytest.raises(ReachlabError, match=r"refuses a chat of system, user: System role not supported$"):
        check_chat(gemma, "Be brief.", {})
    with pytest.raises(ReachlabError, match="knows no 'enable_thinking'"):
        check_chat(gemma, "", {"enable_thinking": False})
    with pytest.raises(ReachlabError, match=r"no chat template; .*--template plain"):
        check_chat(train_tokenizer("char", ["a"]), "", {})
    qwen.chat_template = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    with pytest.raises(ReachlabError, match="leaves a system message out"):
        check_chat(qwen, "Be brief.", {})
    qwen.chat_template = "{{ messages[0].role }}"
    with pytest.raises(ReachlabError, match="leaves out what the user says"):
        check_chat(qwen, "", {})
    qwen.chat_template = "{{ messages[0].content + options }}"
    with pytest.raises(ReachlabError, match="refuses a chat of user with options: "):
        check_chat(qwen, "", {"options": 3})


def test_a_template_that_begins_the_reasoning(tmp_path: Path) -> None:
    tokenizer, _ = made(INSTRUCT[7], tmp_path)
    assert tokenizer.chat_template == R1
    assert SENTENCE[0] == tokenizer.bos_token
    assert check_chat(tokenizer, "", {}) == "<think>"


def test_options_reach_the_template(tmp_path: Path) -> None:
    tokenizer, _ = made(SMOL, tmp_path)
    asked = ({"role": "user", "content": "1+1"},)
    before = "<|im_start|>user\n1+1<|im_end|>\n<|im_start|>assistant\n"
    assert write_chat(tokenizer, Chat(asked)) == before
    quick = Chat(asked, {"enable_thinking": False})
    assert write_chat(tokenizer, quick) == f"{before}<think>\n\n</think>\n\n"
    (found,) = encode_prompts(tokenizer, [quick])
    assert tokenizer.decode(found) == f"{before}<think>\n\n</think>\n\n"


def test_the_hub_s_cache_has_the_name(tmp_path: Path) -> None:
    cache = tmp_path / "models--google--gemma-7b-it" / "snapshots"
    assert kind_of_model(*made(replace(INSTRUCT[6], name="0a1b"), cache)).chat
    assert not kind_of_model(*made(replace(INSTRUCT[6], name="0a1b"), tmp_path)).chat


def test_of_several_templates_the_one_without_tools_counts(tmp_path: Path) -> None:
    tokenizer, folder = made(replace(SMOL, template=CHATML), tmp_path)
    tokenizer.chat_template = {"tool_use": GEMMA, "default": CHATML}
    assert kind_of_model(tokenizer, folder).chat
    assert check_chat(tokenizer, "", {"enable_thinking": True}) == ""


def test_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    tokenizer, folder = made(Shape("x", CHATML, "<|im_end|>", ("<|im_end|>",), IM), tmp_path)
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(ReachlabError, match=r"generation_config\.json: not readable as JSON"):
        kind_of_model(tokenizer, folder)
