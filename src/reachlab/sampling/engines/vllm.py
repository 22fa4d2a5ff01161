"""vLLM in this process: its own continuous batching, fed with one request a sample.

A sample's seed is its request's, so it depends on no other request. Log-probabilities are vLLM's "raw" ones, before
temperature and truncation, as everywhere in Reachlab.
"""

import asyncio
import itertools
import math
import os
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import find_checkpoint, load_tokenizer
from reachlab.models.tokenizer import encode_prompts
from reachlab.models.vision import written
from reachlab.pictures.reference import open_picture
from reachlab.sampling.config import Decoding, SampleConfig
from reachlab.sampling.engines.concurrent import ConcurrentEngine
from reachlab.sampling.engines.engine import Answer
from reachlab.sampling.engines.limits import vllm_arguments
from reachlab.types import Illustrated, Prompt

AT_ONCE = 256
"""Requests that keep it busy, where its own arguments do not say how many sequences it decodes together."""


class VllmEngine(ConcurrentEngine):
    """A checkpoint under vLLM. `arguments` are those of its `AsyncEngineArgs`."""

    def __init__(self, model: str, dtype: str, arguments: dict[str, Any]):
        folder = find_checkpoint(model)
        self.tokenizer = load_tokenizer(folder)
        # Its progress lines would stand between ours.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            import vllm
            from vllm.sampling_params import RequestOutputKind
        except ImportError as error:
            raise ReachlabError(
                f"vLLM is not installed here ({error}); it wants an environment of its own, see docs/engines.md"
            ) from error
        self._vllm, self._final = vllm, RequestOutputKind.FINAL_ONLY
        try:
            given = vllm.AsyncEngineArgs(
                model=str(folder),
                **{"dtype": dtype, "enable_prefix_caching": True, "disable_log_stats": True, **arguments},
            )
        except TypeError as error:
            raise ReachlabError(f"--vllm-args: {error}") from error
        super().__init__("vllm", arguments.get("max_num_seqs", AT_ONCE))
        self._numbers = itertools.count()
        try:
            self._llm = self.wait_for(self._start(given))
        except Exception as error:
            self.close()
            raise ReachlabError(f"{folder}: vLLM does not take this model: {_last_line(error)}") from error

    async def _start(self, given: Any) -> Any:
        # On our loop, for its own tasks belong to the loop it was made on.
        return await asyncio.to_thread(self._vllm.AsyncLLMEngine.from_engine_args, given)

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> Answer:
        """See `ConcurrentEngine.draw`."""
        asked = self._vllm.SamplingParams(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            max_tokens=decoding.max_tokens,
            stop=list(decoding.stop),
            seed=seed,
            logprobs=0,
            output_kind=self._final,
        )
        request = self._llm.generate(self._given(prompt), asked, request_id=f"reachlab-{next(self._numbers)}")
        try:
            async for found in request:
                (out,) = found.outputs
        except ValueError as error:
            raise ReachlabError(f"vLLM refuses a request: {_last_line(error)}") from error
        except Exception as error:
            raise ReachlabError(f"vLLM stopped: {_last_line(error)}; run the same command again to go on") from error
        if out.finish_reason not in ("stop", "length"):
            raise ReachlabError(f"vLLM ended a sample with {out.finish_reason!r}")
        if out.cumulative_logprob is not None and math.isnan(out.cumulative_logprob):
            raise ReachlabError("vLLM's log-probabilities are not numbers: it does not compute this model right here")
        return Answer(out.text, len(out.token_ids), out.finish_reason, out.cumulative_logprob)

    def _given(self, prompt: Prompt) -> Any:
        """A prompt as vLLM takes it: tokens, or a text with its pictures, which vLLM's own processor puts in place."""
        if isinstance(prompt, Illustrated):
            text = written(self.tokenizer, prompt)
            return {"prompt": text, "multi_modal_data": {"image": [open_picture(r) for r in prompt.images]}}
        (ids,) = encode_prompts(self.tokenizer, [prompt])
        return self._vllm.TokensPrompt(prompt_token_ids=ids)

    def close(self) -> None:
        """End vLLM's own processes too."""
        if (llm := vars(self).pop("_llm", None)) is not None:
            if (handler := llm.output_handler) is not None:  # else it reports the engine's end as a failure
                self._loop.call_soon_threadsafe(handler.cancel)
            llm.shutdown()
        super().close()


def open_engine(config: SampleConfig) -> VllmEngine:
    """Start vLLM with the model.

    Raises:
        ReachlabError: vLLM is not installed, does not take the model, or arguments that are not a JSON object.
    """
    return VllmEngine(config.model, config.dtype, vllm_arguments(config.vllm_args))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
