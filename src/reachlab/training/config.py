"""What the training commands take. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from reachlab.errors import ReachlabError
from reachlab.models.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights move."""

    method: Literal["muon", "adamw"] = "adamw"
    """muon: Muon on the matrices inside the blocks, AdamW on the rest; adamw: AdamW on everything."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    muon_lr: float = 0.02
    """Learning rate of Muon."""
    weight_decay: float = 0.0
    """Decoupled weight decay, on matrices."""
    warmup: int = 0
    """Steps over which the learning rates rise from 0."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rates do after the warm-up: stay, or fall to 0 at the last step."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 does not clip."""

    def __post_init__(self) -> None:
        for name in ("lr", "muon_lr", "weight_decay", "warmup", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ReachlabError(f"optimizer.{name}={getattr(self, name)} must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What every training run shares."""

    steps: int
    """Optimizer steps."""
    save_every: int = 100
    """Steps between two saved states; a killed run goes on from the last."""
    seed: int = 0
    """Decides the weights a new model starts with and the order of the data."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch. It is part of a run's identity: sums in another order are other weights."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.save_every < 1:
            raise ReachlabError(f"steps={self.steps} and save_every={self.save_every} must be 1 or more")
        if self.threads < 0:
            raise ReachlabError(f"threads={self.threads} must be 0 (torch's own) or more")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Train a new model on a task's ordinary text (right and wrong attempts), or on a text file."""

    data: str
    """A task (countdown, gym:NAME, math:FILE) whose training problems become text, or text:FILE."""
    out: str
    """Run folder, e.g. runs/base; the model ends up in its model/."""
    loop: LoopConfig = LoopConfig(steps=800)
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=20, schedule="linear")
    batch: int = 128
    """Sequences a step."""
    length: int = 256
    """Longest sequence, in tokens; text files are cut into windows of this length."""

    def __post_init__(self) -> None:
        _check_batch(self.batch, self.length)


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Train a model on a teacher's right answers."""

    model: str
    """Checkpoint to start from."""
    teacher: str
    """`solver` (the task's own), or a run of samples drawn from a teacher model: its correct samples are learned."""
    task: str
    """The task whose training problems the solver answers; for a run of samples, the task it was drawn on."""
    out: str
    """Run folder; the model ends up in its model/."""
    loop: LoopConfig = LoopConfig(steps=800)
    optimizer: OptimizerConfig = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=20, schedule="linear")
    batch: int = 128
    """Answers a step."""
    length: int = 256
    """Longest prompt and answer together, in tokens; longer ones are cut."""

    def __post_init__(self) -> None:
        _check_batch(self.batch, self.length)


@dataclass(frozen=True, kw_only=True)
class RLConfig:
    """Reinforcement learning on verifiable rewards (GRPO), updating on the rollouts that a down-sampling rule keeps."""

    model: str
    """Checkpoint to start from."""
    task: str
    """The task whose training problems are tried and whose verifier gives the reward."""
    out: str
    """Run folder; the model ends up in its model/."""
    loop: LoopConfig = LoopConfig(steps=100, save_every=10)
    optimizer: OptimizerConfig = OptimizerConfig(method="adamw", lr=1e-3)
    prompts: int = 32
    """Problems a step."""
    rollouts: int = 16
    """Rollouts generated a problem (n)."""
    keep: int = 0
    """Rollouts a problem that the update uses (m); 0 keeps all."""
    rule: Literal["none", "max_variance", "max_reward", "random", "percentile"] = "none"
    """Which rollouts are kept; max_variance is PODS."""
    normalise: Literal["kept", "all"] = "kept"
    """Which rollouts an advantage's mean and deviation are taken over."""
    updates: int = 1
    """Optimizer updates a step, each on its share of the step's problems; from the second on, clipping matters."""
    clip_low: float = 0.2
    """A probability ratio below 1 - clip_low gets no further push down."""
    clip_high: float = 0.2
    """A probability ratio above 1 + clip_high gets no further push up."""
    aggregate: Literal["sequence", "token"] = "sequence"
    """Mean over each answer's tokens and then over answers (GRPO), or over all tokens."""
    temperature: float = 1.0
    """Of the rollouts, and of the policy that is optimized."""
    max_tokens: int = 256
    """Longest rollout."""
    micro_batch: int = 256
    """Rollouts in one forward and backward pass; the gradient does not depend on it."""
    eval_every: int = 0
    """Steps between evaluations on held-out problems; 0 never evaluates."""
    eval_problems: int = 64
    """Held-out problems of an evaluation."""
    verify_timeout: float = 5.0
    """Seconds a verifier may take for one answer."""

    def __post_init__(self) -> None:
        for name in ("prompts", "rollouts", "updates", "micro_batch", "max_tokens", "eval_problems"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")
        if not 0 <= self.keep <= self.rollouts:
            raise ReachlabError(f"keep={self.keep} must be 0 (all) to rollouts={self.rollouts}")
        if self.rule == "none" and self.keep not in (0, self.rollouts):
            raise ReachlabError(f"keep={self.keep} of rollouts={self.rollouts} needs a --rule, e.g. max_variance")
        if self.rule != "none" and not self.keep:
            raise ReachlabError(f"--rule {self.rule} needs --keep, the number of rollouts to update on")
        for name in ("clip_low", "clip_high", "eval_every"):
            if not getattr(self, name) >= 0:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 0 or more")
        if not self.verify_timeout > 0:
            raise ReachlabError(f"verify_timeout={self.verify_timeout} must be above 0")
        if not 0 < self.temperature < float("inf"):
            raise ReachlabError(f"temperature={self.temperature} must be above 0: greedy rollouts teach nothing")
        if self.prompts % self.updates:
            raise ReachlabError(f"prompts={self.prompts} must be a multiple of updates={self.updates}")


def _check_batch(batch: int, length: int) -> None:
    if batch < 1:
        raise ReachlabError(f"batch={batch} must be 1 or more")
    if length < 2:
        raise ReachlabError(f"length={length} must be 2 or more: a token to read and one to predict")


def _at_least_one(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ReachlabError(f"{name}={getattr(config, name)} must be 1 or more")
