from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.tokenizer import Kind, encode, encode_prompts, hash_tokenizer, train_tokenizer
from reachlab.types import Chat

TEXTS = ["12 11 9 3=36:11*3=33;33-9=24;24+12=36", "7+5*3-2=?7+5=12", "naïve 漢字 \n\t"]
KINDS: tuple[Kind, ...] = ("char", "number", "bpe")
TRAINED = {kind: train_tokenizer(kind, TEXTS, 400) for kind in KINDS}


def pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    return [tokenizer.decode([i]) for i in tokenizer(text)["input_ids"]]


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_learned_from_comes_back_whole(kind: Kind) -> None:
    for text in TEXTS:
        assert TRAINED[kind].decode(TRAINED[kind](text)["input_ids"]) == text


def test_a_character_a_token() -> None:
    assert pieces(TRAINED["char"], TEXTS[0]) == list(TEXTS[0])


def test_a_number_with_its_sign_is_a_token() -> None:
    assert pieces(TRAINED["number"], "12 11=36:11*3=33;33-9=24") == [
        *("12", " 11", "=36", ":", "11", "*", "3", "=33", ";33", "-", "9", "=24"),
    ]


def test_numbers_below_the_largest_seen_are_known() -> None:
    tokenizer = train_tokenizer("number", ["3 40=99"])
    for text in ("0 0=0", "1 17=42", "3 40=98"):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
        assert len(tokenizer(text)["input_ids"]) == 3
    assert tokenizer.unk_token_id in tokenizer("41")["input_ids"]


@given(st.text())
def test_bytes_of_any_text_survive(text: str) -> None:
    tokenizer = TRAINED["bpe"]
    assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("kind", KINDS)
@given(prompt=st.sampled_from(TEXTS), answer=st.sampled_from(TEXTS))
def test_no_token_of_its_own_is_added(kind: Kind, prompt: str, answer: str) -> None:
    tokenizer = TRAINED[kind]
    both = [*tokenizer(prompt)["input_ids"], *tokenizer(answer)["input_ids"]]
    assert not {tokenizer.eos_token_id, tokenizer.pad_token_id} & set(both)
    assert tokenizer.decode(both) == prompt + answer


@pytest.mark.parametrize("kind", ["char", "number"])
def test_an_unknown_character_is_unk(kind: Kind) -> None:
    assert TRAINED[kind]("€")["input_ids"] == [TRAINED[kind].unk_token_id]


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_it_back(kind: Kind, tmp_path: Path) -> None:
    TRAINED[kind].save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert [again(t)["input_ids"] for t in TEXTS] == [TRAINED[kind](t)["input_ids"] for t in TEXTS]
    assert (again.eos_token_id, again.pad_token_id) == (1, 0)


def test_the_vocabulary_has_the_bound_asked_for() -> None:
    assert len(train_tokenizer("char", TEXTS, 10)) == 10
    assert len(train_tokenizer("bpe", TEXTS, 270)) <= 270
    with pytest.raises(ReachlabError, match="at least 258 entries, 257 asked"):
        train_tokenizer("bpe", TEXTS, 257)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_to_learn_from(kind: Kind, texts: list[str]) -> None:
    with pytest.raises(ReachlabError, match="a tokenizer needs text to learn from"):
        train_tokenizer(kind, texts)


def test_a_hash_tells_tokenizers_apart_and_survives_saving(tmp_path: Path) -> None:
    hashes = {hash_tokenizer(t) for t in TRAINED.values()}
    assert len(hashes) == 3
    for kind, tokenizer in TRAINED.items():
        tokenizer.save_pretrained(tmp_path / kind)
        again = AutoTokenizer.from_pretrained(tmp_path / kind)
        again(TEXTS, padding=True, truncation=True, max_length=4)  # leaves a mark in the backend
        assert hash_tokenizer(again) == hash_tokenizer(tokenizer)
    assert hash_tokenizer(train_tokenizer("bpe", TEXTS, 270)) not in hashes


def test_the_same_text_gives_the_same_tokenizer() -> None:
    for kind in KINDS:
        assert train_tokenizer(kind, iter(TEXTS), 400).get_vocab() == TRAINED[kind].get_vocab()


def test_a_chat_goes_through_the_template() -> None:
    tokenizer = train_tokenizer("char", ["user: 1+1 assistant:"])
    chat = Chat(({"role": "user", "content": "1+1"},))
    with pytest.raises(ReachlabError, match="no chat template"):
        encode_prompts(tokenizer, [chat])
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    assert tokenizer.decode(encode_prompts(tokenizer, [chat])[0]) == "user: 1+1 assistant:"


def test_a_bos_opens_a_prompt_once_and_an_answer_never() -> None:
    tokenizer = train_tokenizer("char", ["^user: 1+1"])
    tokenizer.add_special_tokens({"bos_token": "^"})
    bos = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="^ $A", special_tokens=[("^", bos)])
    text, chat = "1+1", Chat(({"role": "user", "content": "1+1"},))
    tokenizer.chat_template = "^{{ messages[0].role }}: {{ messages[0].content }}"
    plain = encode(tokenizer, [text])[0]
    assert bos not in plain
    assert encode_prompts(tokenizer, [text]) == [[bos, *plain]]
    assert encode_prompts(tokenizer, [chat])[0].count(bos) == 1
    assert encode_prompts(tokenizer, []) == encode(tokenizer, []) == []
