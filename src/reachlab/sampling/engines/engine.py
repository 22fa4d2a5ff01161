"""What an engine is: prompts and seeds in, answers out. A run may be begun with one and continued with another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reachlab.sampling.config import Decoding
from reachlab.types import Finish, Prompt


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its text without special tokens and stop string, and how many tokens it took, an end-of-text token
    included.

    `logprob` sums the model's own log-probabilities of its tokens (nats, temperature 1); None where the engine gives
    none.
    """

    text: str
    tokens: int
    finish: Finish
    logprob: float | None


class Engine(Protocol):
    """Anything that answers. `name` is what the store's `engine` column says.

    `lanes` calls of `answer` may run at once, each with up to `piece` samples, or with any number where it is 0: what
    keeps the engine busy while the slowest answers of another call are waited for.
    """

    name: str
    lanes: int
    piece: int

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """Samples that are well stored together; `longest` is the longest prompt's tokens."""
        ...

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Answer]]:
        """One answer a seed, in order: `seeds[i]` are the samples of `prompts[i]`.

        `progress` is called, from any thread, with the number of samples that have finished since the last call.

        Raises:
            ReachlabError: the engine cannot go on; it says what to do.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds: processes, connections, memory."""
        ...
