"""Make a tokenizer from text: characters, whole numbers, or byte-level BPE.

All three are `tokenizers` objects inside transformers' own class, so `AutoTokenizer.from_pretrained` reads them back.
None adds a token of its own to a text: a prompt's tokens followed by its answer's tokens are what a model is trained
on.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from reachlab.errors import ReachlabError
from reachlab.models.chat import write_chat
from reachlab.models.reading import Spans, free_sign, reader_of
from reachlab.models.vision import encode_seen
from reachlab.types import Illustrated, Prompt, Text

Kind = Literal["char", "number", "bpe"]

AT_ONCE = 64
"""Prompts whose pixels are held together where only their ids are wanted."""
PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
SPLITS = {
    "char": r"[\s\S]",
    # A number is one token together with the sign that introduces it: ``=33`` and ``;33`` cost one step, not two.
    "number": r"[=; ]?\d+|[\s\S]",
}


def train_tokenizer(kind: Kind, texts: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerBase:
    """A tokenizer that knows what `texts` hold; `vocab_size` is its bound (BPE: its aim).

    Raises:
        ReachlabError: no text, or a vocabulary too small for the special tokens and bytes.
    """
    texts = iter(texts)
    first = next((text for text in texts if text), None)
    if first is None:
        raise ReachlabError("a tokenizer needs text to learn from; there is none")
    texts = chain([first], texts)
    if kind == "bpe":
        if vocab_size < 256 + 2:
            raise ReachlabError(f"a byte-level BPE vocabulary has at least 258 entries, {vocab_size} asked")
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, EOS],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, eos_token=EOS)
    vocabulary = [PAD, EOS, UNK, *_words(kind, texts)][:vocab_size]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(SPLITS[kind]), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, eos_token=EOS, unk_token=UNK)


def _words(kind: Kind, texts: Iterable[str]) -> list[str]:
    """The tokens of `texts`, most frequent first. Numbers are filled up: below the largest seen, none is unknown."""
    counts = Counter(word for text in texts for word in re.findall(SPLITS[kind], text))
    if kind == "number":
        largest: dict[str, int] = {}
        for word in counts:
            number = word.lstrip("=; ")
            if number.isdecimal():
                sign = word.removesuffix(number)
                largest[sign] = max(largest.get(sign, 0), int(number))
        for sign, top in largest.items():
            counts.update({f"{sign}{i}": 0 for i in range(min(top, 9999) + 1)})
    return sorted(counts, key=lambda word: (-counts[word], word))


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of what decides the tokens of a text: the same before it is saved and after it is loaded."""
    rules = {**json.loads(tokenizer.backend_tokenizer.to_str()), "truncation": None, "padding": None}
    about = json.dumps([rules, tokenizer.eos_token_id], sort_keys=True)
    return hashlib.blake2b(about.encode(), digest_size=16).hexdigest()


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Each prompt's tokens: its text as it stands, or its messages through the checkpoint's chat template.

    One with pictures is a `Seen` (`vision.py`), which has their pixels too.

    Raises:
        ReachlabError: messages, and a tokenizer without a chat template; a picture that cannot be had, or a model that
            takes none.
    """
    reader = reader_of(tokenizer)
    texts = [prompt for prompt in prompts if not isinstance(prompt, Illustrated)]
    written = [_written(tokenizer, text) for text in texts]
    ids = reader.encode([text for text, _ in written], free_spans=[spans for _, spans in written])
    encoded = reader.opened(ids)
    seen = iter(encode_seen(tokenizer, [prompt for prompt in prompts if isinstance(prompt, Illustrated)]))
    rows = [next(seen) if isinstance(p, Illustrated) else next(encoded) for p in prompts]
    _check(tokenizer, rows)
    return rows


def _written(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> tuple[str, Spans]:
    """A prompt as text, and where in it somebody's words name special tokens."""
    if isinstance(prompt, str):
        return prompt, getattr(prompt, "said", ())
    reader = reader_of(tokenizer)
    contents = [str(message["content"]) for message in prompt.messages]
    if not any(map(reader.literal, contents)):
        return write_chat(tokenizer, prompt), ()
    # The template must not read them either: it writes something else in their place.
    sign = free_sign(contents)
    messages = tuple({**m, "content": reader.hide(str(m["content"]), sign)} for m in prompt.messages)
    return reader.shown(write_chat(tokenizer, replace(prompt, messages=messages)), sign)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> list[list[int]]:
    """As `encode_prompts`, without pixels: for many prompts that are only looked through and counted.

    Raises:
        ReachlabError: as `encode_prompts`.
    """
    pieces = (prompts[start : start + AT_ONCE] for start in range(0, len(prompts), AT_ONCE))
    return [list(prompt) for piece in pieces for prompt in encode_prompts(tokenizer, piece)]


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of whole texts; special tokens' names in them are characters, and nothing is put around them."""
    return reader_of(tokenizer).encode(texts)


def encode_answers(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of texts that go on where prompts end, as a model would draw them there."""
    ids = reader_of(tokenizer).encode(texts, following=True)
    _check(tokenizer, ids)
    return ids


def decode_answers(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
    """The texts of drawn tokens, without special tokens; nothing else is left out of them."""
    return reader_of(tokenizer).decode(rows)


def _check(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Sequence[int]]) -> None:
    """See that the model has embeddings for these tokens.

    Raises:
        ReachlabError: it has none for one that was added to the tokenizer alone.
    """
    rows_of_model = getattr(tokenizer, "embeddings", None)  # `load_tokenizer`
    if rows_of_model is None or len(tokenizer) <= rows_of_model:
        return
    beyond = next((i for row in rows for i in row if i >= rows_of_model), None)
    if beyond is not None:
        raise ReachlabError(
            f"the tokenizer writes {tokenizer.convert_ids_to_tokens(beyond)!r}, token {beyond}, and the model has "
            f"{rows_of_model} embeddings: the token was added and the model not resized; resize it, or ask it without"
        )
