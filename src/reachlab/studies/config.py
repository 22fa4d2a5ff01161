"""What the studies take. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional, UseAppendAction

from reachlab.choices import one_of
from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.moe.methods import METHODS
from reachlab.rl.algorithms import AlgorithmName
from reachlab.tasks.asking import AskConfig

if TYPE_CHECKING:
    BaseName = str
else:
    BaseName = one_of(METHODS, "dense")


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What a study from nothing to a report takes."""

    seed: int = 0
    """Of the weights, the data and every draw."""
    problems: int = 200
    """Held-out problems."""
    samples: int = 256
    """Answers a problem and model."""
    scale: float = 1.0
    """Multiplies the training steps; below 1 is quicker and shows less."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.problems < 1 or self.samples < 1:
            raise ReachlabError(f"problems={self.problems} and samples={self.samples} must be 1 or more")
        if not 0 < self.scale < float("inf"):
            raise ReachlabError(f"scale={self.scale} must be above 0")


@dataclass(frozen=True, kw_only=True)
class DemoConfig(RecipeConfig):
    """The demo: four small models, from nothing to a report."""

    out: str = "runs/demo"
    """Folder of all its runs."""
    routing: BaseName = "dense"
    """The base: a dense model, or a sparse mixture of experts whose routers learn like this (see `pretrain`)."""


@dataclass(frozen=True, kw_only=True)
class VisualConfig(RecipeConfig):
    """The demo with pictures: four small vision-language models, from nothing to a report, and two of them blind."""

    out: str = "runs/visual"
    """Folder of all its runs."""


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Several ways to train by RL from one base, over seeds."""

    out: str
    """Folder of all its runs."""
    base: str = ""
    """Checkpoint or run to start from; default pretrains the demo's base."""
    task: str = "countdown,division=0.2"
    """What is trained and measured on."""
    seeds: int = 3
    """RL runs of each, from the same base."""
    steps: int = 70
    """RL steps of each."""
    prompts: int = 24
    """Problems a step."""
    max_tokens: int = 20
    """Longest answer; longer than a right one needs, or DAPO's shaping punishes what is right."""
    problems: int = 200
    """Held-out problems."""
    samples: int = 256
    """Answers a problem and model; the largest k."""
    select: str = ""
    """More words for `reachlab rl`, e.g. "--rule max_variance --keep 4"."""

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("seeds", "steps", "prompts", "max_tokens", "problems", "samples"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class AlgorithmsConfig(SweepConfig):
    """Every policy-gradient algorithm from one base: what each adds at k = 1, and what it costs at large k."""

    out: str = "runs/algorithms"
    rollouts: int = 16
    """Rollouts a problem."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rollouts < 1:
            raise ReachlabError(f"rollouts={self.rollouts} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class RolloutsConfig(SweepConfig):
    """More and fewer rollouts a problem, from one base: what they add at k = 1 and at large k."""

    out: str = "runs/rollouts"
    values: tuple[int, ...] = (4, 8, 16, 32)
    """Rollouts a problem."""
    algorithm: AlgorithmName = "grpo"
    """What learns from them."""

    def __post_init__(self) -> None:
        check_numbers(self)
        super().__post_init__()
        _check_values(self.values)
        if min(self.values) < 1:
            raise ReachlabError(f"values={self.values} are numbers of rollouts: 1 or more")


@dataclass(frozen=True, kw_only=True)
class KLConfig(SweepConfig):
    """More and less KL to the base in RL: what it does at k = 1 and at large k."""

    out: str = "runs/kl"
    values: tuple[float, ...] = (0.0, 0.001, 0.01, 0.1)
    """Weights of the KL; 0 leaves it out."""
    algorithm: AlgorithmName = "grpo"
    """What it is added to."""
    rollouts: int = 16
    """Rollouts a problem."""

    def __post_init__(self) -> None:
        check_numbers(self)
        super().__post_init__()
        _check_values(self.values)
        if not all(0 <= value < float("inf") for value in self.values):
            raise ReachlabError(f"values={self.values} are weights: 0 or more")
        if self.rollouts < 1:
            raise ReachlabError(f"rollouts={self.rollouts} must be 1 or more")


def _check_values(values: tuple[float, ...]) -> None:
    if not values or len(set(values)) < len(values):
        raise ReachlabError(f"values={values}: give at least one, and none twice")


@dataclass(frozen=True, kw_only=True)
class CheckpointsConfig:
    """The boundary along a training run: its base, the checkpoints it kept (--keep-every), and what it ended with."""

    run: str
    """The training run's folder."""
    out: str = ""
    """Folder of the samples and results; default RUN-checkpoints."""
    base: str = ""
    """What to hold it against; default the checkpoint that the run began with."""
    steps: tuple[int, ...] = ()
    """Which of the kept steps; default all."""
    beside: tuple[str, ...] = ()
    """Other models to measure on the same problems, such as one that was distilled."""
    task: str = ""
    """What is asked; default what the run trained on."""
    ask: AskConfig = AskConfig()
    split: Literal["train", "test", "all"] = "test"
    """Which problems of it: test is what training never saw."""
    problems: int | None = None
    """How many problems; default all of a file, 200 of a generated task."""
    samples: int = 256
    """Answers a problem and checkpoint; the largest k."""
    temperature: float | None = None
    """Of the answers; default that of the run's rollouts, 1 where it had none."""
    max_tokens: int | None = None
    """Longest answer; default that of the run's rollouts, 256 where it had none."""
    seed: int = 0
    """Decides every draw."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the models compute in."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.samples < 1 or (self.problems is not None and self.problems < 1):
            raise ReachlabError(f"problems={self.problems} and samples={self.samples} must be 1 or more")
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise ReachlabError(f"temperature={self.temperature} must be 0 or more")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ReachlabError(f"max_tokens={self.max_tokens} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class TemperatureConfig:
    """Models and their base at several temperatures, and at the one at which each has its base's entropy."""

    base: str
    """Checkpoint, run, or ORG/NAME[@REVISION] of the hub, that the others are held against."""
    model: UseAppendAction[tuple[str, ...]] = ()
    """A model trained from it."""
    task: str
    """What is asked."""
    out: str = "runs/temperature"
    """Folder of the samples and results."""
    ask: AskConfig = AskConfig()
    temperatures: tuple[float, ...] = (0.6, 1.0, 1.4)
    """At which all models answer."""
    at: float = 0.6
    """The base's temperature whose entropy is matched, and at which it is what all are held against."""
    matched: bool = True
    """Whether each model also answers at the temperature that gives it the base's entropy."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems; auto is test for a generated task and all for a file."""
    problems: int | None = None
    """How many problems; default all of a file, 200 of a generated task."""
    samples: int = 256
    """Answers a problem, model and temperature; the largest k."""
    max_tokens: int = 256
    """Longest answer."""
    entropy_problems: int = 100
    """Problems on which entropy is measured, if there are as many."""
    entropy_samples: int = 8
    """Answers a problem for that."""
    seed: int = 0
    """Decides every draw."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the models compute in."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.model:
            raise ReachlabError("--model is needed: a model trained from the base; give it again for more")
        if len({self.base, *self.model}) <= len(self.model):
            raise ReachlabError(f"--base {self.base} and --model {' '.join(self.model)}: one model twice")
        for value in (*self.temperatures, self.at):
            if not 0 < value < float("inf"):
                raise ReachlabError(f"temperature={value} must be above 0")
        for name in ("samples", "max_tokens", "entropy_problems", "entropy_samples"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")
        if self.problems is not None and self.problems < 1:
            raise ReachlabError(f"problems={self.problems} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class RegimeConfig:
    """When does down-sampling pay? A simulated map, with measured runs drawn in."""

    out: str = "runs/regime"
    """Folder for regime.html and regime.json."""
    measured: str = ""
    """A JSON list of measured runs: name, ratio (u/g), width (n/m), speedup over the better GRPO; low, high."""
    keep: int = 16
    """m, rollouts that an update uses."""
    widths: tuple[int, ...] = (2, 4, 8, 16)
    """n/m, each 2 or more."""
    ratios: tuple[float, ...] = tuple(2.0**power for power in range(-4, 9))
    """u/g, the cost of training on a rollout over that of generating it."""
    alpha: float = 0.5
    """Success rates of the base are drawn from Beta(alpha, beta)."""
    beta: float = 4.0
    """The other one."""
    noise: float = 16.0
    """Of a rollout's gradient, beyond its reward."""
    prompts: int = 32
    """Problems a step."""
    steps: int = 100
    """Steps of GRPO on m rollouts; 99 % of what it gains in them is the target."""
    seeds: int = 16
    """Simulated runs, whose mean is looked at; 6 or more, since fewer have no 95 % interval by resampling."""
    seed: int = 0
    """Decides every draw."""
    waves: bool = False
    """Stop generating for a problem whose kept rollouts cannot get better."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.widths or min(self.widths) < 2 or not self.ratios or min(self.ratios) <= 0 or self.keep < 1:
            raise ReachlabError("widths must be 2 or more, ratios above 0, keep 1 or more")
        if self.seeds < 6:
            raise ReachlabError(f"seeds={self.seeds} must be 6 or more: fewer have no 95 % interval by resampling")


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """What a mixture of experts' routers do with text: load, certainty, unused experts, gradient."""

    model: Positional[str]
    """A checkpoint's folder, a training run, or ORG/NAME[@REVISION] of the hub; what its routers keep
    (routers.state) is taken over."""
    data: str = "stdlib"
    """stdlib (Python's own library), text:PATH (a file or folder), datasets:ID_OR_PATH[:SPLIT[:COLUMN]], or a task."""
    tokens: int = 65_536
    """How much of it the routers are listened to; of text, what training holds out comes first."""
    length: int = 256
    """Tokens of a sequence; longer documents are cut into several."""
    batch: int = 16
    """Sequences of a pass."""
    fidelity: int = 2
    """Batches on which each method's router gradient is held beside the dense one; 0: none. A batch asks every expert
    about every token, once a method."""
    warm_up: int = 20
    """Batches of other text that fill the default vectors of methods other than the model's own first."""
    out: str = ""
    """A page with the pictures, e.g. routers.html."""
    json: bool = False
    """Print everything as JSON."""
    seed: int = 0
    """Of a task's problems."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the model's weights."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("tokens", "batch"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")
        if self.length < 2:
            raise ReachlabError(f"length={self.length} must be 2 or more: a token and the one before it")
        for name in ("fidelity", "warm_up"):
            if getattr(self, name) < 0:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 0 or more")
