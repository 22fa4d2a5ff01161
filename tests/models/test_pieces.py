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
    assert known_pieces(tokenizer, [f"1{special}"]) in ([None], [encode_answers(tokenizer, [f"1{special}"])[0]])
