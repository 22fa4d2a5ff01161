"""What every training command takes; what pretraining and distilling take. No torch here: the command line reads it."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from tyro.conf import arg

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.models.config import ModelConfig
from reachlab.moe.estimators import EstimatorName
from reachlab.moe.methods import MethodName
from reachlab.tasks.asking import AskConfig


@dataclass(frozen=True, kw_only=True)
class OptimizerChoice:
    """How weights move: what a user says of it. The rest is the recipe's (`recipes.py`): by where the model comes
    from, its size, and whether all weights are trained or adapters."""

    method: Annotated[Literal["muon", "adamw"] | None, arg(name="optimizer")] = None
    """muon: Muon on the matrices inside the blocks, AdamW on the rest; adamw: AdamW on everything."""
    lr: float | None = None
    """Learning rate of AdamW."""
    muon_lr: float | None = None
    """Learning rate of Muon."""
    weight_decay: float | None = None
    """Decoupled weight decay, on linear maps and embeddings; biases, norms and single vectors never decay."""
    warmup: int | None = None
    """Steps over which the learning rates rise from 0."""
    schedule: Literal["constant", "linear", "cosine", "wsd"] | None = None
    """What the learning rates do after the warm-up: stay; fall to 0 until the end; or stay, and fall to 0 in a straight
    line at the end (wsd)."""
    decay: float | None = None
    """Share of all steps over which wsd falls."""
    clip: Annotated[float | None, arg(name="max-grad-norm")] = None
    """Gradients longer than this are cut to it; 0 does not clip."""

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("lr", "muon_lr", "weight_decay", "warmup", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ReachlabError(f"optimizer.{name}={value} must be 0 or more")
        if self.decay is not None and not 0 <= self.decay <= 1:
            raise ReachlabError(f"optimizer.decay={self.decay} is a share of the steps: 0 to 1")

    def settled(self, recipe: "OptimizerConfig") -> "OptimizerConfig":
        """What is said here, else what the recipe says."""
        return replace(recipe, **self.given())

    def given(self) -> dict[str, Any]:
        """The fields that have a value."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(OptimizerChoice):
    """How weights move."""

    method: Annotated[Literal["muon", "adamw"], arg(name="optimizer")] = "adamw"
    """muon: Muon on the matrices inside the blocks, AdamW on the rest; adamw: AdamW on everything."""
    lr: float = 1e-3
    """Learning rate of AdamW."""
    muon_lr: float = 0.02
    """Learning rate of Muon."""
    weight_decay: float = 0.0
    """Decoupled weight decay, on linear maps and embeddings; biases, norms and single vectors never decay."""
    warmup: int = 0
    """Steps over which the learning rates rise from 0."""
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "constant"
    """What the learning rates do after the warm-up: stay; fall to 0 until the end; or stay, and fall to 0 in a straight
    line at the end (wsd)."""
    decay: float = 0.2
    """Share of all steps over which wsd falls."""
    clip: Annotated[float, arg(name="max-grad-norm")] = 1.0
    """Gradients longer than this are cut to it; 0 does not clip."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What every training run shares."""

    steps: int = 0
    """Optimizer steps; 0 takes the recipe's (docs/training.md has the table)."""
    save_every: int = 100
    """Steps between two saved states; a killed run goes on from the last."""
    keep_every: int = 0
    """Steps between two checkpoints that stay, in checkpoints/step-000050 and so on; 0 keeps the final model alone."""
    seed: int = 0
    """Decides the weights a new model starts with and the order of the data."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch. It is part of a run's identity: sums in another order are other weights."""
    max_seconds: float = 0.0
    """Finish after the step in which this much time has gone into training (evaluation left out); 0 takes all steps."""
    track: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Trackers that the metrics also go to; W&B stays offline unless WANDB_MODE says otherwise."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.steps < 0 or self.save_every < 1:
            raise ReachlabError(
                f"steps={self.steps} must be 0 (the recipe's) or more, save_every={self.save_every} 1 or more"
            )
        if self.keep_every < 0:
            raise ReachlabError(f"keep_every={self.keep_every} must be 0 (keep none) or more")
        if not 0 <= self.max_seconds < float("inf"):
            raise ReachlabError(f"max_seconds={self.max_seconds} must be 0 (off) or more")
        if self.threads < 0:
            raise ReachlabError(f"threads={self.threads} must be 0 (torch's own) or more")


