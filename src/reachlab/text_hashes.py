"""64-bit hashes of a column of texts, all rows at once: eight bytes of every row a step, and no Python string a row.

    h ← mix((h ⊕ w_i) · K)   over the row's 8-byte words w_i, starting from its length

Each step is one-to-one in h and in w, so texts that differ in one word differ; any two differ but with probability
2^-64. The constants and the last mixing are SplitMix64's (Steele, Lea and Flood 2014). Of a text of `LONG` bytes or
more it is BLAKE2b: a call a row, and from there on several times as fast a byte.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

K1, K2, K3 = (np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
WORD = 8
LONG = 512


def hash_texts(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """One hash a row of a column of type string; a null is as an empty text."""
    hashes = [_hash(chunk) for chunk in column.chunks if len(chunk)]
    return np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)


def hash_tokens(ids: Sequence[int] | np.ndarray) -> int:
    """A hash of the tokens of one answer, as an int64: BLAKE2b of the ids as little-endian uint32."""
    digest = hashlib.blake2b(np.asarray(ids, "<u4").tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _hash(chunk: pa.StringArray) -> NDArray[np.uint64]:
    _, offsets, data = chunk.buffers()
    bounds = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    start, length = bounds[:-1], np.diff(bounds)
    is_long = length >= LONG
    hashes = np.empty(len(length), np.uint64)
    for at in np.flatnonzero(is_long).tolist():
        digest = hashlib.blake2b(memoryview(data)[start[at] : start[at] + length[at]], digest_size=8).digest()
        hashes[at] = int.from_bytes(digest, "little")
    if not is_long.all():
        hashes[~is_long] = _hash_short(data, start[~is_long], length[~is_long])
    return hashes


def _hash_short(data: pa.Buffer | None, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hashes of the bytes of each row, which begin somewhere and are so many."""
    text = np.zeros((0 if data is None else data.size) + WORD, np.uint8)
    if data is not None:
        text[: data.size] = np.frombuffer(data, np.uint8)
    # The eight bytes from every place on, as a number, without a copy; the padding lets the last ones end in zeros.
    words = np.ndarray(shape=(len(text) - WORD + 1,), dtype="<u8", buffer=text, strides=(1,))
    order = np.argsort(-length, kind="stable")  # longest first, so that the rows not yet at their end come first
    start, left = start[order], length[order]
    mixed = left.astype(np.uint64) * K1
    at = 0
    while rows := int(np.searchsorted(-left, -at, side="left")):
        word = words[start[:rows] + at]
        short = left[:rows] - at < WORD
        if short.any():
            bits = (8 * (left[:rows] - at)[short]).astype(np.uint64)
            word[short] &= (np.uint64(1) << bits) - np.uint64(1)
        step = (mixed[:rows] ^ word) * K2
        mixed[:rows] = step ^ (step >> np.uint64(29))
        at += WORD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * K2
    mixed = (mixed ^ (mixed >> np.uint64(27))) * K3
    hashes = np.empty_like(mixed)
    hashes[order] = mixed ^ (mixed >> np.uint64(31))
    return hashes
