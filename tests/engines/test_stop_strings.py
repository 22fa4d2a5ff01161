import numpy as np
import pytest
from tests.models.wild import SHAPES, llama2, qwen

from reachlab.engines.stop_strings import StopStrings
from reachlab.models.tokenizer import encode_answers


@pytest.mark.parametrize("name", ["gpt2", "qwen", "llama2", "gemma", "unigram"])
def test_a_stop_string_is_found_where_the_text_holds_it(name: str) -> None:
    tokenizer = SHAPES[name]()
    found = StopStrings(tokenizer, ("\nUser:", " 3 "))
    for text, before in (("so\nUser: x", "so"), ("is 3 or", "is"), ("is3 or", None), ("so User:", None)):
        [ids] = encode_answers(tokenizer, [text])
        assert found.cut(np.array(ids)) == before
        if before is not None:
            last = next(i for i in range(1, len(ids) + 1) if found.cut(np.array(ids[:i])) is not None)
            assert found.may_end(np.array(ids))[last - 1]


def test_a_vocabulary_larger_than_its_tokenizer() -> None:
    """Qwen's is padded to a round number, and any of its ids may be drawn."""
    tokenizer = qwen()
    found = StopStrings(tokenizer, (":",))
    colon = tokenizer.convert_tokens_to_ids(":")
    tokens = np.array([colon, len(tokenizer) - 1, len(tokenizer), len(tokenizer) + 500])
    assert found.may_end(tokens).tolist() == [True, False, False, False]
    assert found.cut(tokens[::-1]) is not None


def test_a_space_that_a_decoder_takes_off_may_end_a_stop_string() -> None:
    tokenizer = llama2()
    found = StopStrings(tokenizer, ("x ",))
    space = tokenizer.convert_tokens_to_ids("▁")
    assert found.may_end(np.array([space])).all()
    assert found.cut(np.array([*tokenizer.convert_tokens_to_ids(["o", "x"]), space])) == "o"
