from tests.tiny import tiny_tokenizer

from reachlab.models.pieces import known_pieces
from reachlab.models.tokenizer import decode_answers, encode_answers, train_tokenizer


def test_numbers_side_by_side_are_cut_into_numbers_that_there_are() -> None:
    tokenizer = train_tokenizer("number", ["3+47=50;2*11=22"], 1000)
    (drawn,) = encode_answers(tokenizer, ["3+4"])
    assert tokenizer.unk_token_id in encode_answers(tokenizer, ["3+1166=50"])[0]
    (found,) = known_pieces(tokenizer, ["3+1166=50"])
    assert found is not None
    assert tokenizer.convert_ids_to_tokens(found) == ["3", "+", "11", "6", "6", "=50"]
    assert decode_answers(tokenizer, [found]) == ["3+1166=50"]
    assert known_pieces(tokenizer, ["3+4", "", "3?4"]) == [drawn, [], None]


def test_what_a_tokenizer_reads_otherwise_is_left() -> None:
    tokenizer = tiny_tokenizer()
    special = tokenizer.eos_token
    assert isinstance(special, str)
    # A special token is no piece of a text, and the tokenizer of characters has none for "<".
    assert known_pieces(tokenizer, ["1", f"1{special}", special]) == [encode_answers(tokenizer, ["1"])[0], None, None]
    # Of bytes it has a token "Ġ", which is read as a space.
    of_bytes = train_tokenizer("bpe", ["3+4 = 7"], 300)
    space = of_bytes.get_vocab()["Ġ"]
    assert decode_answers(of_bytes, [[space]]) == [" "]
    assert known_pieces(of_bytes, ["3+4", "Ġ", "3Ġ4"]) == [encode_answers(of_bytes, ["3+4"])[0], None, None]
