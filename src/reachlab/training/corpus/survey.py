"""What a corpus holds, and which of its documents are held out.

    d is held out  ⇔  h(d) < share · 2⁶⁴,        h: 64 bits of a hash of the document's text

So the same documents are held out whatever the order, the seed and the rest of the corpus, and a copy of one is held
out with it: validation text is never trained on. Where no document falls below, the one with the smallest hash is held
out, unless it is more than a tenth of the text.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from reachlab.errors import ReachlabError
from reachlab.training.corpus.sources import open_text

ALL = 1 << 64


@dataclass(frozen=True)
class Corpus:
    """Text that was read through once: its documents, and what is known about them."""

    spec: str
    pattern: str
    """What and where it is, as of `open_text`."""
    hash: str
    """Of all documents, in their order."""
    documents: int
    characters: int
    """Of all documents."""
    threshold: int
    """Documents with a smaller hash are held out."""
    held_out_documents: int
    held_out_characters: int
    skipped: tuple[str, ...]
    """What was left out, and why."""

    def split(self) -> Iterator[tuple[str, bool]]:
        """Every document, and whether it is held out.

        Raises:
            ReachlabError: the documents are others than before; known once all have been read.
        """
        digest = _Digest()
        for text in open_text(self.spec, self.pattern)(lambda _: None):
            yield text, digest.add(text) < self.threshold
        if digest.all() != self.hash:
            raise ReachlabError(f"{self.spec}: the text changed while it was read; run the command again")

    def train(self) -> Iterator[str]:
        """The documents to learn from."""
        return (text for text, held_out in self.split() if not held_out)

    def sample(self, characters: int) -> Iterator[str]:
        """Documents to learn from, of about `characters` together, spread over the corpus."""
        share = characters / (self.characters - self.held_out_characters)
        taken = seen = 0
        for text in self.train():
            seen += len(text)
            if taken < share * seen:
                taken += len(text)
                yield text

    def remarks(self) -> list[str]:
        """What a user should know about the text."""
        if not self.skipped:
            return []
        return [f"{self.spec}: {len(self.skipped)} files or rows left out (the first: {self.skipped[0]})"]


def survey(spec: str, pattern: str = "*", share: float = 0.02) -> Corpus:
    """Read a corpus through once.

    Args:
        spec: as of `open_text`. pattern: which files below a folder. share: the share of documents to hold out.

    Raises:
        ReachlabError: nothing that can be read, or nothing left to learn from.
    """
    threshold = int(share * ALL)
    digest, skipped = _Digest(), list[str]()
    documents = characters = below = below_characters = 0
    smallest, of_smallest = ALL, (0, 0)
    for text in open_text(spec, pattern)(skipped.append):
        key = digest.add(text)
        documents, characters = documents + 1, characters + len(text)
        if key < threshold:
            below, below_characters = below + 1, below_characters + len(text)
        if key <= smallest:
            copies, length = of_smallest if key == smallest else (0, 0)
            smallest, of_smallest = key, (copies + 1, length + len(text))
    if not documents:
        others = f" (and {len(skipped) - 1} more that cannot be used)" * (len(skipped) > 1)
        raise ReachlabError(f"{skipped[0]}{others}" if skipped else f"{spec}: nothing to learn from")
    if threshold and not below and of_smallest[1] * 10 <= characters:
        threshold, (below, below_characters) = smallest + 1, of_smallest
    if below == documents:
        raise ReachlabError(f"{spec}: --held-out {share:g} leaves none of {documents} documents to learn from")
    return Corpus(
        spec, pattern, digest.all(), documents, characters, threshold, below, below_characters, tuple(skipped)
    )


class _Digest:
    """The hash of documents, from the hash of each."""

    def __init__(self) -> None:
        self._all = hashlib.blake2b(digest_size=16)

    def add(self, text: str) -> int:
        """One more document; returns h, 64 bits of a hash of it."""
        one = hashlib.blake2b(text.encode(), digest_size=16).digest()
        self._all.update(one)
        return int.from_bytes(one[:8], "big")

    def all(self) -> str:
        """The hash of the documents so far, in their order."""
        return self._all.hexdigest()
