"""When does down-sampling pay? A small stochastic model of RL with groups, run on the house's own rules and advantages.

A prompt is a vector x and a base success rate; under the policy w it is solved with p = sigmoid(logit(rate) + x·w). For
a rollout y with reward r in {0, 1}, the mean of ∇ log π(y) given r is ∇ log P(r) = (r − p) x, exactly; what y has
beyond its reward is noise of mean zero. So a step of GRPO on the M rollouts that a rule keeps of N, for each of P
prompts, is

    g = 1/(P M) Σ_p Σ_i A_i [(r_i − p) x_p + (noise/√D) ε_i],   ε_i ~ N(0, I_D),      w ← w + lr g/|g|

with the real A and the real choice of rollouts. Since Σ_i A_i ε_i is normal with variance Σ_i A_i², it is drawn as one
vector. Steps have one length, which is what Adam and a clipped gradient come near to: more and better rollouts turn
the direction, they do not lengthen the step. x = √shared e_1 + √(1 − shared) N(0, I_D/D): what one prompt teaches helps
all others by `shared`, and a few by chance.

    seconds = steps · (step + waves · wave + P · (generated · generate + M · train))

What to expect: a prompt with k right of M rollouts has Σ A_i (r_i − p) = √(k (M − k)) and Σ A_i² = M. So where noise
rules, it adds k (M − k)/M to a step's squared signal-to-noise ratio: about m p(1 − p) under GRPO-m, n p(1 − p) under
GRPO-n, and under PODS k (m − k)/m with k = min(n p, m/2), for p below 1/2. Steps go with the inverse root. Hence, in
this limit: near p = 1/2 PODS needs the steps of GRPO-m; at rare success up to √(n/m) times fewer; and never fewer than
GRPO-n, whose updates cost n/m times as much. It can beat the better of the two by √(n/m) at most.

Assumed: binary rewards; rollouts independent given their prompt; a fresh prompt every time; costs that depend neither
on the reward nor on how answers lengthen as the policy learns; one update a step, on-policy. Not modelled: clipping,
KL, Adam's momentum and its second moments by coordinate, loss of entropy, prompts that no policy can solve,
overfitting, and so the plateau that an algorithm ends on. `noise` and `shared` are not measured: read results over a
range of them. All plans have one learning rate, as in the paper; so do not compare plans that train on different m by
it: a smaller batch looks faster, since nobody tunes the larger one's rate.

Source: ours. The protocol is that of PODS (arXiv 2504.13818), time until 99 % of GRPO's best mean accuracy, but with
99 % of what it gains: a good base is at 99 % of the best before the first step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import Scored
from reachlab.rl.algorithms.grpo import GRPO
from reachlab.rl.rules import RULES

Floats = NDArray[np.float64]

HELD_OUT = 512
"""Prompts on which accuracy is computed; no answers are drawn for it."""
SMALLEST_RATE = 1e-6
"""Success rates are kept this far from 0 and 1, so that their logits are finite."""
WIDTHS = (2, 4, 8, 16)
"""n/m of a map, unless told otherwise."""
RATIOS = tuple(2.0**power for power in range(-4, 9))
"""u/g of a map, unless told otherwise."""
MOST_STEPS = 4
"""How many times the steps of the run that sets the target another run may take to reach it."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The prompts, and how hard learning from them is."""

    alpha: float = 0.5
    """Success rates of the base are drawn from Beta(alpha, beta) ..."""
    beta: float = 4.0
    """... whose mean is alpha / (alpha + beta)."""
    rates: tuple[float, ...] = ()
    """Success rates to draw from instead, each as likely as the others."""
    dimension: int = 32
    """D, the number of the policy's parameters."""
    shared: float = 0.5
    """Share of a prompt's direction that all prompts have in common, 0 to 1."""
    noise: float = 16.0
    """Length of what a rollout's gradient holds beyond its reward, in units of the length of x."""

    def __post_init__(self) -> None:
        if not (0 < self.alpha < float("inf") and 0 < self.beta < float("inf")):
            raise ReachlabError(f"regime: alpha={self.alpha} and beta={self.beta} must be above 0")
        if not all(0 <= rate <= 1 for rate in self.rates):
            raise ReachlabError("regime: a success rate is outside 0 to 1; give shares of right answers")
        if self.dimension < 1 or not 0 <= self.shared <= 1 or not 0 <= self.noise < float("inf"):
            raise ReachlabError(
                f"regime: dimension={self.dimension} must be 1 or more, shared={self.shared} in 0 to 1, "
                f"noise={self.noise} 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a step does with each prompt: generate `rollouts`, train on the `keep` of them that `rule` chooses."""

    rollouts: int
    keep: int
    rule: str = "max_variance"
    waves: bool = False
    """Generate `keep` at a time, and stop once half of `keep` are right and half wrong (max_variance only)."""

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.rollouts:
            raise ReachlabError(f"regime: cannot keep {self.keep} of {self.rollouts} rollouts")
        if self.rule not in RULES:
            raise ReachlabError(f"regime: no rule {self.rule!r}; choose one of {', '.join(RULES)}")
        if self.waves and self.rule != "max_variance":
            raise ReachlabError(f"regime: waves stop early under max_variance, not under {self.rule!r}")

    @property
    def name(self) -> str:
        """As tables have it: GRPO 16, PODS 64 → 16, PODS 64 → 16 waves, max_reward 64 → 16."""
        if self.keep == self.rollouts:
            return f"GRPO {self.rollouts}"
        rule = "PODS" if self.rule == "max_variance" else self.rule
        return f"{rule} {self.rollouts} → {self.keep}" + (" waves" if self.waves else "")


def grpo(rollouts: int) -> Plan:
    """Train on all."""
    return Plan(rollouts=rollouts, keep=rollouts, rule="none")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds. A cost that does not grow with size is what a GPU shows that is not full."""

    generate: float
    """Of one more rollout generated and verified."""
    train: float
    """Of one more rollout trained on."""
    step: float = 0.0
    """Of a step's update, whatever its size."""
    wave: float = 0.0
    """Of generating once, however much. Waves of `keep` rollouts a prompt pay it every time."""

    def __post_init__(self) -> None:
        if not all(0 <= cost < float("inf") for cost in (self.generate, self.train, self.step, self.wave)):
            raise ReachlabError(f"regime: costs must be 0 seconds or more: {self}")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and with what to train."""

    prompts: int = 32
    """P, prompts a step."""
    steps: int = 100
    """Steps of the run that sets the target."""
    lr: float = 0.1
    """Length of a step of w."""
    seeds: int = 16
    """Independent runs, whose mean is looked at."""
    seed: int = 0
    """Decides every draw."""

    def __post_init__(self) -> None:
        if min(self.prompts, self.steps, self.seeds) < 1 or not 0 < self.lr < float("inf"):
            raise ReachlabError(
                f"regime: prompts={self.prompts}, steps={self.steps} and seeds={self.seeds} must be 1 or more, "
                f"lr={self.lr} above 0"
            )


@dataclass(frozen=True)
class Course:
    """A simulated training: S seeds, T steps."""

    plan: Plan
    prompts: int
    accuracy_ST: Floats
    """Mean success rate on held-out prompts before the first step and after each: (S, T + 1)."""
    generated_ST: Floats
    """Rollouts generated a prompt until then, all steps together: (S, T + 1), beginning with 0."""

    def reach(self, target: float, who: NDArray[np.int64] | None = None) -> tuple[float, float]:
        """Steps, and rollouts generated a prompt, until the mean over seeds (`who`, or all) is at `target`.

        Between two steps the mean is taken as linear. Infinite where it never gets there.
        """
        rows = slice(None) if who is None else who
        accuracy_T = self.accuracy_ST[rows].mean(axis=0)
        above = np.flatnonzero(accuracy_T >= target)
        if not len(above):
            return float("inf"), float("inf")
        at = int(above[0])
        if at == 0:
            return 0.0, 0.0
        before, after = accuracy_T[at - 1], accuracy_T[at]
        steps = at - 1 + (target - before) / (after - before)
        return float(steps), float(np.interp(steps, np.arange(len(accuracy_T)), self.generated_ST[rows].mean(axis=0)))

    def seconds(self, reached: tuple[float, float], costs: Costs) -> float:
        """Seconds of that many steps and rollouts, as `reach` has them; infinite where these are."""
        steps, generated = reached
        if not np.isfinite(steps):
            return float("inf")
        waves = generated / self.plan.keep if self.plan.waves else steps
        per_prompt = generated * costs.generate + steps * self.plan.keep * costs.train
        return steps * costs.step + waves * costs.wave + self.prompts * per_prompt


def simulate(world: World, plan: Plan, schedule: Schedule, until: float = float("inf")) -> Course:
    """Train `schedule.seeds` policies side by side, until steps run out or the mean accuracy is surely at `until`.

    Surely is by three standard errors of the mean over seeds. Two plans under one schedule meet the same prompts.
    """
    S, P, D, N = schedule.seeds, schedule.prompts, world.dimension, plan.rollouts
    prompts = _Prompts(world, np.random.default_rng((schedule.seed, 0)))
    rng = np.random.default_rng((schedule.seed, 1))
    lots = torch.Generator().manual_seed(schedule.seed)
    bias_E, x_ED = _Prompts(world, np.random.default_rng((schedule.seed, 2))).draw(HELD_OUT)
    w_SD = np.zeros((S, D))
    accuracy, generated = [_sigmoid(bias_E + w_SD @ x_ED.T).mean(axis=1)], [np.zeros(S)]
    while len(accuracy) <= schedule.steps and accuracy[-1].mean() - 3 * _error(accuracy[-1]) < until:
        flat_bias, flat_x = prompts.draw(S * P)
        bias_SP, x_SPD = flat_bias.reshape(S, P), flat_x.reshape(S, P, D)
        p_SP = _sigmoid(bias_SP + np.einsum("spd,sd->sp", x_SPD, w_SD))
        right_SPN = rng.random((S, P, N), dtype=np.float32) < p_SP[..., None]
        rewards_PN = torch.from_numpy(right_SPN.reshape(S * P, N)).float()
        kept_PM = RULES[plan.rule].keep(rewards_PN, plan.keep, lots)
        # An answer of one token: GRPO's advantage is the same for all tokens.
        scored = Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=torch.ones(*kept_PM.shape, 1).bool())
        advantages_SPM = GRPO.advantage(scored).double().numpy().reshape(S, P, plan.keep)
        rewards_SPM = rewards_PN.gather(1, kept_PM).double().numpy().reshape(S, P, plan.keep)
        signal_SP = (advantages_SPM * (rewards_SPM - p_SP[..., None])).sum(axis=2)
        spread_S = np.sqrt((advantages_SPM**2).sum(axis=(1, 2)) / D) * world.noise
        g_SD = np.einsum("sp,spd->sd", signal_SP, x_SPD) + spread_S[:, None] * rng.standard_normal((S, D))
        length_S = np.sqrt((g_SD**2).sum(axis=1))
        w_SD = w_SD + schedule.lr * g_SD / np.where(length_S > 0, length_S, 1.0)[:, None]
        accuracy.append(_sigmoid(bias_E + w_SD @ x_ED.T).mean(axis=1))
        generated.append(generated[-1] + _generated(right_SPN, plan).mean(axis=1))
    return Course(plan, P, np.stack(accuracy, axis=1), np.stack(generated, axis=1))


def gain_target(accuracy_ST: Floats) -> float:
    """Where 99 % of a course's gain in mean accuracy is reached: start + 0.99 (best − start)."""
    mean_T = accuracy_ST.mean(axis=0)
    return float(mean_T[0] + 0.99 * (mean_T.max() - mean_T[0]))


def sooner(other: float, own: float) -> float:
    """How many times sooner `own` seconds are: 0 where they are infinite, infinite where only `other` are."""
    if not np.isfinite(own):
        return 0.0
    return other / own if own else 1.0


@dataclass(frozen=True)
class Race:
    """PODS against both plain GRPOs, until 99 % of what GRPO on `keep` rollouts gains in its steps."""

    few: Course
    """GRPO on the `keep` rollouts that it generates."""
    many: Course
    """GRPO on all that PODS generates."""
    pods: Course

    def steps(self) -> tuple[float, float, float]:
        """Steps to the target of GRPO-m, GRPO-n and PODS."""
        (few, _), (many, _), (pods, _) = self._reached()
        return few, many, pods

    def speedups(self, costs: Costs) -> tuple[float, float]:
        """Seconds of GRPO-m, and of GRPO-n, over those of PODS; 0 where PODS never arrives."""
        return self._speedups(self._reached(), costs)

    def over_better(self, costs: Costs) -> float:
        """Seconds of the faster of the two over those of PODS; above 1 PODS pays."""
        return min(self.speedups(costs))

    def intervals(self, costs: Sequence[Costs], level: float = 0.95, resamples: int = 200, seed: int = 0) -> Floats:
        """Percentile intervals of `over_better`, (costs, 2), from resampled seeds; all courses are resampled alike.

        The percentiles are those of Student's t, Φ(∓√(S / (S − 1)) t): of 16 seeds plain ones hold a mean in 92 %, not
        in 95 %. Of one seed, and of few, they are too narrow whatever is done; `RegimeConfig` asks for 6.
        """
        seeds = len(self.few.accuracy_ST)
        tail = (1 - level) / 2
        if seeds > 1:
            tail = float(ndtr(stdtrit(seeds - 1, tail) * (seeds / (seeds - 1)) ** 0.5))
        rng = np.random.default_rng(seed)
        reached = [self._reached(rng.integers(seeds, size=seeds)) for _ in range(resamples)]
        found = [[min(self._speedups(r, c)) for c in costs] for r in reached]
        ends = np.quantile(found, [tail, 1 - tail], axis=0, method="inverted_cdf")
        return np.asarray(ends.T, dtype=float)

    def _reached(self, who: NDArray[np.int64] | None = None) -> list[tuple[float, float]]:
        """Where each course is at GRPO-m's target."""
        target = gain_target(self.few.accuracy_ST if who is None else self.few.accuracy_ST[who])
        return [course.reach(target, who) for course in (self.few, self.many, self.pods)]

    def _speedups(self, reached: list[tuple[float, float]], costs: Costs) -> tuple[float, float]:
        courses = (self.few, self.many, self.pods)
        few, many, pods = (c.seconds(r, costs) for c, r in zip(courses, reached, strict=True))
        return sooner(few, pods), sooner(many, pods)


def race(world: World, plan: Plan, schedule: Schedule, few: Course | None = None) -> Race:
    """Simulate a plan that selects, and GRPO on its m and on its n rollouts.

    `few`, GRPO on m, may be given by an earlier race of the same world, schedule and m.
    """
    few = few or simulate(world, grpo(plan.keep), schedule)
    until = gain_target(few.accuracy_ST) + 3 * _error(few.accuracy_ST[:, -1])
    longer = replace(schedule, steps=MOST_STEPS * schedule.steps)
    return Race(few, simulate(world, grpo(plan.rollouts), longer, until), simulate(world, plan, longer, until))


@dataclass(frozen=True)
class RegimeMap:
    """Speed-up of PODS over the ratio u/g (axis R) and over n/m (axis W): above 1 PODS is sooner at the accuracy."""

    ratios_R: Floats
    widths_W: NDArray[np.int64]
    keep: int
    over_few_WR: Floats
    """Over GRPO on m rollouts."""
    over_many_WR: Floats
    """Over GRPO on n rollouts."""
    low_WR: Floats
    """The 95 % interval of `over_better`, over the seeds of the simulation alone."""
    high_WR: Floats
    steps_WC: Floats
    """Steps to the target: of GRPO-m, GRPO-n and PODS."""

    def over_better(self) -> Floats:
        """Over the faster of the two: (W, R)."""
        return np.minimum(self.over_few_WR, self.over_many_WR)


def regime_map(
    world: World,
    schedule: Schedule,
    *,
    keep: int = 16,
    widths: Sequence[int] = WIDTHS,
    ratios: Sequence[float] = RATIOS,
    waves: bool = False,
) -> RegimeMap:
    """Race PODS keep·width → keep for every width; the cost ratio u/g needs no further simulation.

    Args:
        world: the prompts.
        schedule: how to train.
        keep: m.
        widths: n/m, each 2 or more.
        ratios: u/g, the cost of training on a rollout over that of generating it.
        waves: stop generating for a prompt once its kept rollouts cannot get better.

    Raises:
        ReachlabError: a width below 2, a ratio below 0, or settings that the parts refuse.
    """
    if not widths or min(widths) < 2 or not ratios or min(ratios) < 0:
        raise ReachlabError("regime: widths (n/m) must be 2 or more, ratios (u/g) 0 or more")
    few = simulate(world, grpo(keep), schedule)
    races = [race(world, Plan(rollouts=keep * width, keep=keep, waves=waves), schedule, few) for width in widths]
    costs = [Costs(generate=1.0, train=ratio) for ratio in ratios]
    speedups_WRC = np.array([[r.speedups(c) for c in costs] for r in races])
    intervals_WRC = np.array([r.intervals(costs) for r in races])
    return RegimeMap(
        ratios_R=np.array(ratios, dtype=float),
        widths_W=np.array(widths),
        keep=keep,
        over_few_WR=speedups_WRC[..., 0],
        over_many_WR=speedups_WRC[..., 1],
        low_WR=intervals_WRC[..., 0],
        high_WR=intervals_WRC[..., 1],
        steps_WC=np.array([r.steps() for r in races]),
    )


def fit_beta(correct_P: NDArray[np.int64], drawn_P: NDArray[np.int64]) -> tuple[float, float]:
    """alpha and beta of the success rates behind counts: the beta-binomial's mean and variance equal those seen.

    The observed shares c/n vary more than the rates do, by the luck of the draw; this takes that out. Where the shares
    vary no more than luck explains, the rates come out almost all the same; where all are 0 or 1, almost all are.

    Raises:
        ReachlabError: fewer than two prompts, a prompt with fewer than two rollouts, or more right than drawn.
    """
    correct, drawn = np.asarray(correct_P, dtype=float), np.asarray(drawn_P, dtype=float)
    if len(drawn) < 2 or drawn.min() < 2 or (correct > drawn).any() or correct.min() < 0:
        raise ReachlabError("regime: success rates need two or more prompts, each of two or more scored rollouts")
    # Half a right and half a wrong answer more: a rate of exactly 0 would leave nothing to learn from.
    mean = float((correct.sum() + 0.5) / (drawn.sum() + 1))
    luck = mean * (1 - mean) / drawn
    variance = float(((correct / drawn - mean) ** 2).sum() / (len(drawn) - 1))
    # var(c/n) = μ(1−μ) [1/n + ρ (1 − 1/n)], with ρ = 1/(alpha + beta + 1).
    rho = (variance - luck.mean()) / (mean * (1 - mean) * (1 - 1 / drawn).mean())
    both = 1 / float(np.clip(rho, 1e-3, 0.99)) - 1
    return mean * both, (1 - mean) * both


class _Prompts:
    """A stream of prompts: the logits of their base success rates, and their x."""

    def __init__(self, world: World, rng: np.random.Generator):
        self.world, self.rng = world, rng
        self.rates = np.array(world.rates)

    def draw(self, count: int) -> tuple[Floats, Floats]:
        """`bias_P` and `x_PD` of the next `count` prompts."""
        world, rng = self.world, self.rng
        rates_P = rng.choice(self.rates, count) if len(self.rates) else rng.beta(world.alpha, world.beta, count)
        rates_P = rates_P.clip(SMALLEST_RATE, 1 - SMALLEST_RATE)
        x_PD = rng.standard_normal((count, world.dimension)) * np.sqrt((1 - world.shared) / world.dimension)
        x_PD[:, 0] += np.sqrt(world.shared)
        return np.log(rates_P) - np.log1p(-rates_P), x_PD


def _generated(right_SPN: NDArray[np.bool_], plan: Plan) -> Floats:
    """Rollouts generated for each prompt: (S, P)."""
    S, P, N = right_SPN.shape
    if not plan.waves:
        return np.full((S, P), float(N))
    ends_W = np.append(np.arange(plan.keep, N, plan.keep), N)
    right_SPW = right_SPN.cumsum(axis=2)[..., ends_W - 1]
    fewer = plan.keep // 2  # an odd `keep` has one more of either kind
    most = plan.keep - fewer
    lesser_SPW = np.minimum(right_SPW, ends_W - right_SPW)
    enough_SPW = (lesser_SPW >= fewer) & (ends_W - lesser_SPW >= most)
    enough_SPW[..., -1] = True
    return np.asarray(ends_W[enough_SPW.argmax(axis=2)], dtype=float)


def _error(accuracy_S: Floats) -> float:
    """Standard error of a mean over seeds; one seed tells none."""
    return float(accuracy_S.std(ddof=1) / np.sqrt(len(accuracy_S))) if len(accuracy_S) > 1 else 0.0


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)), dtype=float)
