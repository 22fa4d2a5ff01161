"""A corpus as one file of token ids, memory-mapped: documents one after the other, each closed by the end token.

    [ training documents | held-out documents ]        uint16, or uint32 for a vocabulary of more than 2¹⁶

`tokens-KEY.bin` are the ids and `tokens-KEY.json` says what they are; KEY is a hash of the documents, of what is held
out and of the tokenizer, so that a file is the right one or has another name. It is made once: a run that goes on, and
other runs that share the folder, find it, look whether its bytes are still those that were written, and make it again
where they are not. Both files appear whole or not at all.

Axes. N: tokens of the corpus.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.tokenizer import encode, hash_tokenizer
from reachlab.progress import track
from reachlab.runs import sync_folder, write_atomically
from reachlab.training.corpus.survey import Corpus

VERSION = 1
"""Of the layout and of how text becomes tokens."""
AT_ONCE = 1 << 20
"""Characters that are encoded side by side."""


Ids = np.ndarray[tuple[int], np.dtype[np.unsignedinteger[Any]]]


@dataclass(frozen=True, eq=False)
class Packed:
    """The tokens of a corpus; both arrays are on disk until they are read."""

    train_N: Ids
    held_out_N: Ids


def pack(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """The file of the corpus's tokens in `folder`, made if it is not there; returns its description's path.

    Raises:
        ReachlabError: the disk is full or the folder cannot be written.
    """
    dtype = "uint16" if len(tokenizer) <= 1 << 16 else "uint32"
    about: dict[str, Any] = {
        "version": VERSION,
        "data_hash": corpus.hash,
        "held_out_below": corpus.threshold,
        "tokenizer_hash": hash_tokenizer(tokenizer),
        "dtype": dtype,
    }
    key = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
    description = folder / f"tokens-{key}.json"
    if not _sound(description):
        written = _write(corpus, tokenizer, description.with_suffix(".bin"), np.dtype(dtype))
        write_atomically(description, (json.dumps(about | written, indent=2) + "\n").encode())
    return description


def open_packed(description: Path) -> Packed:
    """The tokens that `pack` wrote."""
    about = json.loads(description.read_bytes())
    ids_N = np.memmap(description.with_suffix(".bin"), about["dtype"], mode="r")
    return Packed(ids_N[: about["train_tokens"]], ids_N[about["train_tokens"] :])


def check_room(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, length: int) -> None:
    """Look whether a window of `length` tokens can be had; reads no further than it takes.

    Raises:
        ReachlabError: there are fewer tokens to learn from.
    """
    windows = 0
    for ids, _, held_out in _encoded(corpus, tokenizer):
        windows += 0 if held_out else len(ids)
        if windows >= length:
            return
    raise ReachlabError(f"{corpus.spec}: {windows} tokens to learn from, fewer than one window of --length {length}")


def _encoded(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[list[int], int, bool]]:
    """Each document's tokens, its characters, and whether it is held out; encoded on all cores, some at once."""
    waiting: list[tuple[str, bool]] = []
    characters = 0
    for document in chain(corpus.split(), [None]):
        if document is not None:
            waiting.append(document)
            characters += len(document[0])
        if document is None or characters >= AT_ONCE:
            rows = encode(tokenizer, [text for text, _ in waiting])
            for ids, (text, held_out) in zip(rows, waiting, strict=True):
                yield [*ids, tokenizer.eos_token_id], len(text), held_out
            waiting.clear()
            characters = 0


def _write(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, path: Path, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Encode all documents into `path`; returns what there is to say of it."""
    mark = uuid.uuid4().hex[:8]
    whole, second = (path.with_name(f".{path.name}.{part}.{mark}.tmp") for part in ("train", "held_out"))
    tokens = [0, 0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole.open("w+b") as train, second.open("w+b") as held, track("tokenize", corpus.characters) as advance:
            for ids, characters, held_out in _encoded(corpus, tokenizer):
                (held if held_out else train).write(np.asarray(ids, dtype).tobytes())
                tokens[held_out] += len(ids)
                advance(characters)
            held.seek(0)
            shutil.copyfileobj(held, train)
            train.flush()
            os.fsync(train.fileno())
        description = _hash(whole)
        whole.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ReachlabError(f"{path}: not written: {error.strerror or error}") from error
    finally:
        for left in (whole, second):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return {"train_tokens": tokens[0], "held_out_tokens": tokens[1], "hash": description}


def _sound(description: Path) -> bool:
    """Whether a file of tokens is there and holds what was written."""
    try:
        return bool(json.loads(description.read_bytes())["hash"] == _hash(description.with_suffix(".bin")))
    except (OSError, ValueError, KeyError):
        return False


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
