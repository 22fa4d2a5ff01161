"""How answers are drawn. No torch here: the command line reads this."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.tasks.asking import AskConfig


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
class Adaptive:
    """Where samples are spent. Estimates stay unbiased, exactly so with enough=1 (docs/sampling.md)."""

    on: Annotated[bool, arg(name="adaptive")] = False
    """Draw all problems on together, and stop those that have enough right answers."""
    target_width: float | None = None
    """Stop the run once the 95 % interval of the share of problems solved in the end is this narrow, e.g. 0.02."""
    enough: int = 1
    """Right answers that stop a problem. More cost more, and make pass@k at small k surer."""
    first_look: int = 0
    """Answers a problem before any is stopped; 0 takes 1/32 of --samples, 8 at least."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.on and (self.target_width is not None or self.enough != 1 or self.first_look):
            raise ReachlabError("target_width, enough and first_look are for adaptive sampling; add --adaptive")
        if self.target_width is not None and not 0 < self.target_width < 1:
            raise ReachlabError(f"target_width={self.target_width} must be between 0 and 1, as a share of the problems")
        if self.enough < 1:
            raise ReachlabError(f"enough={self.enough} must be 1 or more")
        if self.first_look < 0:
            raise ReachlabError(f"first_look={self.first_look} must be 0 (chosen for you) or more")


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Where --engine openai asks. Keys come from the environment and are stored nowhere."""

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


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Workers on many machines, each with an engine and verifiers of its own."""

    ray: str = ""
    """Spread the work over Ray: its address (auto: the cluster this machine is in; local: one of its own)."""
    workers: int = 0
    """Ray: how many; 0 takes one a GPU, or one a core where there is no GPU."""
    worker_gpus: float | None = None
    """Ray: GPUs of a worker; default 1 where the cluster has any."""
    worker_cpus: float = 1
    """Ray: cores of a worker."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("worker_cpus",))
        if self.workers < 0 or self.worker_cpus <= 0 or (self.worker_gpus or 0) < 0:
            raise ReachlabError("workers and worker_gpus must be 0 or more, worker_cpus above 0")
        if not self.ray and (self.workers or self.worker_gpus is not None or self.worker_cpus != 1):
            raise ReachlabError("workers, worker_gpus and worker_cpus are for Ray; add --ray local or --ray ADDRESS")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Draw answers from a model, judge them, store them. The same command again draws only what is missing."""

    model: str
    """Folder of a transformers checkpoint or of a finished training run, or ORG/NAME[@REVISION] of the hub. With
    --engine openai: the name that the servers know it by, or the folder whose weights they serve."""
    task: str
    """What to ask, as `reachlab tasks` lists it: countdown, gym:gsm_symbolic, math:FILE ..."""
    out: str
    """Run folder, e.g. runs/base."""
    engine: Literal["transformers", "vllm", "openai"] = "transformers"
    """What draws: transformers or vllm in this process, or servers that speak OpenAI's protocol. A run begun with one
    may be continued with another."""
    servers: Servers = Servers()
    vllm_args: str = ""
    """Arguments of vLLM's AsyncEngineArgs as JSON, e.g. '{"tensor_parallel_size": 2}'."""
    request_seeds: bool = True
    """vLLM and servers: a seed for every request. Without, vLLM keeps its fast sampler, but a sample can't be drawn
    again alike, and none has a seed in the store."""
    logprobs: bool = True
    """vLLM and servers: ask for the log-probability of every token. Without, vLLM is faster, and best@k and the test
    for duplicates lack them."""
    cluster: Cluster = Cluster()
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems; auto is test for a generated task and all for a file."""
    problems: int | None = None
    """How many problems; default all of a file, 200 of a generated task."""
    samples: int | None = None
    """Answers a problem; with --adaptive, of a problem that never has enough right ones. Default 256; with --prefix
    1."""
    prefix: float | None = None
    """Ask for the rest of each question, of which this share is shown, e.g. 0.6: a model that goes on word for word has
    seen it. In plain text, greedily, one sample, unless said otherwise (docs/boundary.md)."""
    adaptive: Adaptive = Adaptive()
    ask: AskConfig = AskConfig()
    decoding: DecodingChoice = DecodingChoice()
    seed: int = 0
    """Decides, with problem and index, every draw."""
    problem_seed: int = 0
    """Decides which problems a generated task lists."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """What the model computes in. auto: the checkpoint's own with vLLM and on a GPU, float32 with the embedded engine
    on a CPU (where it is faster), whatever the servers take with --engine openai; and what a run was begun with when
    it goes on."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    rows: int = 0
    """Sequences decoded together; 0 chooses by machine."""
    part: int = 0
    """Samples a part of the store; 0 lets the run's first worker choose: what the embedded engine draws in about a
    minute. A killed run draws the part in progress again."""
    shard: str = "0/1"
    """i/n draws every n-th part from the i-th on: start n such commands to share the work."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    rehash: bool = False
    """Read all of the weights for their hash, though it is known for files of these sizes and times."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("verify_timeout",))
        if self.answers < 1:
            raise ReachlabError(f"samples={self.samples} must be 1 or more")
        if self.prefix is not None and not 0 < self.prefix < 1:
            raise ReachlabError(f"prefix={self.prefix} must be above 0 and below 1: the share of a question to show")
        if self.problems is not None and self.problems < 1:
            raise ReachlabError(f"problems={self.problems} must be 1 or more")
        if self.rows < 0 or self.part < 0:
            raise ReachlabError("rows and part must be 0 (chosen for you) or more")
        if self.servers.base_url and self.engine != "openai":
            raise ReachlabError("--base-url is for --engine openai; add it")
        if self.vllm_args and self.engine != "vllm":
            raise ReachlabError("--vllm-args is for --engine vllm; add it")
        if self.engine == "transformers" and not (self.request_seeds and self.logprobs):
            raise ReachlabError("--no-request-seeds and --no-logprobs are for --engine vllm and openai")
        if max(self.adaptive.enough, self.adaptive.first_look) > self.answers:
            raise ReachlabError(
                f"enough={self.adaptive.enough} and first_look={self.adaptive.first_look} must be at most "
                f"samples={self.answers}"
            )
        if self.adaptive.on and self.worker()[1] > 1:
            raise ReachlabError("--shard does not go with --adaptive: each look waits for all samples; leave it out")
        self.worker()

    @property
    def answers(self) -> int:
        """Answers a problem."""
        return 256 if self.samples is None else self.samples

    def worker(self) -> tuple[int, int]:
        """(i, n) of `shard`."""
        left, _, right = self.shard.partition("/")
        if not (left.isdigit() and right.isdigit() and int(left) < int(right)):
            raise ReachlabError(f"shard={self.shard!r} must be i/n with 0 <= i < n, e.g. 0/2 and 1/2")
        return int(left), int(right)


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """Judge the stored answers of a run again."""

    run: Positional[str]
    """Run folder."""
    task: str = ""
    """Task to judge with; default the run's own."""
    only_unscored: bool = False
    """Judge only what had no verdict."""
    timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    workers: int | None = None
    """Verifier processes; default one a core."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("timeout",), counts=("workers",))


@dataclass(frozen=True, kw_only=True)
class GuessConfig:
    """Judge every stored answer against the gold answers of other problems."""

    run: Positional[str]
    """Run folder."""
    shuffles: int = 3
    """How many times: each problem's answers meet the gold answer of so many others."""
    samples: int = 0
    """Use the first so many samples of each problem; 0 uses all."""
    seed: int = 0
    """Decides which problems meet."""
    timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    workers: int | None = None
    """Verifier processes; default one a core."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("timeout",), counts=("workers",), most={"shuffles": 10_000})
        if self.shuffles < 1:
            raise ReachlabError(f"shuffles={self.shuffles} must be 1 or more")
        if self.samples < 0:
            raise ReachlabError(f"samples={self.samples} must be 0 (all) or more")


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Ask a model how likely the stored answers of runs are under it."""

    runs: Positional[tuple[str, ...]]
    """Run folders: of samples, of imported samples, of reference solutions."""
    model: str
    """The judge: folder of a transformers checkpoint or of a finished training run, or ORG/NAME[@REVISION] of the
    hub."""
    name: str = ""
    """What the judge is called, in its columns and in tables; default the name of its folder."""
    samples: int = 0
    """Score the first so many samples of each problem (the paper: 32); 0 scores all. More can follow later."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the judge computes in."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    tokens: int = 0
    """Most tokens of a pass; 0 chooses by machine."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    rehash: bool = False
    """Read all of the weights for their hash, though it is known for files of these sizes and times."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.runs:
            raise ReachlabError("name at least one run folder")
        for name in ("samples", "tokens", "threads"):
            if getattr(self, name) < 0:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 0 (chosen for you) or more")


@dataclass(frozen=True, kw_only=True)
class ReferenceConfig:
    """Store a task's own solutions as a run of samples, one a problem: one more writer to compare with."""

    task: str
    """Whose solutions, as `reachlab tasks` lists it: countdown, math:FILE ..."""
    out: str
    """Run folder, e.g. runs/reference."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems; auto is test for a generated task and all for a file."""
    problems: int | None = None
    """How many problems; default all of a file, 200 of a generated task."""
    problem_seed: int = 0
    """Decides which problems a generated task lists."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one solution."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("verify_timeout",))
        if self.problems is not None and self.problems < 1:
            raise ReachlabError(f"problems={self.problems} must be 1 or more")
