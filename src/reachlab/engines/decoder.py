"""What a decoder is: tokens and seeds in, completions as tokens out. Trainers draw from one; `local.py` makes an engine
of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reachlab.engines.config import Decoding
from reachlab.engines.engine import Progress
from reachlab.types import Finish


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer as tokens: int32 ids, an end-of-text token included where the model wrote one.

    `logprob` sums the model's own log-probabilities of these tokens (nats, temperature 1). `text` is the answer
    decoded, without special tokens and without the stop string that ended it.
    """

    tokens: np.ndarray
    text: str
    finish: Finish
    logprob: float


class Decoder(Protocol):
    """Anything that turns tokens into completions. `name` is what the store's `engine` column says."""

    name: str

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """One completion a seed, in order: `seeds[i]` are the samples of `prompts[i]`.

        A completion depends on (weights, prompt, seed, decoding) alone, up to floating-point ties. `progress` is told
        of finished samples and of every token.

        Args:
            prompts: P lists of token ids.
            seeds: P lists of seeds, 63 bits each, one a sample.
            decoding: temperature, truncation, the most tokens, stop strings.
            progress: called with (samples finished, tokens drawn) since its last call, from any thread.
        """
        ...
