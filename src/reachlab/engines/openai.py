"""Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, `transformers serve` ...

A sample is one request: text through /completions, messages through /chat/completions, so that the server's own
tokenizer and chat template are used. Every server has `concurrency` slots; a request takes whichever is free first. A
slot whose request failed (no connection, 408, 409, 425, 429, 5xx) comes back later, twice as late each time, so the
others take a dead server's work over; the request itself is asked again. When nobody has answered for `patience`, and
none is left of the requests that were under way by then, that is the end, whatever slots still wait for. An answer
counts when it is whole and can be one (`reading.py`); a request that brings others is asked a few times, and no more.

vLLM, SGLang and `transformers serve` fill in what a request leaves out from the checkpoint's `generation_config.json`:
top-k, min-p, penalties. So a request says all of them. A server that knows none of these fields and refuses them has
nothing to fill in; it is asked without, but never without a top-k that was wanted.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from reachlab.engines.concurrent import ConcurrentEngine, SilentError
from reachlab.engines.config import Decoding, EngineChoice, Servers
from reachlab.engines.engine import EngineAnswer
from reachlab.engines.server_answers import CutError, filtered, read_answer
from reachlab.engines.wire import FailedError, UnusableError, Wire
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.pictures.reference import data_url
from reachlab.types import FILTERED, Chat, Illustrated, Prompt

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
TRIES = 8
"""How often one request is asked that brings answers which are none: a minute or so, with the waits between."""
LOOK_S, ROUTES_S = 60.0, 10.0
"""How long a server may take to list its models, and its routes."""
REFUSED = (400, 422)
"""What a server says to fields that it does not know."""
LONGEST_NAME = 64
T = TypeVar("T")


@dataclass
class _Server:
    """One base URL, the way to it, and how it has fared."""

    wire: Wire
    model: str = ""
    kind: str = ""
    transformers: bool = False
    failures: int = 0
    failed_at: float = float("-inf")
    logprobs: bool = True
    neutral: bool = True
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    unmet: tuple[float, FailedError | UnusableError] | None = None
    """When it was last tried in vain to learn what it is, and why in vain."""

    def wait_after(self, began: float) -> float:
        """Seconds that a slot waits whose request, begun then, failed now."""
        if began >= self.failed_at:  # requests that were under way together fail together: that is one failure
            self.failures, self.failed_at = self.failures + 1, time.monotonic()
        return _wait(self.failures)


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
        self._servers = [_Server(Wire(url, servers), logprobs=logprobs) for url in servers.base_url]
        super().__init__("openai", servers.concurrency * len(servers.base_url))
        self.options, self.served, self.folder, self.weights = servers, served, folder, weights
        self.seeded = request_seeds
        # A slot is a permission to have one request at that server; None says that there is no point in asking.
        self._slots: asyncio.Queue[_Server | None] = asyncio.Queue()
        for _ in range(servers.concurrency):
            for server in self._servers:
                self._slots.put_nowait(server)
        self._under_way: dict[object, float] = {}
        self._failing_since: float | None = None
        self._last: FailedError | None = None
        self._message = ""
        try:
            self.name = f"openai:{self.wait_for(self._first_kind())}"
        except BaseException:
            self.close()
            raise

    async def _first_kind(self) -> str:
        """What the first server that answers calls itself; by then the model's name is known to be right there."""
        return await self._at_a_server(lambda server: _value(server.kind))

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        """See `ConcurrentEngine.draw`."""
        return await self._at_a_server(lambda server: self._request(server, prompt, seed, decoding))

    async def _at_a_server(self, ask: Callable[[_Server], Awaitable[T]]) -> T:
        """Ask one server after the other until one answers.

        Raises:
            ReachlabError: a refusal that waiting would not mend, answers that are none, or no answer from any server
                for too long.
        """
        useless, first_at = 0, 0.0
        while True:
            server = await self._slots.get()
            if server is None:
                self._slots.put_nowait(None)  # for the next who waits
                raise SilentError(self._message) from self._last
            began, wait_s, this = time.monotonic(), 0.0, object()
            self._under_way[this] = began
            try:
                await self._known(server, began)
                answer = await ask(server)
                server.failures, self._failing_since = 0, None
                return answer
            except FailedError as error:
                if error.final:
                    raise self._refused(server, error) from error
                wait_s = max(error.wait_s, server.wait_after(began))
                self._failed(server, error)
                continue
            except UnusableError as error:
                wait_s, now = server.wait_after(began), time.monotonic()
                useless, first_at = useless + 1, first_at or now
                left_s = first_at + self.options.patience - now
                if useless == TRIES or left_s <= 0:
                    raise ReachlabError(
                        f"{server.wire.shown}: what it answers to a request is no use, asked {useless} "
                        f"time{'s' * (useless > 1)}: {server.wire.line(error)}; what is stored stays, run the same "
                        "command again to go on"
                    ) from error
            except CutError as error:
                raise ReachlabError(f"{server.wire.shown}: {error}") from error
            finally:
                del self._under_way[this]
                asyncio.get_running_loop().call_later(wait_s, self._slots.put_nowait, server)
                self._see()
            # Not at the next server at once: there the same request may bring the same, and others wait for it.
            await asyncio.sleep(min(_wait(useless), left_s))

    def _failed(self, server: _Server, error: FailedError) -> None:
        """Note that a server did not answer; the first time, see to it that there is an end."""
        self._last = error
        self._message = (
            f"no server has answered for {self.options.patience:g} s ({server.wire.shown}: {error.message}); what is "
            "stored stays, run the same command again to go on"
        )
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            asyncio.get_running_loop().call_later(self.options.patience + 0.01, self._see)

    def _see(self) -> None:
        """Give up where nobody has answered for too long, and no request is left that began before that.

        Whoever began later may not keep the others waiting: with several slots there is always one.
        """
        if self._failing_since is None:
            return
        over = self._failing_since + self.options.patience
        if time.monotonic() >= over and all(began >= over for began in self._under_way.values()):
            self._failing_since = None
            self._slots.put_nowait(None)

    def _refused(self, server: _Server, error: FailedError) -> ReachlabError:
        if error.status in (401, 403):
            return ReachlabError(
                f"{server.wire.shown}: access refused; put the server's key into the environment variable "
                f"{self.options.api_key_env} (--api-key-env names another)"
            )
        return ReachlabError(f"{server.wire.shown}: refuses a request: {error.message}")

    async def _known(self, server: _Server, began: float) -> None:
        """See that it is known what a server is. Who waited while another asked in vain does not ask again."""
        async with server.learning:
            if server.model:
                return
            if server.unmet is not None and server.unmet[0] >= began:
                raise server.unmet[1]
            try:
                await self._meet(server)
            except (FailedError, UnusableError) as error:
                server.unmet = time.monotonic(), error
                raise

    async def _meet(self, server: _Server) -> None:
        """Learn the server's kind, and whether it has the model.

        Raises:
            ReachlabError: it has no such model, several to choose from, or other weights under that name.
        """
        where = server.wire.shown
        server.transformers = await _is_transformers_serve(server.wire)
        try:
            offered = _models(await server.wire.get("models", LOOK_S))
        except FailedError as error:
            if (
                not (error.final or error.status == 500)
                or error.status in (401, 403)
                or not (self.served or self.folder)
            ):
                raise
            offered = {}  # not every server can list; whether it has the model, the first request will say
        name = self.served or (next(iter(offered)) if len(offered) == 1 else self.folder)
        names = server.wire.line(", ".join(sorted(offered)[:8]))
        if not name:
            raise ReachlabError(
                f"{where} serves {names if offered else 'it does not say what'}; say which: --served-name NAME"
            )
        # A server may load what it does not list, a folder of its own machine for one.
        if name not in offered and offered and "/" not in name:
            raise ReachlabError(f"{where} has no model {name!r}; it serves {names}")
        model = offered.get(name, {})
        root = model.get("root")
        if self.weights and isinstance(root, str) and "\0" not in root and Path(root).is_dir():
            # Both are on this machine: that they are the same need not be believed.
            theirs = await asyncio.to_thread(hash_model, root)
            if theirs != self.weights:
                raise ReachlabError(f"{where} serves {root}, whose weights are not those of --model")
        owner = model.get("owned_by")
        kind = server.wire.line(owner, LONGEST_NAME) if isinstance(owner, str) and owner.strip() else "server"
        server.kind = "transformers" if server.transformers else kind
        server.model = name

    async def _request(self, server: _Server, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        """One sample from one server, which is asked for less where it refuses what it does not know."""
        chat = not isinstance(prompt, str)
        path = "chat/completions" if chat else "completions"
        sent = {"seed": seed} if self.seeded else {}
        asks, refused = (server.logprobs, server.neutral), None
        fewer = [way for way in FEWER if way != asks and way[0] <= asks[0] and way[1] <= asks[1]]
        for logprobs, neutral in (asks, *(way for way in fewer if way[1] or server.kind not in FILLS_IN)):
            body = _body(server, prompt, decoding, sent, logprobs=logprobs, neutral=neutral)
            try:
                reply = await server.wire.post(path, body, tokens=decoding.max_tokens)
            except FailedError as error:
                if error.status == 400 and error.code == FILTERED:
                    return filtered()  # a filter that looks at prompts
                if error.status not in REFUSED:
                    raise
                refused = error  # if it was not what is left out next, it says again what is wrong
                continue
            answer = read_answer(reply, decoding, chat=chat)
            if server.wire.holds_key(answer.text):
                raise UnusableError("an answer that repeats the key it was asked with")
            if refused is not None:
                server.logprobs, server.neutral = server.logprobs and logprobs, server.neutral and neutral
            return answer
        assert refused is not None
        raise refused

    def close(self) -> None:
        """Close the connections."""
        if self._loop.is_running():
            self.wait_for(_all(server.wire.close() for server in self._servers))
        super().close()


def _wait(failures: int) -> float:
    """Seconds after so many failures; scattered, so that many waiting requests do not come back in one moment."""
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 16), LONGEST_WAIT_S) * random.uniform(0.5, 1.0)


