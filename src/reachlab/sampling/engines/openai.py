"""Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, `transformers serve` ...

A sample is one request: text through /completions, messages through /chat/completions, so that the server's own
tokenizer and chat template are used. Every server has `concurrency` slots; a request takes whichever is free first. A
slot whose request failed (no connection, 408, 409, 429, 5xx) comes back later, twice as late each time, so the others
take a dead server's work over; the request itself is asked again. An answer counts when it is whole: nothing is
drawn twice into a run, and nothing is lost.

vLLM, SGLang and `transformers serve` fill in what a request leaves out from the checkpoint's `generation_config.json`:
top-k, min-p, penalties. So a request says all of them. A server that knows none of these fields and refuses them has
nothing to fill in; it is asked without, but never without a top-k that was wanted.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit
from urllib.request import urlopen

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import find_checkpoint, hash_model
from reachlab.pictures.reference import data_url
from reachlab.sampling.config import Decoding, SampleConfig, Servers
from reachlab.sampling.engines.concurrent import ConcurrentEngine
from reachlab.sampling.engines.engine import Answer
from reachlab.storable import storable
from reachlab.types import Chat, Finish, Illustrated, Prompt

NEUTRAL: dict[str, Any] = {"min_p": 0.0, "repetition_penalty": 1.0}
PENALTIES: dict[str, Any] = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
"""What leaves the model's distribution as it is: fields of the servers' own, and of the protocol."""
OFF = {
    **NEUTRAL,
    **{"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "no_repeat_ngram_size": 0},
    **{"num_beams": 1, "min_length": 0, "min_new_tokens": 0},
}
"""The same for transformers, whose generation configuration has more."""
FEWER = ((False, True), (True, False), (False, False))
"""Whether log-probabilities, and the neutral fields, are sent where a request with more was refused."""
FILLS_IN = ("vllm", "sglang")
"""Servers that know the neutral fields: a refusal means something else, and without them the checkpoint decides."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
RETRIED = (408, 409, 425, 429)


@dataclass
class _Server:
    """One base URL, its client, and how it has fared."""

    url: str
    client: Any
    model: str = ""
    kind: str = ""
    transformers: bool = False
    failures: int = 0
    logprobs: bool = True
    neutral: bool = True
    known: asyncio.Lock = field(default_factory=asyncio.Lock)


