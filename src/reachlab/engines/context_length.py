"""How many tokens an engine holds, prompt and answer together, where that may be less than the checkpoint's positions.

vLLM's `max_model_len` is an argument in this process, and is told by servers (vLLM, SGLang) beside a model's name. A
server whose tokenizer is not here is asked how long the prompts are; vLLM answers.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from reachlab.engines.config import EngineChoice, Servers
from reachlab.engines.wire import FailedError, UnusableError, Wire
from reachlab.errors import ReachlabError
from reachlab.limits import MOST
from reachlab.types import Illustrated, Prompt, Text

COUNTED = 256
"""Prompts whose tokens a server is asked for: those of most bytes."""
AT_ONCE = 16
TIMEOUT_S = 30.0
"""How long a server may take to say one thing here, and to count all prompts."""
FIRST_ANSWER_S = 10.0
"""How long a server that is not up yet is waited for here; the engine itself waits longer."""
T = TypeVar("T")


def vllm_arguments(text: str) -> dict[str, Any]:
    """What --vllm-args says.

    Raises:
        ReachlabError: it is not a JSON object.
    """
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ReachlabError(f"--vllm-args: not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ReachlabError("--vllm-args: a JSON object is wanted, e.g. '{\"tensor_parallel_size\": 2}'")
    return arguments


def vllm_positions(config: EngineChoice) -> int | None:
    """Tokens that vLLM in this process was told to hold."""
    limit = vllm_arguments(config.vllm_args).get("max_model_len")
    return limit if isinstance(limit, int) and limit > 0 else None


def servers_positions(config: EngineChoice) -> int | None:
    """Tokens that the servers hold."""
    return served_positions(config.servers, config.model)


def served_positions(servers: Servers, model: str) -> int | None:
    """The least that any of the servers holds of what it serves under this name, or under its only one.

    Args:
        servers: where they are, and how to reach them.
        model: what they are asked for.

    Returns:
        Tokens, prompt and answer together; None where no server says.
    """
    if not all(url.startswith(("http://", "https://")) for url in servers.base_url):
        return None  # the engine says what is wrong with the address
    deadline = time.monotonic() + min(FIRST_ANSWER_S, servers.patience)
    timeout_s = min(TIMEOUT_S, servers.patience)

    async def ask(wires: Sequence[Wire]) -> Sequence[Any]:
        while True:
            answers = await asyncio.gather(*(_answered(wire.get("models", timeout_s)) for wire in wires))
            if any(answer is not None for answer in answers) or time.monotonic() >= deadline:
                return answers
            await asyncio.sleep(0.5)

    limits: list[int] = []
    for answer in _on_a_loop(servers, servers.base_url, ask):
        rows = answer.get("data") if isinstance(answer, dict) else None
        rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        offered = {row["id"]: row for row in rows if isinstance(row.get("id"), str)}
        name = servers.served_name or model
        row = offered.get(name) or (next(iter(offered.values())) if len(offered) == 1 else {})
        if (limit := _whole(row.get("max_model_len"))) is not None:
            limits.append(limit)
    return min(limits, default=None)


def served_prompts(servers: Servers, model: str, prompts: Sequence[Prompt]) -> int | None:
    """Tokens of the longest prompt as the first server counts them; None where it does not, or where pictures, which
    it does not count, stand in one.

    Args:
        servers: where they are; the first is asked.
        model: what it is asked for.
        prompts: the run's prompts; the longest by characters are counted.
    """
    texts = [prompt for prompt in prompts if not isinstance(prompt, Illustrated)]
    if len(texts) < len(prompts):
        return None
    longest = sorted(texts, key=lambda text: len(str(text).encode("utf-8", "replace")), reverse=True)[:COUNTED]

    async def ask(wires: Sequence[Wire]) -> int | None:
        (wire,) = wires
        room = asyncio.Semaphore(AT_ONCE)

        async def count(text: Text) -> int | None:
            asked: dict[str, Any] = {"prompt": text}
            if not isinstance(text, str):
                asked = {"messages": [dict(message) for message in text.messages]}
                if text.options:
                    asked["chat_template_kwargs"] = dict(text.options)
            body = {"model": servers.served_name or model, **asked}
            async with room:
                answer = await _answered(wire.post(f"{wire.root}/tokenize", body, timeout_s=TIMEOUT_S))
            return _whole(answer.get("count")) if isinstance(answer, dict) else None

        if (first := await count(longest[0])) is None:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                rest = await asyncio.gather(*(count(text) for text in longest[1:]))
        except TimeoutError:
            return None
        counts = [found for found in rest if found is not None]
        return max([first, *counts]) if len(counts) == len(rest) else None

    return _on_a_loop(servers, servers.base_url[:1], ask)


def _whole(value: Any) -> int | None:
    """A number of tokens; None for what cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST else None


async def _answered(request: Awaitable[Any]) -> Any:
    """The JSON that a server answers, {} for what it refuses or says otherwise, or None: the engine will be told too,
    in the server's own words."""
    try:
        return await request
    except UnusableError:
        return {}
    except FailedError as error:
        return {} if error.final else None


def _on_a_loop(servers: Servers, urls: Sequence[str], ask: Callable[[Sequence[Wire]], Awaitable[T]]) -> T:
    """What is heard from servers, on a loop of its own."""

    async def work() -> T:
        wires = [Wire(url, servers) for url in urls]
        try:
            return await ask(wires)
        finally:
            for wire in wires:
                await wire.close()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1) as pool:  # a notebook's thread has a loop of its own
        return pool.submit(asyncio.run, work()).result()
