"""Finds stop strings in what was generated, decoding only where the newest token can have completed one.

Axes. B: rows, T: tokens of one row.
"""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from reachlab.models.tokenizer import decode_answers


class StopStrings:
    """The strings at which an answer ends."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]):
        self.tokenizer, self.stop = tokenizer, stop
        endings = {s[-1] for s in stop}
        pieces = decode_answers(tokenizer, [[i] for i in range(len(tokenizer))])
        # A character split over several tokens decodes to U+FFFD piece by piece.
        self._may_end = np.array([bool(endings & set(piece)) or "\ufffd" in piece for piece in pieces])

    def may_end(self, tokens_B: np.ndarray) -> np.ndarray:
        """Which tokens can complete a stop string.

        A model may draw ids beyond its tokenizer's (a vocabulary padded to a round number): they have no text.
        """
        inside_B = tokens_B < len(self._may_end)
        completes_B: np.ndarray = inside_B & self._may_end[np.where(inside_B, tokens_B, 0)]
        return completes_B

    def cut(self, tokens_T: np.ndarray) -> str | None:
        """The text before the first stop string, or None where there is none."""
        (text,) = decode_answers(self.tokenizer, [tokens_T])
        places = [at for s in self.stop if (at := text.find(s)) >= 0]
        return text[: min(places)] if places else None
