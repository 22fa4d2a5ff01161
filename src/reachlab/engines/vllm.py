"""vLLM in this process: its own continuous batching, fed with one request a sample.

A sample's seed is its request's, so it depends on no other request. Log-probabilities are vLLM's "raw" ones, before
temperature and truncation, as everywhere in Reachlab. Both can be left out, for they cost speed: seeds keep vLLM from
its fused sampler, log-probabilities are gathered, sent and unpacked token by token. Without seeds the random numbers
are those of the engine, which is given a new seed at every start: a run that goes on must not draw the same again.
"""

import asyncio
import inspect
import itertools
import math
import os
import secrets
from typing import Any

from reachlab.engines.concurrent import ConcurrentEngine
from reachlab.engines.config import Decoding, EngineChoice
from reachlab.engines.context_length import vllm_arguments
from reachlab.engines.engine import EngineAnswer
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.models.dtypes import own_dtype
from reachlab.models.tokenizer import encode_prompts
from reachlab.models.vision import written
from reachlab.moe.storage import changes_the_function
from reachlab.pictures.reference import open_picture
from reachlab.text_hashes import hash_tokens
from reachlab.types import Illustrated, Prompt

OURS = {"model": "--model", "tokenizer": "--model", "dtype": "--dtype"}
"""Arguments that are not vLLM's alone: the run's identity rests on them."""
PROMPTS = 4096
"""Prompts whose tokens are kept."""


class VllmEngine(ConcurrentEngine):
    """A checkpoint under vLLM.

    Args:
        model: its folder. dtype: what it computes in.
        arguments: those of vLLM's `AsyncEngineArgs`.
        request_seeds, logprobs: whether a request has a seed, and is answered with log-probabilities.
    """

    def __init__(
        self, model: str, dtype: str, arguments: dict[str, Any], *, request_seeds: bool = True, logprobs: bool = True
    ):
        folder = find_checkpoint(model)
        if changes_the_function(folder):
            raise ReachlabError(
                f"{folder}: its routers' method is a part of what it computes (routers.state), and vLLM does not "
                "know it; leave --engine vllm away"
            )
        self.tokenizer, self.logprobs = load_tokenizer(folder), logprobs
        self._encoded: dict[int, tuple[Prompt, Any]] = {}
        self._params: tuple[Decoding, Any] | None = None
        # Its progress lines would stand between ours.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            import vllm
            from vllm.sampling_params import RequestOutputKind
        except ImportError as error:
            raise ReachlabError(
                f"vLLM cannot be imported here ({error}); it wants an environment of its own, see docs/engines.md"
            ) from error
        self._vllm, self._final = vllm, RequestOutputKind.FINAL_ONLY
        if not request_seeds:
            arguments = {**arguments, "seed": secrets.randbits(31)}
            _check_ranks(arguments.get("data_parallel_size", 1))
        elif _on_cpu():
            arguments = _whole_prompts(arguments)
        try:
            given = vllm.AsyncEngineArgs(
                model=str(folder),
                dtype=dtype,
                **{"enable_prefix_caching": True, "disable_log_stats": True, **arguments},
            )
        except TypeError as error:
            raise ReachlabError(f"--vllm-args: {error}") from error
        super().__init__("vllm", 1)
        self.dtype, self.seeded = dtype, request_seeds
        self._numbers = itertools.count()
        try:
            self._llm = self.wait_for(self._start(given))
        except Exception as error:
            self.close()
            raise ReachlabError(f"{folder}: vLLM does not take this model: {_last_line(error)}") from error
        settled = self._llm.vllm_config
        # What it decodes together, in all its copies: by its arguments, or by its own choice for the machine.
        self.at_once = settled.scheduler_config.max_num_seqs * settled.parallel_config.data_parallel_size
        self.longest = settled.model_config.max_model_len

    async def _start(self, given: Any) -> Any:
        from vllm.usage.usage_lib import UsageContext

        # On our loop, for its own tasks belong to the loop it was made on. Nobody waits for a single answer: it takes
        # the batches that it would offline.
        start = self._vllm.AsyncLLMEngine.from_engine_args
        return await asyncio.to_thread(start, given, usage_context=UsageContext.LLM_CLASS)

    def _sampling_params(self, seed: int, decoding: Decoding) -> Any:
        """How a sample is drawn. Everything is said, so that no default of vLLM's or the checkpoint's decides."""
        if self._params is not None and self._params[0] is decoding:
            return self._params[1]
        params = self._vllm.SamplingParams(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            min_p=0.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=1.0,
            max_tokens=decoding.max_tokens,
            stop=list(decoding.stop),
            seed=seed if self.seeded else None,
            logprobs=0 if self.logprobs else None,
            output_kind=self._final,
        )
        if not self.seeded:
            self._params = decoding, params
        return params

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        """See `ConcurrentEngine.draw`."""
        params = self._sampling_params(seed, decoding)
        request = self._llm.generate(self._given(prompt), params, request_id=f"reachlab-{next(self._numbers)}")
        try:
            async for outputs in request:
                (out,) = outputs.outputs
        except ValueError as error:
            raise ReachlabError(f"vLLM refuses a request: {_last_line(error)}") from error
        except Exception as error:
            raise ReachlabError(f"vLLM stopped: {_last_line(error)}; run the same command again to go on") from error
        if out.finish_reason not in ("stop", "length"):
            raise ReachlabError(f"vLLM ended a sample with {out.finish_reason!r}")
        if out.finish_reason == "length" and len(out.token_ids) < decoding.max_tokens:
            raise ReachlabError(
                f"vLLM cut an answer after {len(out.token_ids):,} tokens, for prompt and answer may have "
                f"{self.longest:,} in all: lower --max-tokens, or raise max_model_len in --vllm-args"
            )
        if out.cumulative_logprob is not None and math.isnan(out.cumulative_logprob):
            raise ReachlabError("vLLM's log-probabilities are not numbers: it does not compute this model right here")
        tokens = list(out.token_ids)
        return EngineAnswer(out.text, len(tokens), out.finish_reason, out.cumulative_logprob, hash_tokens(tokens))

    def _given(self, prompt: Prompt) -> Any:
        """A prompt as vLLM takes it: tokens, or a text with its pictures, which vLLM's own processor puts in place."""
        if isinstance(prompt, Illustrated):
            text = written(self.tokenizer, prompt)
            return {"prompt": text, "multi_modal_data": {"image": [open_picture(r) for r in prompt.images]}}
        cached = self._encoded.get(id(prompt))
        if cached is None:
            if len(self._encoded) >= PROMPTS:
                self._encoded.clear()
            (ids,) = encode_prompts(self.tokenizer, [prompt])
            # With the prompt itself, so that its id is not another's one day.
            cached = self._encoded[id(prompt)] = prompt, ids
        return self._vllm.TokensPrompt(prompt_token_ids=cached[1])

    def tokens_under_way(self) -> int:
        """See `ConcurrentEngine.tokens_under_way`."""
        # No part of vLLM's promised interface, and only for the bar: where it is not there, nothing is known.
        states = getattr(getattr(self._llm, "output_processor", None), "request_states", {})
        counters = (getattr(getattr(s, "detokenizer", None), "num_output_tokens", None) for s in states.values())
        return sum(counter() for counter in counters if counter is not None)

    def close(self) -> None:
        """End vLLM's own processes too."""
        if (llm := vars(self).pop("_llm", None)) is not None:
            if (handler := llm.output_handler) is not None:  # else it reports the engine's end as a failure
                self._loop.call_soon_threadsafe(handler.cancel)
            llm.shutdown()
        super().close()


