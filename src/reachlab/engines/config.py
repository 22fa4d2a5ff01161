"""How tokens are drawn, and where servers are. No torch here: the command line reads this."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers


@dataclass(frozen=True, kw_only=True)
class DecodingChoice:
    """What a user says of decoding; the rest is the task's own choice, or the default."""

    temperature: float | None = None
    """Divides the logits; 0 takes the likeliest token. Default: a benchmark's own (0.6), else 1."""
    top_p: float | None = None
    """Keep the smallest set of likeliest tokens with this probability. Default: a benchmark's own (0.95), else 1."""
    top_k: int | None = None
    """Keep the k likeliest tokens; 0, the default, keeps all."""
    max_tokens: int | None = None
    """Longest answer, its end-of-text token included. Default: a benchmark's own (16,384), else 256, or what the
    model's positions leave."""
    stop: tuple[str, ...] | None = None
    """Strings that end an answer (and are cut off it). Default: those of the template, or of worked examples."""

    def __post_init__(self) -> None:
        self.settled({})

    def settled(self, suggested: Mapping[str, Any]) -> "Decoding":
        """What is said here, else what is suggested, else the default.

        Raises:
            ReachlabError: a value out of range.
        """
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return Decoding(**{**suggested, **said})


@dataclass(frozen=True, kw_only=True)
class Decoding(DecodingChoice):
    """What turns a model's next-token distribution into an answer."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token."""
    top_p: float = 1.0
    """Keep the smallest set of likeliest tokens that holds this probability."""
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    max_tokens: int = 256
    """Longest answer, its end-of-text token included."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer (and are cut off it)."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 <= self.temperature < float("inf"):
            raise ReachlabError(f"temperature={self.temperature} must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise ReachlabError(f"top_p={self.top_p} must be above 0 and at most 1")
        if self.top_k < 0:
            raise ReachlabError(f"top_k={self.top_k} must be 0 (off) or more")
        if self.max_tokens < 1:
            raise ReachlabError(f"max_tokens={self.max_tokens} must be 1 or more")
        if any(not s for s in self.stop):
            raise ReachlabError("a stop string is empty")


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Where --engine openai, and rl with --base-url, ask. Keys come from the environment and are stored nowhere."""

    base_url: tuple[str, ...] = ()
    """Servers that speak OpenAI's protocol, e.g. http://gpu1:8000/v1 http://gpu2:8000/v1; they share the work."""
    served_name: str = ""
    """What the servers call the model; default the only one they have, or --model where that is not a folder."""
    concurrency: int = 64
    """Requests under way at each server."""
    request_timeout: float = 3600.0
    """Seconds one answer may take."""
    patience: float = 600.0
    """Seconds without an answer from any server before the command gives up."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the servers' key, if they want one."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("request_timeout", "patience"))
        if self.concurrency < 1:
            raise ReachlabError(f"concurrency={self.concurrency} must be 1 or more")


class EngineChoice(Protocol):
    """What an engine is opened by. `SampleConfig` is one; its fields explain themselves at length."""

    @property
    def model(self) -> str:
        """The folder, or what servers call it."""
        ...

    @property
    def engine(self) -> str:
        """A name of `ENGINES`."""
        ...

    @property
    def servers(self) -> Servers:
        """Where they are, for the engine that asks them."""
        ...

    @property
    def vllm_args(self) -> str:
        """JSON, for vLLM in this process."""
        ...

    @property
    def request_seeds(self) -> bool:
        """Whether a request has a seed."""
        ...

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        ...

    @property
    def dtype(self) -> Literal["auto", "float32", "bfloat16", "float16"]:
        """What the model computes in."""
        ...

    @property
    def device(self) -> str:
        """cpu, cuda, auto ..."""
        ...

    @property
    def rows(self) -> int:
        """Sequences decoded together; 0 chooses."""
        ...
