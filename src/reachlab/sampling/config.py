"""What drawing, judging and reference solutions take. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from reachlab.engines import EngineName, engine_kind
from reachlab.engines.config import DecodingChoice, Servers
from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.store.config import Adaptive
from reachlab.tasks.asking import AskConfig


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
    engine: EngineName = "transformers"
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
        engine_kind(self)
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