class OpenAIEngine(ConcurrentEngine):
    """Servers that answer for one model.

    Args:
        servers: where they are and how they are asked.
        served: the model's name there; "" takes the only one that a server offers, or else `folder`.
        folder, weights: the checkpoint on this machine and its hash, where there is one.
        request_seeds, logprobs: whether a request has a seed, and asks for log-probabilities.
    """

    def __init__(
        self,
        servers: Servers,
        served: str,
        folder: str = "",
        weights: str = "",
        *,
        request_seeds: bool = True,
        logprobs: bool = True,
    ):
        try:
            import openai
        except ImportError as error:
            raise ReachlabError("--engine openai needs the package openai: pip install 'reachlab[openai]'") from error
        self._errors = openai
        key = os.environ.get(servers.api_key_env)
        super().__init__("openai", servers.concurrency * len(servers.base_url))
        self.options, self.served, self.folder, self.weights = servers, served, folder, weights
        self.seeded = request_seeds
        self._servers = [
            _Server(
                url,
                openai.AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=0, timeout=servers.request_timeout),
                logprobs=logprobs,
            )
            for url in servers.base_url
        ]
        # A slot is a permission to have one request at that server.
        self._slots: asyncio.Queue[_Server] = asyncio.Queue()
        for _ in range(servers.concurrency):
            for server in self._servers:
                self._slots.put_nowait(server)
        self._asking = 0
        self._failing_since: float | None = None
        try:
            self.name = f"openai:{self.wait_for(self._first_kind())}"
        except BaseException:
            self.close()
            raise

    async def _first_kind(self) -> str:
        """What the first server that answers calls itself; by then the model's name is known to be right there."""
        return str(await self._at_a_server(lambda server: _value(server.kind)))

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> Answer:
        """See `ConcurrentEngine.draw`."""
        return cast(Answer, await self._at_a_server(lambda server: self._request(server, prompt, seed, decoding)))

    async def _at_a_server(self, ask: Any) -> Any:
        """Ask one server after the other until one answers.

        Raises:
            ReachlabError: a refusal that waiting would not mend, or no answer from any server for too long.
        """
        while True:
            server = await self._slots.get()
            wait_s = 0.0
            self._asking += 1
            try:
                async with server.known:
                    if not server.model:
                        await self._meet(server)
                found = await ask(server)
                server.failures, self._failing_since = 0, None
                return found
            except (self._errors.APIError, _UnfinishedError) as error:
                wait_s = self._wait_after(server, error)
            finally:
                self._asking -= 1
                asyncio.get_running_loop().call_later(wait_s, self._slots.put_nowait, server)

    def _wait_after(self, server: _Server, error: Exception) -> float:
        """Seconds that the server is left alone after an error.

        Raises:
            ReachlabError: waiting would not mend it.
        """
        if isinstance(error, self._errors.APIStatusError):
            final = error.status_code < 500 and error.status_code not in RETRIED
            if final or error.code == "insufficient_quota":
                self._refused(server, error)
        server.failures += 1
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        # An answer under way may still come: only when none is has everyone fallen silent.
        if self._asking == 1 and now - self._failing_since >= self.options.patience:
            raise ReachlabError(
                f"no server has answered for {self.options.patience:g} s ({server.url}: {_said(error)}); what is "
                "stored stays, run the same command again to go on"
            ) from error
        told = 0.0
        if isinstance(error, self._errors.APIStatusError):
            try:
                told = float(error.response.headers.get("retry-after", 0))
            except ValueError:
                told = 0.0
        backoff = min(FIRST_WAIT_S * 2.0 ** min(server.failures - 1, 16), LONGEST_WAIT_S)
        # Scattered, so that many waiting requests do not come back in one moment.
        return max(told, backoff * random.uniform(0.5, 1.0))

    def _refused(self, server: _Server, error: Any) -> NoReturn:
        if error.status_code in (401, 403):
            raise ReachlabError(
                f"{server.url}: access refused; put the server's key into the environment variable "
                f"{self.options.api_key_env} (--api-key-env names another)"
            ) from error
        raise ReachlabError(f"{server.url}: refuses a request: {_said(error)}") from error

    async def _meet(self, server: _Server) -> None:
        """Learn the server's kind, and whether it has the model.

        Raises:
            ReachlabError: it has no such model, several to choose from, or other weights under that name.
        """
        server.transformers = await asyncio.to_thread(_is_transformers_serve, server.url)
        try:
            offered = {m.id: m for m in (await server.client.models.list()).data or []}
        except self._errors.APIStatusError as error:
            if error.status_code in (401, 403) or not (self.served or self.folder):
                raise
            offered = {}  # not every server can list; whether it has the model, the first request will say
        name = self.served or (next(iter(offered)) if len(offered) == 1 else self.folder)
        if not name:
            names = ", ".join(sorted(offered)[:8]) or "it does not say what"
            raise ReachlabError(f"{server.url} serves {names}; say which: --served-name NAME")
        # A server may load what it does not list, a folder of its own machine for one.
        if name not in offered and offered and "/" not in name:
            raise ReachlabError(f"{server.url} has no model {name!r}; it serves {', '.join(sorted(offered)[:8])}")
        model = offered.get(name)
        root = getattr(model, "root", None)
        if self.weights and isinstance(root, str) and Path(root).is_dir():
            # Both are on this machine: that they are the same need not be believed.
            theirs = await asyncio.to_thread(hash_model, root)
            if theirs != self.weights:
                raise ReachlabError(f"{server.url} serves {root}, whose weights are not those of --model")
        server.kind = "transformers" if server.transformers else str(getattr(model, "owned_by", "") or "server")
        server.model = name

    async def _request(self, server: _Server, prompt: Prompt, seed: int, decoding: Decoding) -> Answer:
        """One sample from one server, which is asked for less where it refuses what it does not know."""
        ask = server.client.completions.create if isinstance(prompt, str) else server.client.chat.completions.create
        sent = {"seed": seed} if self.seeded else {}
        asks, refused = (server.logprobs, server.neutral), None
        fewer = [way for way in FEWER if way != asks and way[0] <= asks[0] and way[1] <= asks[1]]
        for logprobs, neutral in (asks, *(way for way in fewer if way[1] or server.kind not in FILLS_IN)):
            body = _body(server, prompt, decoding, sent, logprobs=logprobs, neutral=neutral)
            try:
                found = _answer(await ask(**body), decoding)
            except (self._errors.BadRequestError, self._errors.UnprocessableEntityError) as error:
                refused = error  # if it was not what is left out next, it says again what is wrong
                continue
            if refused is not None:
                server.logprobs, server.neutral = server.logprobs and logprobs, server.neutral and neutral
            return found
        assert refused is not None
        raise refused

    def close(self) -> None:
        """Close the connections."""
        if self._loop.is_running():
            self.wait_for(_all(server.client.close() for server in getattr(self, "_servers", [])))
        super().close()


