"""What a server says an answer is, held against what an answer can be.

Counts, texts and log-probabilities go into the store as the model's own, so a server's word for them is checked: an
answer that cannot be one is no answer, and is asked for again. What is left out is another matter: a server need not
give log-probabilities. Nor does a filter's answer say anything of the model; it is kept as what it is, and judged by
nobody.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reachlab.engines.config import Decoding
from reachlab.engines.engine import EngineAnswer
from reachlab.engines.wire import UnusableError
from reachlab.storable import storable
from reachlab.types import FILTERED, Finish

FINISHES: Mapping[str, Finish] = {"stop": "stop", "length": "length", FILTERED: FILTERED}
UNFINISHED = (None, "abort", "error")
"""What is said of an answer that a server cut short for reasons of its own."""
ROUNDING, LEAST = 1e-3, -1e4
"""How far above 0 a log-probability may be computed, and below which no token is drawn (vLLM says -9999 for -inf)."""


class CutError(Exception):
    """An answer that is shorter than it should be, by a limit that will be the same next time."""


def read_answer(document: Any, decoding: Decoding, *, chat: bool) -> EngineAnswer:
    """The sample in a server's response to one request.

    Args:
        document: the response's JSON, whatever it holds.
        decoding: what was asked for.
        chat: whether the request was a chat.

    Raises:
        UnusableError: there is none, or it is not what it should be.
        CutError: a limit of the server's cut it.
    """
    choices = document.get("choices") if isinstance(document, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise UnusableError(f"an answer without choices ({document!r:.120})")
    if len(choices) != 1:
        raise UnusableError(f"{len(choices):,} choices where 1 was asked for")
    (choice,) = choices
    reason = choice.get("finish_reason")
    if reason in UNFINISHED:
        raise UnusableError(f"an answer that is not whole (finish_reason {reason!r})")
    finish = FINISHES.get(reason) if isinstance(reason, str) else None
    if finish is None:
        raise UnusableError(f"an answer that ended with {reason!r:.60}, which no sample of the model does")
    text = _chat_text(choice, finish) if chat else _text(choice.get("text"), "text", finish)
    if finish == FILTERED:
        return filtered(text, _count(document, decoding) or 0)
    logprobs = _logprobs(choice.get("logprobs"))
    tokens = _count(document, decoding) or (len(logprobs) if logprobs is not None else 0)
    if tokens == 0 and (text or _count(document, decoding) is None):
        raise UnusableError("an answer that does not say how many tokens it took (usage.completion_tokens)")
    if tokens > decoding.max_tokens:
        raise UnusableError(f"an answer of {tokens:,} tokens where {decoding.max_tokens:,} were asked for at most")
    if finish == "length" and tokens < decoding.max_tokens:
        raise CutError(
            f"the server cut an answer after {tokens:,} of {decoding.max_tokens:,} tokens: a limit of its own, or of "
            "the checkpoint's generation_config.json (max_new_tokens); raise it there, or lower --max-tokens"
        )
    cuts = [at for stop in decoding.stop if (at := text.find(stop)) >= 0]
    whole = logprobs is not None and len(logprobs) == tokens and None not in logprobs
    return EngineAnswer(
        text=storable(text[: min(cuts)] if cuts else text),  # some servers leave the stop string on
        tokens=tokens,
        finish=finish,
        logprob=min(0.0, math.fsum(value for value in logprobs if value is not None)) if whole and logprobs else None,
    )


def filtered(text: str = "", tokens: int = 0) -> EngineAnswer:
    """What is left of an answer that a filter stopped.

    Args:
        text: what came before the filter.
        tokens: how many that were.
    """
    return EngineAnswer(text=storable(text), tokens=tokens, finish=FILTERED, logprob=None)


def _chat_text(choice: Mapping[str, Any], finish: Finish) -> str:
    """What a message says. A server that parses reasoning puts it apart; it is part of what the model wrote."""
    message = choice.get("message")
    if message is None and finish == FILTERED:
        return ""
    if not isinstance(message, dict):
        raise UnusableError(f"an answer without a message ({message!r:.60})")
    thought = message.get("reasoning_content") or message.get("reasoning")
    if not thought:
        return _text(message.get("content"), "content", finish)
    content = message.get("content")
    return f"<think>{_text(thought, 'reasoning', finish)}</think>" + _text(content or "", "content", finish)


def _text(value: Any, name: str, finish: Finish) -> str:
    if value is None and finish == FILTERED:
        return ""
    if not isinstance(value, str):
        raise UnusableError(f"an answer whose {name} is no text ({value!r:.60})")
    return value


def _count(document: Mapping[str, Any], decoding: Decoding) -> int | None:
    """Tokens of the answer, where they are told."""
    usage = document.get("usage")
    value = usage.get("completion_tokens") if isinstance(usage, dict) else usage
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= decoding.max_tokens:
        raise UnusableError(
            f"an answer of {value!r:.40} tokens (usage.completion_tokens), where at most {decoding.max_tokens:,} were "
            "asked for"
        )
    return value


def _logprobs(logprobs: Any) -> Sequence[float | None] | None:
    """The log-probabilities of the tokens, where there are any; None among them where one is left out."""
    if logprobs is None:
        return None
    if not isinstance(logprobs, dict):
        raise UnusableError(f"log-probabilities that are none ({logprobs!r:.60})")
    values = logprobs.get("token_logprobs")
    if values is None:
        content = logprobs.get("content")
        values = content
        if isinstance(content, list):
            values = [token.get("logprob") if isinstance(token, dict) else token for token in content]
    if values is None or values == []:
        return None
    if not isinstance(values, list):
        raise UnusableError(f"log-probabilities that are none ({values!r:.60})")
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # A number that is not, NaN, compares with nothing.
        if value is not None and not (number and LEAST <= value <= ROUNDING):
            raise UnusableError(f"a token of log-probability {value!r:.40}; --no-logprobs does without")
    return values
