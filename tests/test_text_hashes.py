import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.text_hashes import LONG, hash_texts

TEXTS = st.lists(
    st.text(st.sampled_from("ab\0é∫"), max_size=20)
    | st.text(max_size=30)
    | st.text("xy", min_size=LONG - 1, max_size=LONG + 1),
    max_size=30,
)


@given(TEXTS, st.integers(0, 9), st.integers(0, 9))
def test_texts_are_equal_where_their_hashes_are(texts: list[str], start: int, cut: int) -> None:
    whole = hash_texts(pa.chunked_array([pa.array(texts, pa.string())]))
    for i, a in enumerate(texts):
        for j, b in enumerate(texts):
            assert (whole[i] == whole[j]) == (a == b)
    # A hash is of the text alone, whatever chunk or slice it lies in.
    chunks = pa.chunked_array([pa.array(texts[:cut], pa.string()), pa.array(texts[cut:], pa.string())])
    assert np.array_equal(hash_texts(chunks), whole)
    assert np.array_equal(hash_texts(chunks.slice(start)), whole[start:])


def test_every_bit_of_a_long_text_counts() -> None:
    every_bit_counts(40)


def test_every_bit_of_a_text_counts_that_is_hashed_by_itself() -> None:
    every_bit_counts(LONG // 8 + 2)


def every_bit_counts(words: int) -> None:
    base = bytearray(b"abcdefgh" * words)
    texts = [base.decode()]
    for at in range(len(base)):
        changed = bytearray(base)
        changed[at] ^= 1
        texts.append(changed.decode())
    swapped = "abcdefgh" * (words - 1) + "abcdefhg"
    hashes = hash_texts(pa.chunked_array([[*texts, swapped, "abcdefgh" * (words - 1), "abcdefgh" * (words + 1)]]))
    assert len(set(hashes.tolist())) == len(texts) + 3
    # Half of the bits change with one bit of the text.
    flips = [int(hash_ ^ hashes[0]).bit_count() for hash_ in hashes[1:]]
    assert np.mean(flips) == pytest.approx(32, abs=1)


def test_nothing_and_empty_texts() -> None:
    assert len(hash_texts(pa.chunked_array([], pa.string()))) == 0
    hashes = hash_texts(pa.chunked_array([pa.array(["", None, "", "\0"], pa.string())]))
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