def _body(
    server: _Server, prompt: Prompt, decoding: Decoding, seed: Mapping[str, int], *, logprobs: bool, neutral: bool
) -> dict[str, Any]:
    """What a sample is asked for with; `neutral`: with all that a server might otherwise fill in."""
    body: dict[str, Any] = {
        "model": server.model,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "max_tokens": decoding.max_tokens,
        **seed,
    }
    if decoding.stop:
        body["stop"] = list(decoding.stop)
    if server.transformers:
        # All that is sent as one: it would keep the checkpoint's own do_sample (off, where none is given), and the
        # library's top_k of 50.
        own = {**OFF, "do_sample": decoding.temperature > 0, "top_k": decoding.top_k}
        body["extra_body"] = {"generation_config": json.dumps(own)}
    elif neutral:
        body |= {**PENALTIES, "extra_body": {**NEUTRAL, "top_k": decoding.top_k or -1}}
    elif decoding.top_k:
        body["extra_body"] = {"top_k": decoding.top_k}
    if options := _options(prompt):
        body["extra_body"] = {**body.get("extra_body", {}), "chat_template_kwargs": options}
    if isinstance(prompt, str):
        return {**body, "prompt": prompt, **({"logprobs": 1} if logprobs else {})}
    return {**body, "messages": _messages(prompt), **({"logprobs": True, "top_logprobs": 0} if logprobs else {})}


class _UnfinishedError(Exception):
    """An answer that the server cut short for reasons of its own."""


def _options(prompt: Prompt) -> dict[str, Any]:
    """What the chat template is told beside the messages; vLLM, SGLang and transformers know it by one name."""
    text = prompt.prompt if isinstance(prompt, Illustrated) else prompt
    return dict(text.options) if isinstance(text, Chat) else {}


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    """A chat, as the protocol writes it: pictures are parts of what the user says last. There are none in the protocol
    for plain text, so a plain prompt with pictures is what a user says."""
    if not isinstance(prompt, Illustrated):
        return [] if isinstance(prompt, str) else [dict(message) for message in prompt.messages]
    text = prompt.prompt
    messages: list[dict[str, Any]] = [{"role": "user", "content": text}] if isinstance(text, str) else _messages(text)
    last = next((m for m in reversed(messages) if m["role"] == "user"), None)
    if last is None:
        raise ReachlabError("a prompt shows a picture, and no user says anything in it that the picture could go with")
    shown = [{"type": "image_url", "image_url": {"url": data_url(reference)}} for reference in prompt.images]
    last["content"] = [*shown, {"type": "text", "text": last["content"]}]
    return messages


