"""What an engine is: prompts and seeds in, answers out. A run may be begun with one and continued with another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from reachlab.engines.config import Decoding
from reachlab.types import Finish, Prompt

Progress = Callable[[int, int], None]
"""progress(samples, tokens): so many samples have finished, and so many tokens were drawn, since the last call; from
any thread. Tokens of answers that go on are counted where an engine knows them, else when the answer has finished."""

K = TypeVar("K")
Request = tuple[K, Prompt, int]
"""What a sample is called, its prompt and its seed."""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """One answer: its text without special tokens and stop string, and how many tokens it took, an end-of-text token
    included.

    `logprob` sums the model's own log-probabilities of its tokens (nats, temperature 1); None where the engine gives
    none. `tokens_hash` is one of the tokens themselves (`hash_tokens`), likewise.
    """

    text: str
    tokens: int
    finish: Finish
    logprob: float | None
    tokens_hash: int | None = None


class Engine(Protocol):
    """Anything that answers. `name` is what the store's `engine` column says, `dtype` what it computes in ("as served"
    where only a server knows), `seeded` whether an answer is drawn with its own seed.

    `lanes` calls of `answer` may run at once, each with up to `piece` samples, or with any number where it is 0: what
    keeps the engine busy while the slowest answers of another call are waited for.
    """

    name: str
    dtype: str
    seeded: bool
    piece: int

    @property
    def lanes(self) -> int:
        """See above."""
        ...

    def part_size(self, decoding: Decoding, longest: int) -> int:
        """Samples that are well stored together; `longest` is the longest prompt's tokens.

        Args:
            decoding: how answers are drawn, and of how many tokens at most.
            longest: tokens of the longest prompt.
        """
        ...

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        """One answer a seed, in order: `seeds[i]` are the samples of `prompts[i]`.

        Args:
            prompts: P prompts.
            seeds: P lists of seeds, 63 bits each, one a sample.
            decoding: temperature, truncation, the most tokens, stop strings.
            progress: called as of `Progress`.

        Raises:
            ReachlabError: the engine cannot go on; it says what to do.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds: processes, connections, memory."""
        ...


@runtime_checkable
class Streaming(Engine, Protocol):
    """An engine that batches by itself, continuously: what has finished is had at once, whatever else goes on."""

    def stream(
        self, requests: Iterable[Request[K]], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[list[tuple[K, EngineAnswer]]]:
        """The answers in the order in which they finish, those of about a moment together; an empty list now and then
        while there are none.

        Args:
            requests: a name, a prompt and a seed a sample, taken as there is room for more.
            decoding: temperature, truncation, the most tokens, stop strings.
            progress: called as of `Progress`.

        Raises:
            ReachlabError: as of `answer`; what was yielded is done.
        """
        ...
