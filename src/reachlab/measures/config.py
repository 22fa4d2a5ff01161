"""What the measures of stored answers take. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.limits import RESAMPLING, check_numbers
from reachlab.tasks.asking import AskConfig


@dataclass(frozen=True, kw_only=True)
class ChanceConfig:
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
class EntropyConfig:
    """How uncertain a model is a token, on its own answers, and the temperature at which it is as uncertain as
    another."""

    model: Positional[str]
    """Folder of a transformers checkpoint or of a finished training run, or ORG/NAME[@REVISION] of the hub."""
    task: str
    """Whose problems are answered, as `reachlab tasks` lists it: countdown, gym:gsm_symbolic, math:FILE ..."""
    ask: AskConfig = AskConfig()
    temperature: tuple[float, ...] = (0.6,)
    """Where to measure."""
    match: str = ""
    """A model to match, the base as a rule: also find the temperature at which this model has its entropy."""
    at: float = 0.6
    """The temperature of the model to match."""
    low: float = 0.05
    """The lowest temperature that is tried."""
    high: float = 4.0
    """The highest."""
    tolerance: float = 0.005
    """How finely the matching temperature is found."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems; auto is test for a generated task and all for a file."""
    problems: int = 100
    """How many problems, if the task has as many."""
    samples: int = 8
    """Answers a problem, at every temperature."""
    max_tokens: int = 0
    """Longest answer, its end-of-text token included; 0 takes 256, or what the models' positions leave."""
    seed: int = 0
    """Decides every draw; the same at every temperature and for both models."""
    problem_seed: int = 0
    """Decides which problems a generated task lists."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the models compute in."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    out: str = ""
    """Folder for entropy.json; the same command goes on with what is measured there."""
    rehash: bool = False
    """Read all of the weights for their hash, though it is known for files of these sizes and times."""

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("problems", "samples"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")
        if self.max_tokens < 0:
            raise ReachlabError(f"max_tokens={self.max_tokens} must be 1 or more, or 0 (chosen for you)")
        if not self.temperature:
            raise ReachlabError("give at least one --temperature")
        for value in (*self.temperature, self.at):
            if not 0 < value < float("inf"):
                raise ReachlabError(f"temperature={value} must be above 0: the likeliest token has no entropy")
        if not 0 < self.low < self.high < float("inf"):
            raise ReachlabError(f"low={self.low} and high={self.high} must be two temperatures above 0, low and high")
        if not self.low <= self.at <= self.high:
            raise ReachlabError(f"at={self.at} must lie within low={self.low} to high={self.high}")
        if not 0 < self.tolerance < self.high - self.low:
            raise ReachlabError(f"tolerance={self.tolerance} must be above 0, and less than from low to high")


@dataclass(frozen=True, kw_only=True)
class PerplexityConfig:
    """Perplexity of every run's answers under every model that has scored them."""

    runs: Positional[tuple[str, ...]]
    """Run folders that `reachlab score` has been at; each is a writer."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples",), most=RESAMPLING)
        if not self.runs:
            raise ReachlabError("name at least one run folder")


@dataclass(frozen=True, kw_only=True)
class MeasuresConfig:
    """What samples say beyond pass@k."""

    runs: Positional[tuple[str, ...]]
    """Run folders."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    k: tuple[int, ...] = ()
    """Values of k; default powers of two and the largest."""
    seed: int = 0
    """Of the bootstrap, and of the subsets drawn for votes."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples", "k"), most=RESAMPLING)
        if not self.runs:
            raise ReachlabError("name at least one run folder")