async def _value(of: str) -> str:
    return of


async def _all(work: Any) -> None:
    await asyncio.gather(*work)


def _answer(found: Any, decoding: Decoding) -> Answer:
    """The sample in a server's response.

    Raises:
        _UnfinishedError: it is not whole.
        ReachlabError: it does not say what a sample needs.
    """
    choices = getattr(found, "choices", None)
    choice = choices[0] if choices else None
    reason = choice and choice.finish_reason
    if choice is None or reason in (None, "abort", "error"):
        raise _UnfinishedError(f"an answer that is not whole (finish_reason {reason!r})")
    if reason not in ("stop", "length"):
        raise ReachlabError(f"the server ended an answer with {reason!r}; such an answer is not a sample of the model")
    logprobs: Sequence[float] | None = None
    if hasattr(choice, "message"):
        # A server that parses reasoning puts it apart; it is part of what the model wrote.
        said = choice.message
        thought = getattr(said, "reasoning_content", None) or getattr(said, "reasoning", None)
        text = (f"<think>{thought}</think>" if thought else "") + (said.content or "")
        if choice.logprobs is not None and choice.logprobs.content:
            logprobs = [token.logprob for token in choice.logprobs.content]
    else:
        text = choice.text
        if choice.logprobs is not None and choice.logprobs.token_logprobs:
            logprobs = [value for value in choice.logprobs.token_logprobs if value is not None]
    if found.usage is not None:
        tokens = int(found.usage.completion_tokens)
    elif logprobs is not None:
        tokens = len(logprobs)
    else:
        raise ReachlabError("the server does not say how many tokens an answer took (usage.completion_tokens)")
    if reason == "length" and tokens < decoding.max_tokens:
        raise ReachlabError(
            f"the server cut an answer after {tokens:,} of {decoding.max_tokens:,} tokens: a limit of its own, or of "
            "the checkpoint's generation_config.json (max_new_tokens); raise it there, or lower --max-tokens"
        )
    cuts = [at for stop in decoding.stop if (at := text.find(stop)) >= 0]
    return Answer(
        text=storable(text[: min(cuts)] if cuts else text),  # some servers leave the stop string on
        tokens=tokens,
        finish=cast(Finish, reason),
        logprob=float(sum(logprobs)) if logprobs is not None and len(logprobs) == tokens else None,
    )


def _is_transformers_serve(url: str) -> bool:
    """Whether `transformers serve` is behind the address: it says so by its other routes."""
    try:
        with urlopen(url.rstrip("/").removesuffix("/v1") + "/openapi.json", timeout=10) as response:
            paths = json.load(response)["paths"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return {"/load_model", "/reset"} <= set(paths)


def _said(error: Exception) -> str:
    """An error in one line, without what was sent."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, dict) else inner
        text = text or body.get("detail") or str(error)
    else:
        text = str(error)
    return " ".join(str(text).split())[:300] or type(error).__name__


def open_engine(config: SampleConfig) -> OpenAIEngine:
    """Reach the servers.

    Raises:
        ReachlabError: no server was named, or none answers, or they have other models.
    """
    servers = config.servers
    if not servers.base_url:
        raise ReachlabError("--engine openai needs a server: --base-url http://localhost:8000/v1")
    for url in servers.base_url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ReachlabError(f"--base-url {url}: not an address, as in http://localhost:8000/v1")
        if parts.username or parts.password:
            raise ReachlabError(
                f"--base-url: no password in an address; put the key into the environment ({servers.api_key_env})"
            )
    choices: dict[str, Any] = {"request_seeds": config.request_seeds, "logprobs": config.logprobs}
    if not Path(config.model).is_dir():
        return OpenAIEngine(servers, servers.served_name or config.model, **choices)
    folder = str(find_checkpoint(config.model))
    return OpenAIEngine(servers, servers.served_name, folder, hash_model(folder), **choices)
