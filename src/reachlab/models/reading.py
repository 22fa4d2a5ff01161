"""Text to tokens and back, as a model meets it: special tokens are marks, and a text that says one's name holds none.

Three things that a tokenizer does to a text by itself, and that are not wanted everywhere:

- It takes the name of a special token (``</s>``) in a text for the token. In a document, a question or an answer it is
  characters like others. In what a template writes it is the token. So the names are replaced by others that no text
  holds, in the tokenizer and in the template's own words, and what is left is ordinary. (Meta's own code draws the same
  line: `encode(allowed_special=...)` of tiktoken.)
- It puts a space before a text (SentencePiece's dummy prefix, ``add_prefix_space``), and takes one off again where it
  decodes. An answer goes on where its prompt ends: nothing is put before it, nothing taken off.
- It opens a text with a token (BOS) and may close it with one (EOS). A prompt is opened once, also where a template has
  written the mark already, and never closed.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError

SIGNS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Noncharacters of Unicode: what no text holds that is meant for somebody else."""
Spans = Sequence[tuple[int, int]]
"""Where in a text somebody's words stand: from, to."""


class Reader:
    """How one tokenizer reads and writes; made once a tokenizer (`reader_of`)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer, self.key = tokenizer, _key(tokenizer)
        self._backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
        added: dict[int, AddedToken] = self._backend.get_added_tokens_decoder() if self._backend else {}
        # Some checkpoints name a token as theirs and do not mark it as special where it is listed.
        named = {*tokenizer.all_special_tokens}
        self.special = {token.content: i for i, token in added.items() if token.special or token.content in named}
        self._unmarked = {i for i, token in added.items() if not token.special and token.content in named}
        # One whose name is matched after the text is normalised hides in texts that do not spell it.
        self._hides = bool(self._backend and self._backend.normalizer) and any(
            token.normalized for token in added.values() if token.content in self.special
        )
        longest_first = sorted(self.special, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._made: dict[tuple[str, bool], Tokenizer] = {}

    def literal(self, text: str) -> str | None:
        """The first special token that a text names, if any."""
        match = self._names.search(text) if self._names else None
        return match[0] if match else None

    def hide(self, text: str, sign: str) -> str:
        """A text with special tokens' names under others; `shown` brings them back."""
        return self._names.sub(lambda match: _other_name(self.special[match[0]], sign), text) if self._names else text

    def shown(self, text: str, sign: str) -> tuple[str, Spans]:
        """A text with what was hidden, and where that stands."""
        names = {str(i): name for name, i in self.special.items()}
        spans: list[tuple[int, int]] = []
        done, at = "", 0
        for match in re.finditer(f"{sign}([0-9]+){sign}", text):
            done += text[at : match.start()]
            spans.append((len(done), len(done) + len(names[match[1]])))
            done, at = done + names[match[1]], match.end()
        return done + text[at:], spans

    def encode(
        self, texts: Sequence[str], *, following: bool = False, free_spans: Sequence[Spans] | None = None
    ) -> list[list[int]]:
        """The tokens of texts, without any that the tokenizer puts around them.

        Args:
            texts: whole texts, or what follows on something else (`following`).
            free_spans: of each text, the spans in which special tokens' names are characters. None: in all of it.
        """
        if self._backend is None:
            return self._ids(texts, split=free_spans is None)
        following = following and self._prefixed
        spans: Sequence[Spans] = free_spans if free_spans is not None else [[(0, len(text))] for text in texts]
        hidden = free_spans is None and self._hides
        other = [following or hidden or self._names_token(text, at) for text, at in zip(texts, spans, strict=True)]
        # Text by text, so that none depends on what it is encoded with.
        usual = iter(self._ids([text for text, is_other in zip(texts, other, strict=True) if not is_other]))
        rest = [(text, at) for text, at, is_other in zip(texts, spans, other, strict=True) if is_other]
        unusual = iter(self._renamed(rest, following) if rest else ())
        return [next(unusual if is_other else usual) for is_other in other]

    def _names_token(self, text: str, spans: Spans) -> bool:
        return any(self.literal(text[start:stop]) is not None for start, stop in spans)

    def _renamed(self, texts: Sequence[tuple[str, Spans]], following: bool) -> list[list[int]]:
        sign = free_sign([text for text, _ in texts])
        signed = [self._signed(text, spans, sign) for text, spans in texts]
        encodings = self._variant(sign, following).encode_batch(signed, add_special_tokens=False)
        return [one.ids for one in encodings]

    def decode(self, rows: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
        """What answers say: their texts without special tokens, with every space that stands in them."""
        if self._unmarked:
            rows = [[i for i in row if i not in self._unmarked] for row in rows]
        if self._backend is None or not self._prefixed:
            texts: list[str] = self.tokenizer.batch_decode(
                rows, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            return texts
        return self._variant(SIGNS[0], True).decode_batch([[int(i) for i in row] for row in rows])

    @property
    def opening(self) -> list[int]:
        """The tokens with which the tokenizer opens every text."""
        bare, whole = (self._ids(["a"], special)[0] for special in (False, True))
        places = range(len(whole) - len(bare) + 1)
        start = next((at for at in places if whole[at : at + len(bare)] == bare), 0)
        return whole[:start]

    def opened(self, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Prompts with their opening, once, whether a template has written it or not."""
        opening, bos = self.opening, self.tokenizer.bos_token_id
        mark = opening or ([bos] if bos is not None else [])
        for row in rows:
            rest, written = list(row), False
            while mark and rest[: len(mark)] == mark:
                rest, written = rest[len(mark) :], True
            yield [*mark, *rest] if opening or written else rest

    # -- variants of the tokenizer ----------------------------------------------------------------------------------

    def _ids(self, texts: Sequence[str], special: bool = False, split: bool = False) -> list[list[int]]:
        if not texts:
            return []
        # Everything is said: a checkpoint may have defaults of its own.
        ids: list[list[int]] = self.tokenizer(
            list(texts), add_special_tokens=special, split_special_tokens=split, return_attention_mask=False
        )["input_ids"]
        return ids

    def _signed(self, text: str, spans: Spans, sign: str) -> str:
        """The text with the special tokens that stand outside of what is said under their other names."""
        done, at = list[str](), 0
        for start, stop in [*spans, (len(text), len(text))]:
            done += [self.hide(text[at:start], sign), text[start:stop]]
            at = stop
        return "".join(done)

    @cached_property
    def _prefixed(self) -> bool:
        """Whether it puts a space before a text, or takes one off."""
        if self._backend is None:
            return False
        # What is put before and what is taken off stand in these; the vocabulary need not be written out to look.
        before = [_state(part) for part in (self._backend.normalizer, self._backend.pre_tokenizer)]
        after = _state(self._backend.decoder)
        prefixed = any(_without_prefix(part) != part for part in before) or _without_strip(after) != after
        return prefixed and not _by_word(before[1])

    def _variant(self, sign: str, following: bool) -> Tokenizer:
        if (sign, following) not in self._made:
            assert self._backend is not None
            state = json.loads(self._backend.to_str())
            state |= {"truncation": None, "padding": None, "post_processor": None}
            if following:
                state |= {part: _without_prefix(state[part]) for part in ("normalizer", "pre_tokenizer")}
                state["decoder"] = _without_strip(state["decoder"])
            _rename(state, self.special, sign)
            self._made[sign, following] = Tokenizer.from_str(json.dumps(state))
        return self._made[sign, following]


def free_sign(texts: Sequence[str]) -> str:
    """A character that stands in none of the texts.

    Raises:
        ReachlabError: they hold all that there are.
    """
    free = (sign for sign in SIGNS if not any(sign in text for text in texts))
    if (unused := next(free, None)) is None:
        raise ReachlabError("a text holds every noncharacter from U+FDD0 to U+FDEF; take them out of it")
    return unused


def reader_of(tokenizer: PreTrainedTokenizerBase) -> Reader:
    """The reader that belongs to a tokenizer, which it travels with."""
    reader: Reader | None = getattr(tokenizer, "reader", None)
    if reader is None or reader.key != _key(tokenizer) or reader.tokenizer is not tokenizer:
        reader = tokenizer.reader = Reader(tokenizer)
    return reader


def _key(tokenizer: PreTrainedTokenizerBase) -> tuple[Any, ...]:
    """What changes when somebody gives a tokenizer more special tokens."""
    return len(tokenizer), tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token


def _state(part: Any) -> Any:
    return None if part is None else json.loads(part.__getstate__())


def _other_name(i: int, sign: str) -> str:
    return f"{sign}{i}{sign}"


def _rename(state: dict[str, Any], special: Collection[str], sign: str) -> None:
    """Give a tokenizer's special tokens other names, in its vocabulary too.

    Else a model of whole words, or Unigram, for which a special piece is the cheapest, finds the name there.
    """
    model = state["model"]
    vocabulary = model["vocab"]
    by_name = isinstance(vocabulary, dict)
    merged = {"".join(pair) if isinstance(pair, list) else pair.replace(" ", "", 1) for pair in model.get("merges", ())}
    kept = []
    for token in state["added_tokens"]:
        name, other = token["content"], _other_name(token["id"], sign)
        inside = name in vocabulary if by_name else token["id"] < len(vocabulary)
        if name not in special:
            kept.append(token)
        elif inside and (len(name) == 1 or name in merged):
            continue  # a character, or a piece of text, that somebody made a mark of: it has no other token
        else:
            if inside and by_name:
                vocabulary[other] = vocabulary.pop(name)
            elif inside:
                vocabulary[token["id"]][0] = other
            if model.get("unk_token") == name:
                model["unk_token"] = other
            kept.append({**token, "content": other, "special": True, "normalized": False})
    state["added_tokens"] = kept


def _without_prefix(part: Any) -> Any:
    """A normalizer or pre-tokenizer that puts no space before a text; None where it does nothing else."""
    if not isinstance(part, dict):
        return part
    for name in ("normalizers", "pretokenizers"):
        if name in part:
            inner = [_without_prefix(one) for one in part[name]]
            return {**part, name: [one for one in inner if one is not None]}
    if part["type"] == "Prepend":
        return None
    if part["type"] == "Metaspace":
        return {**part, "prepend_scheme": "never"}
    return {**part, "add_prefix_space": False} if part["type"] == "ByteLevel" else part


def _without_strip(decoder: Any) -> Any:
    """A decoder that takes no space off."""
    if not isinstance(decoder, dict):
        return decoder
    if "decoders" in decoder:
        return {**decoder, "decoders": [_without_strip(one) for one in decoder["decoders"]]}
    if decoder["type"] == "Strip" and decoder["content"] == " ":
        return {**decoder, "start": 0}
    return {**decoder, "prepend_scheme": "never"} if decoder["type"] == "Metaspace" else decoder


def _by_word(pre_tokenizer: Any) -> bool:
    """Whether spaces are dropped and every word gets a mark instead (T5): there is no text without one."""
    inner = pre_tokenizer.get("pretokenizers", []) if isinstance(pre_tokenizer, dict) else []
    kinds = [one.get("type") for one in inner]
    return "Metaspace" in kinds and bool({"Whitespace", "WhitespaceSplit"} & {*kinds[: kinds.index("Metaspace")]})
