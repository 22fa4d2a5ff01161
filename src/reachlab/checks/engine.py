"""Whether an engine that is open keeps what `engines/engine.py` promises of it."""

import math
from collections.abc import Sequence

from reachlab.checks.contract import Contract
from reachlab.engines.config import Decoding
from reachlab.engines.engine import Engine, EngineAnswer
from reachlab.types import Prompt

PROMPTS = ("3,1,2>", "1+", "What is 1 + 2?")
SHORT = 12
"""Tokens of an answer here."""


def check_engine(engine: Engine, prompts: Sequence[Prompt] = PROMPTS, ties: int = 0) -> None:
    """Ask an engine a few short answers, together and one by one.

    Args:
        engine: open; it stays so.
        prompts: different ones, two or more, that its model can answer.
        ties: how many of the answers that are compared may differ. In another batch a GPU adds numbers in another
            order, and once in a while that decides a draw.

    Raises:
        ContractError: it does not do what an engine promises.
    """
    contract = Contract(f"the engine {engine.name!r}")
    drawing = Decoding(max_tokens=SHORT)
    seeds = [[17 * p + i for i in range(3)] for p in range(len(prompts))]
    told: list[tuple[int, int]] = []
    found = engine.answer(prompts, seeds, drawing, lambda samples, tokens: told.append((samples, tokens)))
    _check_answers(found, seeds, drawing, contract)
    answers = [answer for row in found for answer in row]
    samples, tokens = (sum(column) for column in zip(*told, strict=True)) if told else (0, 0)
    contract.holds(
        (samples, tokens) == (len(answers), sum(answer.tokens for answer in answers)),
        f"tells progress of {samples} samples and {tokens} tokens, and answers with {len(answers)} and "
        f"{sum(answer.tokens for answer in answers)}",
        "what is told adds up to what was drawn",
    )
    _check_nothing(engine, drawing, contract)
    if engine.seeded:
        _check_batches(engine, prompts, seeds, drawing, found, ties, contract)
        _check_seeds(engine, prompts[0], contract)
    _check_greedy(engine, prompts, ties, contract)
    _check_stop(engine, prompts, contract)


def _check_answers(
    found: Sequence[Sequence[EngineAnswer]], seeds: Sequence[Sequence[int]], decoding: Decoding, contract: Contract
) -> None:
    shape = [len(row) for row in found]
    contract.holds(
        shape == [len(row) for row in seeds],
        f"answers {[len(row) for row in seeds]} seeds with {shape} answers",
        "one answer a seed, in order",
    )
    for answer in (answer for row in found for answer in row):
        contract.holds(
            0 < answer.tokens <= decoding.max_tokens or answer.finish == "content_filter",
            f"counts {answer.tokens} tokens of {answer.text[:40]!r}, of at most {decoding.max_tokens}",
            "an answer has one or more, the end-of-text token included",
        )
        contract.holds(
            answer.finish != "length" or answer.tokens == decoding.max_tokens,
            f"says finish='length' of an answer of {answer.tokens} tokens, where {decoding.max_tokens} were allowed",
            "only an answer of max_tokens is cut",
        )
        contract.holds(
            answer.logprob is None or (math.isfinite(answer.logprob) and answer.logprob <= 0),
            f"says log-probability {answer.logprob}",
            "it is the model's own of all tokens, in nats: at most 0; None where there is none",
        )


def _check_nothing(engine: Engine, decoding: Decoding, contract: Contract) -> None:
    contract.holds(engine.answer([], [], decoding) == [], "answers where nothing is asked", "no prompts, no answers")


def _check_batches(
    engine: Engine,
    prompts: Sequence[Prompt],
    seeds: Sequence[Sequence[int]],
    decoding: Decoding,
    found: Sequence[Sequence[EngineAnswer]],
    ties: int,
    contract: Contract,
) -> None:
    """An answer depends on its prompt and seed, and not on what else is asked."""
    backwards = engine.answer([*reversed(prompts)], [[*reversed(row)] for row in reversed(seeds)], decoding)
    turned = [answer for row in reversed(backwards) for answer in reversed(row)]
    asked = [(prompt, seed) for prompt, row in zip(prompts, seeds, strict=True) for seed in row]
    alone = [engine.answer([prompt], [[seed]], decoding)[0][0] for prompt, seed in asked]
    together = [answer for row in found for answer in row]
    for what, others in (("when the same are asked backwards", turned), ("alone", alone)):
        apart = [(one, other) for one, other in zip(together, others, strict=True) if not _alike(one, other)]
        contract.holds(
            len(apart) <= ties,
            f"answers {apart[0][0].text[:30]!r} among others and {apart[0][1].text[:30]!r} {what}" if apart else "",
            "an answer depends on the weights, the prompt, the seed and the decoding alone",
        )


def _check_seeds(engine: Engine, prompt: Prompt, contract: Contract) -> None:
    hot = Decoding(temperature=3.0, max_tokens=SHORT)
    (row,) = engine.answer([prompt], [list(range(16))], hot)
    contract.holds(
        len({answer.text for answer in row}) > 1,
        f"gives 16 seeds the same answer {row[0].text[:40]!r} at temperature 3",
        "a seed decides an answer's draws",
    )


def _check_greedy(engine: Engine, prompts: Sequence[Prompt], ties: int, contract: Contract) -> None:
    greedy = Decoding(temperature=0.0, max_tokens=SHORT)
    found = engine.answer(prompts, [[1, 2] for _ in prompts], greedy)
    again = engine.answer(prompts, [[3] for _ in prompts], greedy)
    apart = [
        (row[0].text, other.text)
        for row, (third,) in zip(found, again, strict=True)
        for other in (row[1], third)
        if not _alike(row[0], other)
    ]
    contract.holds(
        len(apart) <= ties,
        f"answers {apart[0][0][:30]!r} and {apart[0][1][:30]!r} at temperature 0" if apart else "",
        "there the likeliest token is taken, whatever the seed",
    )


def _check_stop(engine: Engine, prompts: Sequence[Prompt], contract: Contract) -> None:
    """A character of a greedy answer, as a stop string, ends it."""
    greedy = Decoding(temperature=0.0, max_tokens=SHORT)
    for prompt in prompts:
        whole = engine.answer([prompt], [[0]], greedy)[0][0]
        if len(whole.text) < 2:
            continue
        stop = whole.text[len(whole.text) // 2]
        cut = engine.answer([prompt], [[0]], Decoding(temperature=0.0, max_tokens=SHORT, stop=(stop,)))[0][0]
        contract.holds(
            cut.text == whole.text[: whole.text.index(stop)] and cut.finish == "stop",
            f"answers {cut.text[:30]!r} ({cut.finish}) where {stop!r} ends {whole.text[:30]!r}",
            "a stop string ends an answer and is cut off it, and its finish is 'stop'",
        )


def _alike(one: EngineAnswer, other: EngineAnswer) -> bool:
    return (one.text, one.tokens, one.finish) == (other.text, other.tokens, other.finish)
