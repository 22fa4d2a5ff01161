"""The policy as an engine: answers are drawn straight from the weights in training, and nothing goes through a disk."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.decoder import Completion, Decoder
from reachlab.engines.engine import Progress
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.devices import autocast
from reachlab.training.lora import merged
from reachlab.training.processes import Processes


class DrawingPolicy(Decoder, Protocol):
    """The policy as what draws its rollouts."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What a step is to log of it."""
        ...

    def ready(self) -> AbstractContextManager[None]:
        """The weights of the moment. All processes enter; what they generate inside is their own."""
        ...


class PolicyEngine:
    """Samples from the policy as it is at each call, straight from the weights that are being trained."""

    name = TransformersDecoder.name

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, processes: Processes, dtype: torch.dtype
    ):
        self.model, self.tokenizer, self.processes, self.dtype = model, tokenizer, processes, dtype
        self.engine: TransformersDecoder | None = None
        self.metrics: Mapping[str, float] = {}
        """Nothing: there is no way between this engine and the weights."""

    @contextmanager
    def ready(self) -> Iterator[None]:
        """The weights of the moment, whole and plain. All processes enter; what they generate inside is their own."""
        with self.processes.whole(self.model) as model, merged(model):
            self.engine = self.engine or TransformersDecoder(model, self.tokenizer)
            yield

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """See `Decoder.generate`. Within `ready` only."""
        assert self.engine is not None
        # On a CPU the sampler's own kernels in float32 are faster than bfloat16.
        device = self.model.device
        with autocast(self.dtype if device.type != "cpu" else torch.float32, device):
            return self.engine.generate(prompts, seeds, decoding, progress)
