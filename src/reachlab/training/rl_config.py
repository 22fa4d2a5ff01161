"""What `reachlab rl` takes. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from reachlab.engines.config import Servers
from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.rl.algorithms import AlgorithmName
from reachlab.rl.budgets import BUDGETS, BudgetName
from reachlab.rl.rules import RULES, RuleName
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.rewards import RANDOM, Reward, load_reward
from reachlab.training.config import LoopConfig, OptimizerChoice, RoutingConfig, WeightsConfig


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is maximised. What is left to `auto` is the algorithm's own choice."""

    algorithm: AlgorithmName = "grpo"
    """A row of choices; docs/rl.md has the table."""
    aggregate: Annotated[Literal["auto", "sequence", "token", "constant", "sum"], arg(name="loss-aggregation")] = "auto"
    """How tokens become a loss: mean over each answer's tokens and then over answers; mean over all tokens; sum over
    answers * max_tokens; sum over an answer's tokens and mean over answers."""
    clip_low: float | None = None
    """A probability ratio below 1 - clip_low gets no further push down; default the algorithm's own."""
    clip_high: float | None = None
    """A probability ratio above 1 + clip_high gets no further push up; default the algorithm's own."""
    kl: Annotated[float, arg(name="kl-coef")] = 0.0
    """Weight of the KL divergence to the model the run began with; 0 leaves it out."""
    kl_place: Literal["auto", "loss", "reward"] = "auto"
    """Where the KL goes when its weight is not 0."""
    kl_estimator: Literal["auto", "k1", "k2", "k3"] = "auto"
    """How it is estimated from the tokens drawn."""
    overlong: Annotated[float | None, arg(name="overlong-buffer")] = None
    """Share of max_tokens over which long answers are punished softly, down to -1 (DAPO's 0.2); 0 does not."""
    full_credit: float | None = None
    """What a right answer earns (grpo, dapo): smaller differences, partial credit, are not blown up to that size by the
    division by their deviation. Default 1, and with --reward what that one says, else 0; 0 divides
    by any deviation, as the papers do."""
    gamma: float = 1.0
    """Discount of later rewards (PPO, REINFORCE++)."""
    lam: Annotated[float, arg(name="gae-lambda")] = 1.0
    """λ of PPO's generalised advantage estimation."""
    critic_lr: float = 1e-3
    """Learning rate of PPO's critic."""

    def __post_init__(self) -> None:
        check_numbers(self)
        said = {"kl": "kl_coef", "overlong": "overlong_buffer", "lam": "gae_lambda"}
        for name in ("clip_low", "clip_high", "kl", "overlong", "critic_lr", "full_credit"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ReachlabError(f"{said.get(name, name)}={value} must be 0 or more")
        if self.overlong is not None and self.overlong > 1:
            raise ReachlabError(f"overlong_buffer={self.overlong} is a share of max_tokens: 0 to 1")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise ReachlabError(f"{said.get(name, name)}={getattr(self, name)} must lie in 0 to 1")


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """Which rollouts are learned from."""

    rule: RuleName = "none"
    """Which rollouts of a problem are kept; max_variance is PODS."""
    keep: int = 0
    """Rollouts of a problem that are learned from (m); 0 keeps all."""
    normalise: Annotated[Literal["kept", "all"], arg(name="advantage-normalisation")] = "kept"
    """Which rollouts an advantage's baseline and deviation are taken over."""
    random_keep: int = 0
    """Of the kept rollouts, this many are drawn by lot and all are weighted so that the gradient is that of all
    rollouts, unbiased; 0 does not weight. Needs
    --advantage-normalisation all."""

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """Which rollouts are generated."""

    rollouts: int = 0
    """Rollouts a problem may get (n), the size of its group; 0 takes the recipe's."""
    budget: BudgetName = "all"
    """all: n at once. waves: a problem stops when no further rollout could improve its kept subset. pilot_commit
    (arXiv 2605.26606): a pilot estimates the success rate, problems outside a band get no more and are left out."""
    wave: int = 0
    """Rollouts a problem in the first wave or in the pilot; 0 takes 2 * `keep` (waves) or a quarter of n (pilot)."""
    band: tuple[float, float] = (0.125, 0.75)
    """Mean rewards of the pilot from the first to the second get the rest (pilot_commit)."""
    reward_range: tuple[float, float] = (0.0, 1.0)
    """What the lowest and the highest reward can be; waves use it to know that nothing better can come."""
    redraws: int | None = None
    """Dynamic sampling: problems whose rollouts all got one reward are replaced by new ones, up to this many times;
    default 3 for dapo and 0 for the others."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.rollouts < 0 or self.wave < 0:
            raise ReachlabError(f"rollouts={self.rollouts} and wave={self.wave} must be 0 (chosen for you) or more")
        if self.rollouts and self.wave > self.rollouts:
            raise ReachlabError(f"wave={self.wave} must be 0 (chosen for you) to rollouts={self.rollouts}")
        if not 0 <= self.band[0] <= self.band[1] <= 1:
            raise ReachlabError(f"band={self.band} must be two mean rewards, low and high, in 0 to 1")
        if not -float("inf") < self.reward_range[0] < self.reward_range[1] < float("inf"):
            raise ReachlabError(f"reward_range={self.reward_range} must be two numbers, low and high")
        if self.redraws is not None and self.redraws < 0:
            raise ReachlabError(f"redraws={self.redraws} must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured on held-out problems while training."""

    eval_every: int = 0
    """Steps between two evaluations; 0 never evaluates."""
    eval_problems: int = 64
    """Held-out problems of an evaluation."""
    eval_samples: int = 1
    """Answers a problem: pass@1 is their share of right ones, pass@k with k = eval_samples that any is right."""

    watch: bool = True
    """Measure, each step, the entropy and the KL to the start on one rollout of each problem; it takes a copy of the
    starting weights."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.eval_every < 0:
            raise ReachlabError(f"eval_every={self.eval_every} must be 0 or more")
        for name in ("eval_problems", "eval_samples"):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """How a server that draws the rollouts gets the weights."""

    folder: Annotated[str, arg(name="push-folder")] = ""
    """Where the folder of the pushed weights lies, which the server sees under the same path, e.g. /dev/shm; default:
    pushed/ in the run's."""
    tolerance: Annotated[float, arg(name="push-tolerance")] = 0.05
    """Nats a token by which the server may be off the policy after a push; more stops the run."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 < self.tolerance < float("inf"):
            raise ReachlabError(f"push_tolerance={self.tolerance} must be above 0")


@dataclass(frozen=True, kw_only=True)
class RLConfig:
    """Reinforcement learning on verifiable rewards, updating on the rollouts that a down-sampling rule keeps."""

    model: str
    """Checkpoint to start from: a folder, or ORG/NAME[@REVISION] of the hub."""
    task: str
    """The task whose training problems are tried and whose verifier gives the reward."""
    out: str = ""
    """Run folder; the model ends up in its model/. Only --advise does without."""
    reward: str = ""
    """A reward of your own in place of the task's score: the name of one that is registered (docs/extend.md), or
    MODULE:FUNCTION or FILE.py:FUNCTION, called as function(problem, answer) -> float. random: a fair coin a rollout,
    whatever it says; a control (arXiv 2506.10947)."""
    ask: AskConfig = AskConfig()
    prompts: int = 0
    """Problems a step, over all processes; 0 takes the recipe's."""
    temperature: float = 1.0
    """Of the rollouts, and of the policy that is optimized."""
    max_tokens: int = 0
    """Longest rollout; 0 takes 256, or what the model's positions leave."""
    updates: Annotated[int, arg(name="minibatches")] = 1
    """Optimizer updates a pass over the step's rollouts, each on its share of the problems."""
    epochs: int = 1
    """Passes over the step's rollouts. From the second update on, clipping matters."""
    pass_tokens: Annotated[int, arg(name="micro-batch-tokens")] = 8192
    """Tokens in one forward and backward pass; the gradient does not depend on it."""
    guard: float = 0.5
    """Stop when a step moves the policy by more nats a token (KL) than this; 0 does not look. It takes a pass over one
    rollout of each problem."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""
    objective: ObjectiveConfig = ObjectiveConfig()
    selection: SelectionConfig = SelectionConfig()
    budget: BudgetConfig = BudgetConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    weights: WeightsConfig = WeightsConfig()
    optimizer: OptimizerChoice = OptimizerChoice()
    routing: RoutingConfig = RoutingConfig()
    servers: Servers = Servers()
    push: PushConfig = PushConfig()
    loop: LoopConfig = LoopConfig(save_every=10)
    rehash: bool = False
    """Read all of the weights for their hash, though it is known for files of these sizes and times."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("verify_timeout",))
        for name in ("prompts", "max_tokens"):
            if getattr(self, name) < 0:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more, or 0 (chosen for you)")
        for name, said in (("updates", "minibatches"), ("epochs", "epochs"), ("pass_tokens", "micro_batch_tokens")):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{said}={getattr(self, name)} must be 1 or more")
        if not 0 <= self.guard < float("inf"):
            raise ReachlabError(f"guard={self.guard} must be 0 (off) or more")
        if not 0 < self.temperature < float("inf"):
            raise ReachlabError(f"temperature={self.temperature} must be above 0: greedy rollouts teach nothing")
        if self.prompts % self.updates:
            raise ReachlabError(f"prompts={self.prompts} must be a multiple of minibatches={self.updates}")
        if len(self.servers.base_url) > 1:
            raise ReachlabError("--base-url: rollouts come from one server; say one address")
        if not self.servers.base_url and (self.servers, self.push) != (Servers(), PushConfig()):
            raise ReachlabError("options of a server need --base-url, the server that draws the rollouts")
        self._check_selection()

    def _check_selection(self) -> None:
        rule, keep, rollouts = RULES[self.selection.rule], self.selection.keep, self.budget.rollouts
        budget = BUDGETS[self.budget.budget]
        if keep < 0 or (rollouts and keep > rollouts):
            raise ReachlabError(f"keep={keep} must be 0 (all) to rollouts={rollouts}")
        if rule.keeps_all and rollouts and keep not in (0, rollouts):
            raise ReachlabError(f"keep={keep} of rollouts={rollouts} needs a --rule, e.g. max_variance")
        if not rule.keeps_all and not keep:
            raise ReachlabError(f"--rule {rule.name} needs --keep, the number of rollouts to update on")
        if self.selection.random_keep < 0 or (self.keep and self.selection.random_keep > self.keep):
            raise ReachlabError(f"random_keep={self.selection.random_keep} must be 0 to keep={self.keep}")
        if self.selection.random_keep and self.selection.normalise != "all":
            raise ReachlabError(
                "--random-keep makes the gradient that of all rollouts: add --advantage-normalisation all"
            )
        if not budget.draws_all and self.selection.normalise == "all":
            raise ReachlabError(
                f"--advantage-normalisation all needs all rollouts, and --budget {budget.name} does not draw all"
            )
        budget.check(self.budget, rule)

    @property
    def full_credit(self) -> float:
        """What a right answer earns; 0 where only the user knows."""
        said = self.objective.full_credit
        if said is None and (reward := self.own_reward) is not None:
            said = reward.full_credit
        return said if said is not None else float(self.reward in ("", RANDOM))

    @property
    def own_reward(self) -> Reward | None:
        """The reward, where it is neither the task's own nor a coin.

        Raises:
            ReachlabError: there is none of that name.
        """
        return load_reward(self.reward) if self.reward not in ("", RANDOM) else None

    @property
    def keep(self) -> int:
        """Rollouts a problem that the update uses (m)."""
        return self.selection.keep or self.budget.rollouts
