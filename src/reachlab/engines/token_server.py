"""A server as a decoder: token ids go in and come out, and its weights are replaced while it runs.

The embedded engines read a trainer's weights from memory; a server reads them from a folder that both can see. vLLM
does so under `VLLM_SERVER_DEV_MODE=1`: `/collective_rpc` calls a worker's `reload_weights` with the folder's path, and
`/reset_prefix_cache` forgets what was computed with the older ones (vLLM 0.32, `entrypoints/serve/dev/`,
`model_executor/model_loader/reload/inplace.py`). Prompts are sent as ids and answers are taken as ids
(`return_token_ids`), so no text is tokenised twice.

A request that failed is asked again, twice as late each time, until `patience` is over; an answer that is none is asked
for a few times.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np

from reachlab.engines.config import Decoding, Servers
from reachlab.engines.decoder import Completion
from reachlab.engines.engine import Progress
from reachlab.engines.server_answers import CutError, read_answer
from reachlab.engines.wire import FailedError, UnusableError, Wire
from reachlab.errors import ReachlabError

TRIES, FIRST_WAIT_S, LONGEST_WAIT_S = 4, 0.5, 30.0
T = TypeVar("T")


class TokenServer:
    """One server that draws by token ids.

    Args:
        servers: where it is (one address) and how it is asked.

    Raises:
        ReachlabError: an address that cannot be asked, or the package openai is missing.
    """

    name = "openai"

    def __init__(self, servers: Servers):
        (url,) = servers.base_url
        self.servers, self.model = servers, servers.served_name
        self._wire = Wire(url, servers)
        self._runner = asyncio.Runner()

    @property
    def shown(self) -> str:
        """The address, as it may be printed."""
        return self._wire.shown

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._wire.close())
        self._runner.close()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """See `Decoder.generate`.

        Raises:
            ReachlabError: the server refuses, or does not answer for `patience`.
        """
        return self._runner.run(self._all(prompts, seeds, decoding, progress))

    def load(self, folder: Path) -> None:
        """Replace the weights by those of a checkpoint's folder, which the server sees under the same path.

        Raises:
            ReachlabError: the server cannot.
        """
        self._runner.run(self._load(folder))

    def prompt_logprobs(self, ids: Sequence[int]) -> list[float]:
        """Log-probabilities (nats, temperature 1) of all ids but the first, each given those before it.

        Raises:
            ReachlabError: the server gives none.
        """
        return self._runner.run(self._patiently(lambda: self._prompt_logprobs(ids)))

    async def _all(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[Sequence[int]],
        decoding: Decoding,
        progress: Progress | None,
    ) -> list[list[Completion]]:
        await self._named()
        slots = asyncio.Semaphore(self.servers.concurrency)

        async def one(prompt: Sequence[int], seed: int) -> Completion:
            async with slots:
                drawn = await self._patiently(lambda: self._draw(prompt, seed, decoding))
            if progress is not None:
                progress(1, len(drawn.tokens))
            return drawn

        requests = [(p, seed) for p, row in zip(prompts, seeds, strict=True) for seed in row]
        tasks = [asyncio.ensure_future(one(p, seed)) for p, seed in requests]
        try:
            rest = iter(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()  # after a failure nobody wants the others
        return [[next(rest) for _ in row] for row in seeds]

    async def _draw(self, prompt: Sequence[int], seed: int, decoding: Decoding) -> Completion:
        """One answer. All that shapes the distribution is said, so that no default of the checkpoint's decides."""
        body = {
            "model": self.model,
            "prompt": [*map(int, prompt)],
            "seed": seed,
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": decoding.top_k,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": list(decoding.stop),
            "logprobs": 1,
            "return_token_ids": True,
        }
        reply = await self._wire.post("completions", body, tokens=decoding.max_tokens)
        answer = read_answer(reply, decoding, chat=False)
        if answer.finish not in ("stop", "length"):
            raise ReachlabError(f"{self.shown}: a filter stopped a rollout; rollouts need a server without one")
        (choice,) = reply["choices"]
        ids = choice.get("token_ids")
        if not isinstance(ids, list) or not all(type(i) is int and i >= 0 for i in ids):
            raise ReachlabError(f"{self.shown} gives no token ids (return_token_ids); rollouts need vLLM 0.32 or newer")
        if choice.get("prompt_token_ids") != body["prompt"]:
            raise ReachlabError(f"{self.shown} answered to another prompt than the token ids it was sent")
        if len(ids) != answer.tokens or answer.logprob is None:
            raise UnusableError(f"{len(ids):,} token ids where {answer.tokens:,} tokens were counted, or no logprobs")
        return Completion(np.array(ids, dtype=np.int32), answer.text, answer.finish, answer.logprob)

    async def _load(self, folder: Path) -> None:
        root = self._wire.root
        call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        try:
            await self._patiently(lambda: self._wire.post(f"{root}/collective_rpc", call))
            forgotten = await self._patiently(lambda: self._wire.post(f"{root}/reset_prefix_cache", {}))
        except ReachlabError as error:
            raise ReachlabError(
                f"{error}; it cannot take new weights from {folder}: it has to be vLLM 0.32 or newer, started with "
                "VLLM_SERVER_DEV_MODE=1 on a machine that sees this folder under the same path"
            ) from error
        if not (isinstance(forgotten, dict) and forgotten.get("success") is True):
            raise ReachlabError(f"{self.shown}: does not forget its prefix cache; let nobody else use this server")

    async def _prompt_logprobs(self, ids: Sequence[int]) -> list[float]:
        await self._named()
        body = {"model": self.model, "prompt": [*ids], "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        reply = await self._wire.post("completions", body, tokens=8 * len(ids))
        try:
            rows = reply["choices"][0]["prompt_logprobs"]
            return [float(row[str(i)]["logprob"]) for i, row in zip(ids[1:], rows[1:], strict=True)]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UnusableError("an answer without the log-probabilities of its prompt (prompt_logprobs)") from error

    async def _named(self) -> None:
        """Learn what the server calls its model, where nobody said."""
        if self.model:
            return
        listed = await self._patiently(lambda: self._wire.get("models", 60.0))
        rows = listed.get("data") if isinstance(listed, dict) else None
        names = [row.get("id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        if len(names) != 1 or not isinstance(names[0], str):
            raise ReachlabError(f"{self.shown} serves {len(names)} models; say which: --served-name NAME")
        self.model = names[0]

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked for, asked again where waiting may help."""
        until, useless, wait_s = monotonic() + self.servers.patience, 0, FIRST_WAIT_S
        while True:
            try:
                return await ask()
            except CutError as error:
                raise ReachlabError(f"{self.shown}: {error}") from error
            except FailedError as error:
                if error.final or monotonic() + wait_s > until:
                    word = "refuses a request" if error.final else f"no answer for {self.servers.patience:g} s"
                    raise ReachlabError(f"{self.shown}: {word}: {self._wire.line(error.message)}") from error
                asked_s = error.wait_s
            except UnusableError as error:
                useless += 1
                if useless == TRIES or monotonic() + wait_s > until:
                    raise ReachlabError(
                        f"{self.shown}: what it answers is no use, asked {useless} times: {self._wire.line(error)}"
                    ) from error
                asked_s = 0.0
            await asyncio.sleep(max(wait_s, min(asked_s, LONGEST_WAIT_S)))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