def open_engine(config: EngineChoice) -> VllmEngine:
    """Start vLLM with the model.

    Raises:
        ReachlabError: vLLM is not installed, does not take the model, or arguments that are not a JSON object.
    """
    arguments = vllm_arguments(config.vllm_args)
    for name, option in OURS.items():
        if name in arguments:
            raise ReachlabError(f"--vllm-args: {name} is said with {option}")
    dtype = own_dtype(config.model) if config.dtype == "auto" else config.dtype
    return VllmEngine(config.model, dtype, arguments, request_seeds=config.request_seeds, logprobs=config.logprobs)


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _whole_prompts(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments under which no step reads a part of a prompt. vLLM draws a token after a part too and then winds the
    request's random numbers back, which a CPU's generator cannot: its engine ends with "CPU Generator does not use
    offset" as soon as the prompts under way are longer together than a step.
    """
    if arguments.get("enable_chunked_prefill"):
        raise ReachlabError(
            "--vllm-args enable_chunked_prefill: on a CPU vLLM cannot cut the prompts of requests with seeds; leave it "
            "away, or add --no-request-seeds"
        )
    return {**arguments, "enable_chunked_prefill": False}


def _check_ranks(copies: int) -> None:
    """Raises:
    ReachlabError: copies of the model that would all draw the same, without seeds of the requests.
    """
    if copies == 1:
        return
    try:
        from vllm.utils.torch_utils import set_random_seed

        apart = len(inspect.signature(set_random_seed).parameters) > 1
    except ImportError:
        apart = False
    if not apart:
        raise ReachlabError(
            "this vLLM gives all copies of data_parallel_size the same random numbers: leave out --no-request-seeds, "
            "or install vLLM 0.32 or newer"
        )


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