@dataclass(frozen=True, kw_only=True)
class WeightsConfig:
    """What of the model moves, and in which precision it computes."""

    lora_rank: int = 0
    """Train low-rank adapters of this rank (LoRA, through peft) instead of the weights; 0 trains the weights."""
    lora_alpha: int = 0
    """Scale of the adapters: alpha / rank multiplies them; 0 takes twice the rank."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the passes compute in; the weights and the optimizer stay float32."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.lora_rank < 0 or self.lora_alpha < 0:
            raise ReachlabError(f"lora_rank={self.lora_rank} and lora_alpha={self.lora_alpha} must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class RoutingConfig:
    """How the routers of a sparse mixture of experts learn; nothing of it concerns a dense model."""

    routing: MethodName = "topk"
    """topk: the model's own gradient, of the visited experts alone; default: a dense one, by vectors that stand for the
    others (Default MoE); densemixer: a dense one, by visiting all; sparsemixer; lossfree: balance by a bias."""
    estimator: EstimatorName = "linear"
    """Where default vectors come from (default): the paper's mean over an expert's own tokens, that mean at a fitted
    length, the mean over probes, or a line through them."""
    default_forward: Literal["sparse", "default"] = "sparse"
    """Whether default vectors are seen by the gradient alone, or are part of the model's answer, as in the paper."""
    default_update: Literal["per_step", "before_use"] = "per_step"
    """When default vectors move: once a step, or in each pass before they are used, as in the paper; then a token's
    gradient (or answer) depends on later tokens of the batch."""
    probe_share: float = 0.01
    """Share of the tokens that also visit an expert they were not routed to (shrunk, probed, linear)."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 < self.probe_share <= 1:
            raise ReachlabError(f"probe_share={self.probe_share} must be above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class BalanceConfig:
    """Losses on the routers of a sparse mixture of experts, over the whole batch of all processes."""

    balance: float | None = None
    """Weight of the load-balancing loss; default: the model's own (router_aux_loss_coef, 0 where it has none)."""
    balance_form: Literal["layer", "pooled"] | None = None
    """What the load-balancing loss wants even: each layer's load, or that of all layers together, as transformers has
    it (then a layer may send everything to one expert while others make up for it); default: layer for models
    pretrained here, pooled for others."""
    z_loss: float = 0.0
    """Weight of the z-loss, which keeps the routers' logits small."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.balance is not None and not 0 <= self.balance < float("inf"):
            raise ReachlabError(f"balance={self.balance} must be 0 or more")
        if not 0 <= self.z_loss < float("inf"):
            raise ReachlabError(f"z_loss={self.z_loss} must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """What pretraining on text takes beside the text itself."""

    glob: str = "*"
    """Which files below a folder of text, at any depth, e.g. '*.md'; files that are not UTF-8 text are left out."""
    held_out: float = 0.02
    """Share of the documents that is never trained on and measures the validation loss."""
    eval_every: int = 0
    """Steps between two measurements of the validation loss, with one after the last step; 0 never measures it."""
    eval_tokens: int = 100_000
    """Held-out tokens that a measurement predicts, always the same ones; 0 takes all."""
    cache: str = ""
    """Folder for the tokens of the text, which other runs on the same text then share; default: inside the run's, until
    it has finished."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 <= self.held_out < 1:
            raise ReachlabError(f"held_out={self.held_out} is a share of the documents: 0 up to 1")
        if self.eval_every < 0 or self.eval_tokens < 0:
            raise ReachlabError(f"eval_every={self.eval_every} and eval_tokens={self.eval_tokens} must be 0 or more")
        if self.eval_every and not self.held_out:
            raise ReachlabError("--eval-every measures held-out text: give --held-out a share above 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Train a new model on text, or on a task's ordinary text (right and wrong attempts)."""

    data: str
    """text:FILE or text:FOLDER (text, or JSON lines with a field "text"), datasets:ID_OR_PATH[:SPLIT[:COLUMN]], stdlib
    (the Python standard library's own source), or a task (countdown, gym:NAME, math:FILE)."""
    out: str
    """Run folder, e.g. runs/base; the model ends up in its model/."""
    loop: LoopConfig = LoopConfig(steps=800)
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=20, schedule="linear")
    text: TextConfig = TextConfig()
    routing: RoutingConfig = RoutingConfig()
    balance: BalanceConfig = BalanceConfig()
    batch: int = 128
    """Sequences a step, over all processes."""
    length: int = 256
    """Longest sequence, in tokens; text is cut into windows of this length."""
    accumulate: Annotated[int, arg(name="gradient-accumulation")] = 1
    """Pieces that a process cuts its part of a batch into, one after the other: less memory, the same gradient."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the model computes in; weights, optimizer and loss stay float32."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.loop.steps or not self.batch:
            raise ReachlabError("steps=0 and batch=0 take a recipe's, and pretraining has none: give 1 or more")
        _check_batch(self.batch, self.length, self.accumulate)


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Train a model on a teacher's right answers."""

    model: str
    """Checkpoint to start from: a folder, or ORG/NAME[@REVISION] of the hub."""
    teacher: str
    """`solver` (the task's own), or a run of samples drawn from a teacher model: its correct samples are learned."""
    task: str
    """The task whose training problems the solver answers; for a run of samples, the task it was drawn on."""
    answers: Literal["right", "all"] = "right"
    """Which answers of a run of samples are learned: the right ones, or all that were not cut, right and wrong."""
    tokens_of: str = ""
    """A finished training run: take as many steps as it takes to learn as many tokens as that run did; a control."""
    out: str
    """Run folder; the model ends up in its model/."""
    ask: AskConfig = AskConfig()
    loop: LoopConfig = LoopConfig()
    optimizer: OptimizerChoice = OptimizerChoice()
    weights: WeightsConfig = WeightsConfig()
    routing: RoutingConfig = RoutingConfig()
    balance: BalanceConfig = BalanceConfig()
    batch: int = 0
    """Answers a step, over all processes; 0 takes the recipe's."""
    length: int = 256
    """Longest prompt and answer together, in tokens; longer ones are cut."""
    accumulate: Annotated[int, arg(name="gradient-accumulation")] = 1
    """Pieces that a process cuts its part of a batch into, one after the other: less memory, the same gradient."""
    guard: float = 1.0
    """Stop when the loss of the first step's sequences is this far above what it was at the start (nats a token); 0
    does not look. It takes a pass over a few sequences a step."""
    rehash: bool = False
    """Read all of the weights for their hash, though it is known for files of these sizes and times."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 <= self.guard < float("inf"):
            raise ReachlabError(f"guard={self.guard} must be 0 (off) or more")
        _check_batch(self.batch, self.length, self.accumulate)


def _check_batch(batch: int, length: int, accumulate: int) -> None:
    if batch < 0:
        raise ReachlabError(f"batch={batch} must be 1 or more")
    if length < 2:
        raise ReachlabError(f"length={length} must be 2 or more: a token to read and one to predict")
    if not 1 <= accumulate <= (batch or accumulate):
        raise ReachlabError(f"gradient_accumulation={accumulate} must be 1 to batch={batch}")
