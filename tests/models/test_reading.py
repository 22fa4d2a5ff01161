"""What a model gets of a text, for tokenizers of every shape that checkpoints have."""

import pickle

import pytest
from tests.models.chats import CHATML, LLAMA3
from tests.models.wild import SHAPES, deepseek, glm, llama2, llama2_first, llama3, qwen, t5
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.reading import SIGNS, reader_of
from reachlab.models.tokenizer import decode_answers, encode, encode_answers, encode_prompts
from reachlab.tasks.templates import TEMPLATES, filled
from reachlab.types import Chat, Filled, Prompt

MADE = {name: make() for name, make in SHAPES.items()}
BY_WORD = "t5"
QUESTION = "what is 1 + 2 ?\n Answer: "
OPENED = {"llama3": 1, "deepseek": 1, "closing": 1, "glm": 2, "llama2": 1, "unmarked": 1, "llama2_first": 1, "gemma": 1}
"""Shapes that open a text, and with how many tokens."""

shapes = pytest.mark.parametrize("name", MADE)
spaced = pytest.mark.parametrize("name", [name for name in MADE if name != BY_WORD])


def chat(said: str) -> Chat:
    return Chat(({"role": "user", "content": said},))


def names(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The special tokens that a user could name."""
    return [name for name in reader_of(tokenizer).special if name != "<unk>"]


@shapes
def test_a_prompt_is_opened_once_and_never_closed(name: str) -> None:
    tokenizer = MADE[name]
    opened, special = OPENED.get(name, 0), set(tokenizer.all_special_ids)
    prompts: list[Prompt] = [QUESTION, chat("what is 1 ?")] if tokenizer.chat_template else [QUESTION]
    for prompt in prompts:
        [ids] = encode_prompts(tokenizer, [prompt])
        assert ids[-1] != tokenizer.eos_token_id
        if tokenizer.bos_token_id is not None and tokenizer.bos_token_id != tokenizer.eos_token_id:
            by_template = isinstance(prompt, Chat)
            assert ids.count(tokenizer.bos_token_id) == (1 if by_template else opened)
        if prompt is QUESTION:
            [bare] = encode(tokenizer, [QUESTION])
            assert ids[opened:] == bare
            assert not special & set(bare)


@pytest.mark.parametrize(
    "template", [LLAMA3, LLAMA3.replace("{{ bos_token }}", ""), "{{ bos_token }}" + LLAMA3, CHATML]
)
def test_whatever_the_template_writes_there_is_one_bos(template: str) -> None:
    tokenizer = llama3(template)
    [ids] = encode_prompts(tokenizer, [chat("what is 1 ?")])
    assert (ids[0], ids.count(tokenizer.bos_token_id)) == (tokenizer.bos_token_id, 1)


def test_a_text_template_that_writes_bos_does_not_add_one() -> None:
    for tokenizer in (deepseek(), MADE["llama3_by_template"]):
        bos = str(tokenizer.bos_token)
        text = TEMPLATES["deepseek-r1"].text.replace("<｜begin▁of▁sentence｜>", bos)
        [ids] = encode_prompts(tokenizer, [filled(text, {"question": "what is 1 ?"})])
        assert (ids[0], ids.count(tokenizer.bos_token_id)) == (tokenizer.bos_token_id, 1)
    tokenizer = glm()
    assert encode_prompts(tokenizer, ["[gMASK]<sop>what"]) == encode_prompts(tokenizer, ["what"])


@pytest.mark.parametrize("name", [name for name, made in MADE.items() if made.chat_template])
def test_a_prompt_has_the_same_tokens_whatever_it_is_asked_with(name: str) -> None:
    tokenizer = MADE[name]
    end = tokenizer.eos_token
    prompts: list[Prompt] = [
        *(QUESTION, chat("what is 1 ?"), chat(f"say {end} once"), "x="),
        *(Filled(f"{end} is {end}", [(len(end) + 4, 2 * len(end) + 4)]), Filled("s1", [(0, 2)])),
    ]
    together = encode_prompts(tokenizer, prompts)
    assert together == [encode_prompts(tokenizer, [prompt])[0] for prompt in prompts]
    assert together[::-1] == encode_prompts(tokenizer, prompts[::-1])


@spaced
@pytest.mark.parametrize("answer", ["3", " 3", "  3 \n", "\n3", "don't 's' . x , y != z !"])
def test_an_answer_goes_on_where_its_prompt_ends(name: str, answer: str) -> None:
    """What is decoded is what was drawn, and it would be these tokens again: nothing before it, nothing taken off."""
    tokenizer = MADE[name]
    [ids] = encode_answers(tokenizer, [answer])
    assert decode_answers(tokenizer, [ids]) == [answer]
    [prompt] = encode(tokenizer, ["x="])
    both = decode_answers(tokenizer, [[*prompt, *ids]])[0]
    assert both == decode_answers(tokenizer, [prompt])[0] + answer


@pytest.mark.parametrize("make", [llama2, llama2_first])
def test_no_dummy_prefix_stands_between_prompt_and_answer(make: object) -> None:
    tokenizer = MADE[make.__name__]  # type: ignore[attr-defined]
    for prompt in ("x=", "x:\n"):
        whole = encode(tokenizer, [f"{prompt}3"])[0]
        assert whole == encode(tokenizer, [prompt])[0] + encode_answers(tokenizer, ["3"])[0]
    # Drawn with a space or without is not the same answer.
    drawn = tokenizer.convert_tokens_to_ids(["▁", "3"])
    assert decode_answers(tokenizer, [drawn, drawn[1:]]) == [" 3", "3"]
    assert encode_answers(tokenizer, [" 3", "3"]) == [drawn, drawn[1:]]


def test_where_words_alone_are_tokens_an_answer_begins_with_a_word() -> None:
    tokenizer = t5()
    [ids] = encode_answers(tokenizer, ["what is"])
    assert decode_answers(tokenizer, [ids]) == ["what is"]
    assert encode(tokenizer, ["what is"]) == [ids]


@shapes
def test_a_special_token_that_a_text_names_is_characters(name: str) -> None:
    tokenizer = MADE[name]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for literal in names(tokenizer):
        text = f"say {literal} and{literal}"
        for found in (encode(tokenizer, [text]), encode_answers(tokenizer, [text])):
            assert not special & set(found[0])
            if tokenizer.unk_token_id not in found[0]:
                assert decode_answers(tokenizer, found)[0].strip() == text
        # What stands beside it is as it ever was.
        beside = encode(tokenizer, ["x=", text, "y!"])
        assert beside[::2] == encode(tokenizer, ["x=", "y!"])


@pytest.mark.parametrize("name", [name for name, made in MADE.items() if made.chat_template])
def test_a_user_cannot_end_a_turn(name: str) -> None:
    tokenizer = MADE[name]
    for literal in names(tokenizer):
        plain, named = encode_prompts(tokenizer, [chat("say so"), chat(f"say {literal} so")])
        for mark in tokenizer.all_special_ids:
            assert named.count(mark) == plain.count(mark)
        assert literal.replace("▁", " ") in tokenizer.decode(named).replace("▁", " ")


def test_a_template_of_text_means_its_marks_and_a_question_does_not() -> None:
    tokenizer = qwen()
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    values = {"question": "is <|im_end|> a word ?", "system": "<|im_start|>"}
    prompt = filled(TEMPLATES["qwen-boxed"].text, values)
    [ids] = encode_prompts(tokenizer, [pickle.loads(pickle.dumps(prompt))])
    assert (ids.count(start), ids.count(end)) == (3, 2)
    assert tokenizer.decode(ids) == prompt
    # A prompt of which nobody knows who said what (an imported one) is taken as it stands.
    assert encode_prompts(tokenizer, [str(prompt)])[0].count(end) == 3


def test_added_tokens_that_are_not_special_stay_tokens() -> None:
    tokenizer = qwen()
    think = tokenizer.convert_tokens_to_ids("<think>")
    for text in ("<think>so", "<think>so <|im_end|>"):
        assert encode(tokenizer, [text])[0][0] == encode_answers(tokenizer, [text])[0][0] == think
        assert decode_answers(tokenizer, encode(tokenizer, [text])) == [text]


def test_what_is_drawn_beyond_the_tokenizer_has_no_text() -> None:
    for name, tokenizer in MADE.items():
        [ids] = encode_answers(tokenizer, ["so"])
        beyond = [len(tokenizer) + 7, *ids, len(tokenizer)]
        assert decode_answers(tokenizer, [beyond]) == ["so"], name


def test_noncharacters_in_a_text_are_characters() -> None:
    tokenizer = qwen()
    end = tokenizer.eos_token
    text = f"{SIGNS[0]}1{SIGNS[0]} {end} {SIGNS[1]}"
    assert decode_answers(tokenizer, encode(tokenizer, [text])) == [text]
    with pytest.raises(ReachlabError, match="every noncharacter"):
        encode(tokenizer, [f"{end}{''.join(SIGNS)}"])


def test_a_character_that_is_a_mark_has_no_other_token() -> None:
    tokenizer = qwen()
    tokenizer.add_special_tokens({"additional_special_tokens": ["?"]})
    [mark] = tokenizer.convert_tokens_to_ids(["?"])
    assert mark in encode(tokenizer, ["what?"])[0]
    assert decode_answers(tokenizer, encode(tokenizer, [f"{tokenizer.eos_token} !"])) == [f"{tokenizer.eos_token} !"]


def test_spaces_before_points_stay_whatever_the_checkpoint_says() -> None:
    tokenizer = t5(words=False)
    tokenizer.clean_up_tokenization_spaces = True
    text = "x , y ! don 't"
    assert decode_answers(tokenizer, encode_answers(tokenizer, [text])) == [text]
