"""How many tokens an engine holds, prompt and answer together, where that may be less than the checkpoint's positions.

vLLM's `max_model_len` is an argument in this process, and is told by servers (vLLM, SGLang) beside a model's name. A
server whose tokenizer is not here is asked how long the prompts are; vLLM answers.
"""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from reachlab.errors import ReachlabError
from reachlab.sampling.config import SampleConfig, Servers
from reachlab.types import Illustrated, Prompt, Text

COUNTED = 256
"""Prompts whose tokens a server is asked for: those of most bytes."""
AT_ONCE = 16
TIMEOUT_S = 30.0
FIRST_ANSWER_S = 10.0
"""How long a server that is not up yet is waited for here; the engine itself waits longer."""


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


def engine_positions(config: SampleConfig) -> int | None:
    """Tokens that the engine holds, or None where it says nothing."""
    if config.engine == "vllm":
        found = vllm_arguments(config.vllm_args).get("max_model_len")
        return found if isinstance(found, int) and found > 0 else None
    return served_positions(config.servers, config.model) if config.engine == "openai" else None


def served_positions(servers: Servers, model: str) -> int | None:
    """The least that any of the servers holds of what it serves under this name, or under its only one."""
    if not all(url.startswith(("http://", "https://")) for url in servers.base_url):
        return None  # the engine says what is wrong with the address
    told: list[int] = []
    deadline = time.monotonic() + min(FIRST_ANSWER_S, servers.patience)
    while True:
        answers = [_get(f"{url.rstrip('/')}/models", servers) for url in servers.base_url]
        if any(answer is not None for answer in answers) or time.monotonic() >= deadline:
            break
        time.sleep(0.5)
    for answer in answers:
        rows = answer.get("data") if isinstance(answer, dict) else None
        offered = {row.get("id"): row for row in rows or () if isinstance(row, dict)}
        name = servers.served_name or model
        row = offered.get(name) or (next(iter(offered.values())) if len(offered) == 1 else {})
        found = row.get("max_model_len")
        if isinstance(found, int) and found > 0:
            told.append(found)
    return min(told, default=None)


def served_prompts(servers: Servers, model: str, prompts: Sequence[Prompt]) -> int | None:
    """Tokens of the longest prompt as the first server counts them; None where it does not, or where pictures, which
    it does not count, stand in one."""
    texts = [prompt for prompt in prompts if not isinstance(prompt, Illustrated)]
    if len(texts) < len(prompts):
        return None
    longest = sorted(texts, key=lambda text: len(str(text).encode()), reverse=True)[:COUNTED]
    where = servers.base_url[0].rstrip("/").removesuffix("/v1") + "/tokenize"

    def count(text: Text) -> int | None:
        asked: dict[str, Any] = {"prompt": text}
        if not isinstance(text, str):
            asked = {"messages": [dict(message) for message in text.messages]}
            if text.options:
                asked["chat_template_kwargs"] = dict(text.options)
        answer = _get(where, servers, {"model": servers.served_name or model, **asked})
        found = answer.get("count") if isinstance(answer, dict) else None
        return found if isinstance(found, int) else None

    first = count(longest[0])
    if first is None:
        return None
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rest = list(pool.map(count, longest[1:]))
    counts = [found for found in rest if found is not None]
    return max([first, *counts]) if len(counts) == len(rest) else None


def _get(url: str, servers: Servers, body: dict[str, Any] | None = None) -> Any:
    """The JSON that a server answers, or None: what it refuses here the engine will be told too, in its own words."""
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(servers.api_key_env):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers), timeout=TIMEOUT_S) as response:
            return json.load(response)
    except HTTPError:
        return {}
    except (OSError, ValueError):
        return None
