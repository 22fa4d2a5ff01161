import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reachlab.checks.contract import ContractError
from reachlab.checks.engine import check_engine
from reachlab.engines import open_engine
from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer, Progress
from reachlab.sampling.config import SampleConfig
from reachlab.types import Prompt

LETTERS = "abcdefgh"


def test_our_own_is_whole(checkpoint: Path) -> None:
    engine = open_engine(SampleConfig(model=str(checkpoint), task="countdown", out="", device="cpu"))
    check_engine(engine, ["1,2,3=6:", "4,5=9:", "7,"])
    engine.close()


class Whole:
    """Letters by prompt, seed and place, eight of them or until the limit."""

    name, dtype, seeded, piece, lanes = "x", "float32", True, 0, 1

    def part_size(self, decoding: Decoding, longest: int) -> int:
        return 8

    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        rng = random.Random(f"{prompt} {seed if decoding.temperature else 0}")
        length = min(rng.randrange(6, 20), decoding.max_tokens)
        text = "".join(rng.choices(LETTERS, k=length))
        ends = [text.index(s) for s in decoding.stop if s in text]
        if ends:
            return EngineAnswer(text[: min(ends)], min(ends) + 1, "stop", -1.0)
        return EngineAnswer(text, length, "length" if length == decoding.max_tokens else "stop", -2.0 * length)

    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        found = [[self.draw(p, s, decoding) for s in row] for p, row in zip(prompts, seeds, strict=True)]
        if progress is not None:
            for answer in (answer for row in found for answer in row):
                progress(1, answer.tokens)
        return found

    def close(self) -> None:
        """Nothing is held."""


def test_a_small_one_is_whole() -> None:
    check_engine(Whole())


class OneForAll(Whole):
    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        return [row[:1] for row in super().answer(prompts, seeds, decoding, progress)]


class Silent(Whole):
    def answer(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[EngineAnswer]]:
        return super().answer(prompts, seeds, decoding)


class Changed(Whole):
    """What is wrong with each answer."""

    def __init__(self, change: Callable[[EngineAnswer, Decoding], EngineAnswer]):
        self.change = change

    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        return self.change(super().draw(prompt, seed, decoding), decoding)


class Streaming(Whole):
    """One stream of chance for all answers."""

    rng = random.Random(0)

    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        return super().draw(prompt, self.rng.randrange(100), decoding)


class Seedless(Whole):
    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        return super().draw(prompt, 0, decoding)


class Hot(Whole):
    seeded = False

    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        return super().draw(prompt, random.randrange(100), replace(decoding, temperature=1.0))


class KeepsStop(Whole):
    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        found = super().draw(prompt, seed, decoding)
        return replace(found, text=found.text + decoding.stop[0]) if decoding.stop else found


class Unstopped(Whole):
    def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        return super().draw(prompt, seed, replace(decoding, stop=()))


BROKEN = {
    r"answers \[3, 3, 3\] seeds with \[1, 1, 1\]": OneForAll(),
    "tells progress of 0 samples": Silent(),
    "counts 0 tokens": Changed(lambda a, d: replace(a, tokens=0)),
    "counts 13 tokens .* of at most 12": Changed(lambda a, d: replace(a, tokens=d.max_tokens + 1)),
    "says finish='length' of an answer of": Changed(lambda a, d: replace(a, finish="length")),
    "says log-probability 0.5": Changed(lambda a, d: replace(a, logprob=0.5)),
    "says log-probability nan": Changed(lambda a, d: replace(a, logprob=float("nan"))),
    "depends on the weights, the prompt, the seed": Streaming(),
    "gives 16 seeds the same answer": Seedless(),
    "at temperature 0; there the likeliest": Hot(),
    "a stop string ends an answer and is cut off it": KeepsStop(),
    r"\(length\) where|\(stop\) where": Unstopped(),
}


@pytest.mark.parametrize(("says", "engine"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, engine: Whole) -> None:
    with pytest.raises(ContractError, match=f"^the engine 'x' .*{says}"):
        check_engine(engine)


def test_ties_are_forgiven_where_they_are_few() -> None:
    class Tied(Whole):
        asked = 0

        def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
            found = super().draw(prompt, seed, decoding)
            Tied.asked += 1
            return replace(found, text="?" + found.text[1:]) if Tied.asked == 3 else found

    with pytest.raises(ContractError, match="among others"):
        check_engine(Tied())
    Tied.asked = 0
    check_engine(Tied(), ties=1)
