"""A text in the pieces that a tokenizer has a token for, where its own way of cutting meets a word that it lacks.

A model may draw ``11`` and ``66`` side by side, and ``1166`` is then one number to a tokenizer of whole numbers, and
unknown. The text can still be written in its tokens: the longest that fits, from the left. Whether these are the tokens
that were drawn says their hash (`store/samples.py`).
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from reachlab.models.tokenizer import decode_answers


def known_pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int] | None]:
    """The tokens of each text; None where a character has none, or where they are not read back as the text."""
    if not texts:
        return []
    vocabulary = {word: i for word, i in tokenizer.get_vocab().items() if i not in tokenizer.all_special_ids}
    longest = max(map(len, vocabulary), default=0)
    found = [_cut(vocabulary, longest, text) for text in texts]
    read = decode_answers(tokenizer, [ids or [] for ids in found])
    return [ids if again == text else None for ids, again, text in zip(found, read, texts, strict=True)]


def _cut(vocabulary: dict[str, int], longest: int, text: str) -> list[int] | None:
    ids, at = list[int](), 0
    while at < len(text):
        ends = range(min(len(text), at + longest), at, -1)
        end = next((end for end in ends if text[at:end] in vocabulary), None)
        if end is None:
            return None
        ids.append(vocabulary[text[at:end]])
        at = end
    return ids
