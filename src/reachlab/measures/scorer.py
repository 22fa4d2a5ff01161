"""A model that says how likely answers are: Σ_t log P(y_t | x, y_<t) at temperature 1, teacher-forced.

One pass over prompts and answers together, in packs (`models/packing.py`): no padding outside attention, a prompt once
for all its answers, logits only where an answer's token is, and these a few rows at a time.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.chat import answer_end
from reachlab.models.pack import Pack
from reachlab.models.packing import Packer
from reachlab.models.pieces import known_pieces
from reachlab.models.tokenizer import encode_answers
from reachlab.threads import side_by_side

PASS_TOKENS = 4096
"""Tokens of a pack on a CPU."""
ACCELERATOR_PASS_TOKENS = 16384
"""Likewise elsewhere: what a small model's kernels are busy with for longer than they take to launch."""
LOGITS = 1 << 28
"""Most logits of a pack, in numbers, of a model that makes them all at once."""


class Scorer:
    """Made once, used for any number of answers."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: int = 0):
        """`tokens`: most of a pack; 0 chooses by machine. The model is left with our attention (`Packer`)."""
        self.model, self.tokenizer, self.packer = model, tokenizer, Packer(model)
        on_cpu = model.device.type == "cpu"
        self.threads = torch.get_num_threads() if on_cpu else 1
        self.tokens = tokens or (PASS_TOKENS if on_cpu else ACCELERATOR_PASS_TOKENS)
        if not tokens and not self.packer.head_alone:
            vocabulary = int(model.config.get_text_config().vocab_size)
            self.tokens = min(self.tokens, max(1, LOGITS // vocabulary))

    def encode(self, texts: Sequence[str], ended: Sequence[bool], chats: Sequence[bool]) -> list[list[int]]:
        """The tokens of answers, where one has `ended` with what ends a text, or a turn where it is of a chat. A word
        that the tokenizer lacks is written in pieces that it has, if it has them."""
        ends = [self.turn_end if chat else self.tokenizer.eos_token_id for chat in chats]
        answers, unknown = encode_answers(self.tokenizer, texts), self.tokenizer.unk_token_id
        lacking = [at for at, ids in enumerate(answers) if unknown is not None and unknown in ids]
        for at, pieces in zip(lacking, known_pieces(self.tokenizer, [texts[at] for at in lacking]), strict=True):
            answers[at] = pieces or answers[at]
        rows = zip(answers, ended, ends, strict=True)
        return [[*ids, end] if stop else ids for ids, stop, end in rows]

    @cached_property
    def turn_end(self) -> int:
        """The token that ends an answer in a chat."""
        generation = self.model.generation_config
        listed = generation.eos_token_id if generation is not None else None
        return answer_end(self.tokenizer, listed if isinstance(listed, list) else [] if listed is None else [listed])

    def pack(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]]) -> list[Pack]:
        """Packs for `logprobs`: the answers to each prompt. Prompts and answers have a token at least."""
        return self.packer.pack(prompts, answers, self.tokens, self.threads)

    def logprobs(self, packs: Sequence[Pack], done: Callable[[Pack], None] = lambda pack: None) -> NDArray[np.float64]:
        """log P of each answer, in the order in which `pack` got them, prompt after prompt. `done` hears of packs.

        Raises:
            ReachlabError: a log-probability that is not a number, or a pack that takes too much memory.
        """

        def score(pack: Pack) -> torch.Tensor:
            found_B = self.packer.sums(self.model, pack.to(self.model.device))
            done(pack)
            return found_B

        try:
            found = side_by_side(score, packs, min(self.threads, len(packs)))
            # Fetched together: an accelerator ends all that was launched before it gives anything away.
            found_N = torch.cat(found).cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise ReachlabError(
                f"out of memory on {self.model.device} with passes of {self.tokens} tokens; give fewer with --tokens"
            ) from error
        logprob_N = np.empty(len(found_N))
        logprob_N[torch.cat([pack.index_B for pack in packs]).numpy()] = found_N
        if np.isnan(logprob_N).any():
            raise ReachlabError(
                "the judge's logits are not finite: its weights are damaged, or its dtype is too narrow for them"
            )
        return logprob_N
