"""The embedded engine: a transformers checkpoint in this process, decoded by `transformers.py`."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from reachlab.engines.config import Decoding, EngineChoice
from reachlab.engines.decoder import Decoder
from reachlab.engines.engine import EngineAnswer, Progress
from reachlab.engines.transformers import STEP_FLOPS, TransformersDecoder
from reachlab.models.checkpoint import load_model
from reachlab.models.devices import choose_device
from reachlab.models.dtypes import own_dtype
from reachlab.models.tokenizer import encode_prompts
from reachlab.text_hashes import hash_tokens
from reachlab.types import Prompt

PART_BATCHES = 4
"""A part is at most this many full batches: enough to keep the batch full."""
PART_S = 60.0
"""Seconds that a part should take at most, if every answer is as long as it may be: a killed run draws it again."""
LEAST_ROWS = 32
"""Samples a part and thread below which a CPU waits for weights, and each part for its longest answer."""
STEP_S = 0.03
"""A decoding step on a GPU, about; `STEP_FLOPS` says the same of a CPU's core."""


class LocalEngine:
    """Prompts through a decoder. It fills its batches itself, so it takes one part at a time, whole."""

    lanes, piece, seeded = 1, 0, True

    def __init__(
        self, decoder: TransformersDecoder, tokenizer: PreTrainedTokenizerBase, drawn_by: Decoder | None = None
    ):
        """A model that is here.

        Args:
            decoder: which knows how much goes into a batch.
            tokenizer: the model's.
            drawn_by: what is asked for answers, where something stands around the decoder.
        """
        self.decoder, self.tokenizer, self.drawn_by = decoder, tokenizer, drawn_by or decoder
        self.name, self.dtype = decoder.name, str(decoder.model.dtype).removeprefix("torch.")

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """A few full batches, or fewer samples where those would take more than a minute.

        An estimate from sizes alone, so that a machine cuts the same work alike whatever else it does. Where the
        longest answer by itself takes more than a minute, so does a part: on a GPU a full batch, on a CPU
        `LEAST_ROWS` a thread.
        """
        rows, batches = self.decoder.choose_rows(decoding, longest), self.decoder.batches()
        if self.decoder.model.device.type != "cpu":
            fit = int(PART_S / (STEP_S * decoding.max_tokens))
            return batches * rows * min(max(fit, 1), PART_BATCHES)
        fit = int(PART_S * STEP_FLOPS / (2 * self.decoder.model.num_parameters() * decoding.max_tokens))
        return batches * min(max(fit, LEAST_ROWS), PART_BATCHES * rows)

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        """See `Engine.answer`."""
        completions = self.drawn_by.generate(encode_prompts(self.tokenizer, prompts), seeds, decoding, progress)
        return [
            [EngineAnswer(c.text, len(c.tokens), c.finish, c.logprob, hash_tokens(c.tokens)) for c in row]
            for row in completions
        ]

    def close(self) -> None:
        """Nothing is held that the process does not hold anyway."""


def open_engine(config: EngineChoice) -> LocalEngine:
    """Load the model.

    Raises:
        ReachlabError: a folder without a usable checkpoint, or a device that is not there.
    """
    device = choose_device(config.device)
    dtype = config.dtype
    if dtype == "auto":
        # On a CPU our kernels are float32's, and torch's narrow ones are slower.
        dtype = "float32" if device.type == "cpu" else own_dtype(config.model)
    model, tokenizer = load_model(config.model, dtype)
    return LocalEngine(TransformersDecoder(model.to(device), tokenizer, config.rows), tokenizer)