def _models(listed: Any) -> dict[str, dict[str, Any]]:
    """A server's models by their names.

    Raises:
        UnusableError: it lists none as the protocol does.
    """
    rows = listed.get("data") if isinstance(listed, dict) else None
    if listed == {} or (isinstance(listed, dict) and "data" in listed and rows is None):
        return {}
    if not isinstance(rows, list):
        raise UnusableError(f"a list of models that is none ({listed!r:.60})")
    return {row["id"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]}


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
        body["generation_config"] = json.dumps(own)
    elif neutral:
        body |= {**PENALTIES, **NEUTRAL, "top_k": decoding.top_k or -1}
    elif decoding.top_k:
        body["top_k"] = decoding.top_k
    if options := _options(prompt):
        body["chat_template_kwargs"] = options
    if isinstance(prompt, str):
        return {**body, "prompt": prompt, **({"logprobs": 1} if logprobs else {})}
    return {**body, "messages": _messages(prompt), **({"logprobs": True, "top_logprobs": 0} if logprobs else {})}


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


async def _is_transformers_serve(wire: Wire) -> bool:
    """Whether `transformers serve` is behind the address: it says so by its other routes.

    Raises:
        FailedError: it did not say, and may yet: taken for another, its own settings would decide what is drawn.
    """
    try:
        document = await wire.get(f"{wire.root}/openapi.json", ROUTES_S, key=False)
    except UnusableError:
        return False
    except FailedError as error:
        if error.final or error.status == 500:  # a server that has no such page says so in many ways
            return False
        raise
    paths = document.get("paths") if isinstance(document, dict) else None
    return isinstance(paths, dict) and {"/load_model", "/reset"} <= set(paths)


def open_engine(config: EngineChoice) -> OpenAIEngine:
    """Reach the servers.

    Raises:
        ReachlabError: no server was named, or none answers, or they have other models.
    """
    servers = config.servers
    if not servers.base_url:
        raise ReachlabError("--engine openai needs a server: --base-url http://localhost:8000/v1")
    choices: dict[str, Any] = {"request_seeds": config.request_seeds, "logprobs": config.logprobs}
    if not Path(config.model).is_dir():
        return OpenAIEngine(servers, servers.served_name or config.model, **choices)
    folder = str(find_checkpoint(config.model))
    return OpenAIEngine(servers, servers.served_name, folder, hash_model(folder), **choices)
