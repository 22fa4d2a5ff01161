"""The embedded engine: a transformers checkpoint in this process, decoded by `transformers.py`."""

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from reachlab.models.checkpoint import load_model
from reachlab.models.devices import choose_device
from reachlab.models.tokenizer import encode_prompts
from reachlab.sampling.config import Decoding, SampleConfig
from reachlab.sampling.engines.engine import Answer
from reachlab.sampling.engines.transformers import TransformersDecoder
from reachlab.types import Prompt

PART_BATCHES = 4
"""A part is this many full batches: few enough to lose little when killed, enough to keep the batch full."""


class LocalEngine:
    """Prompts through a decoder. It fills its batches itself, so it takes one part at a time, whole."""

    lanes, piece = 1, 0

    def __init__(self, decoder: TransformersDecoder, tokenizer: PreTrainedTokenizerBase):
        self.decoder, self.tokenizer = decoder, tokenizer
        self.name = decoder.name

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """A few full batches."""
        return PART_BATCHES * self.decoder.batches() * self.decoder.choose_rows(decoding, longest)

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Answer]]:
        """See `Engine.answer`."""
        found = self.decoder.generate(encode_prompts(self.tokenizer, prompts), seeds, decoding, progress)
        return [[Answer(c.text, len(c.tokens), c.finish, c.logprob) for c in row] for row in found]

    def close(self) -> None:
        """Nothing is held that the process does not hold anyway."""


def open_engine(config: SampleConfig) -> LocalEngine:
    """Load the model.

    Raises:
        ReachlabError: a folder without a usable checkpoint, or a device that is not there.
    """
    device = choose_device(config.device)
    model, tokenizer = load_model(config.model, config.dtype)
    return LocalEngine(TransformersDecoder(model.to(device), tokenizer, config.rows), tokenizer)
