"""Finds stop strings in what was generated, decoding only where the newest token can have completed one."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase


class StopStrings:
    """The strings at which an answer ends."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]):
        self.tokenizer, self.stop = tokenizer, stop
        endings = {s[-1] for s in stop}
        pieces = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
        # A character split over several tokens decodes to U+FFFD piece by piece.
        self.may_end = np.array([bool(endings & set(piece)) or "\ufffd" in piece for piece in pieces])

    def cut(self, tokens_T: np.ndarray) -> str | None:
        """The text before the first stop string, or None where there is none."""
        text: str = self.tokenizer.decode(tokens_T, skip_special_tokens=True)
        found = [at for s in self.stop if (at := text.find(s)) >= 0]
        return text[: min(found)] if found else None
