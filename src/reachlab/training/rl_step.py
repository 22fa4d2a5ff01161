"""One step of reinforcement learning on verifiable rewards, stage by stage (`rl_stages.py`).

    Rollouts     N answers to each problem, judged                       `rollouts.py`, `rl/budgets/`
    Kept         M of them (PODS, arXiv 2504.13818)                      `rl/rules/`
    KeptTokens   passes over them: KL penalties, the critic's values     `passes.py`
    Advantages   what each is worth                                      `rl/algorithms/`
    Loss         what an update lowers                                   `rl/losses.py`

What the models pass over are the kept rollouts alone: so much does the update cost. No stage is changed by a later one.

Axes. P: prompts of a step, N: rollouts of a prompt, M: those that are kept, T: tokens of an answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch

from reachlab.engines.rng import sample_seed
from reachlab.errors import ReachlabError
from reachlab.models.tokenizer import encode_answers, encode_prompts
from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.rules import RULES
from reachlab.rl.weighting import select_weighted
from reachlab.training.guard import check
from reachlab.training.loop import Metrics, TrainingRun
from reachlab.training.passes import Passes
from reachlab.training.policy_engine import DrawingPolicy
from reachlab.training.processes import Processes
from reachlab.training.rl_config import RLConfig
from reachlab.training.rl_stages import Advantages, Kept, KeptTokens, Targets, Watched
from reachlab.training.rollouts import PhaseClock, Rollouts, RolloutSource, describe
from reachlab.training.routing import watched
from reachlab.types import Problem

ENOUGH = 8
"""Rollouts of a step of which at least one must be scored; a smaller step without any teaches nothing and passes."""


@dataclass(frozen=True, kw_only=True)
class RLTrainer:
    """What a step needs, and the step."""

    config: RLConfig
    algorithm: Algorithm
    run: TrainingRun
    source: RolloutSource
    engine: DrawingPolicy
    passes: Passes
    processes: Processes
    clock: PhaseClock
    noted: Sequence[str] = ()
    """Remarks of the construction, told with those of the first step's prompts."""

    def step(self, t: int) -> Metrics:
        """Step t: draw, select, pass, estimate, update; returns what to log."""
        self.clock.seconds.clear()
        with self.engine.ready(), self.processes.agreed():
            rollouts, sums = self.source.draw(t)
            kept = self.select(rollouts, t)
        drawing = dict(self.engine.metrics)
        totals = self.processes.sums(sums)
        if not totals["judged"] and totals["rollouts"] >= ENOUGH:
            raise ReachlabError(
                f"not one of {totals['rollouts']:.0f} rollouts could be scored; {rollouts.last_reason()}"
            )
        with self.clock.phase("logprobs"):
            looked, before = self.passes.watch(rollouts, t)
            tokens = self.passes.tokens(rollouts, kept)
        with self.clock.phase("advantage"):
            advantages = self.advantages(rollouts, kept, tokens)
        with self.clock.phase("update"), watched(self.run.model) as recorder:
            losses = self.passes.losses(tokens, advantages)
            metrics = self.passes.update(self.run, losses, t)
            metrics |= recorder.scalars() if recorder else {}
        if self.config.guard:
            metrics["kl_update"] = self.guard(before, t)
        metrics |= describe(totals | self.processes.sums(looked))
        every = self.config.evaluation.eval_every
        if every and (t + 1) % every == 0:
            metrics |= self.evaluate()
        return metrics | drawing | {f"seconds_{name}": value for name, value in self.clock.seconds.items()}

    def select(self, rollouts: Rollouts, t: int) -> Kept:
        """Which rollouts to learn from; a function of the step's seed and rewards, in however many processes."""
        selection, (P, N) = self.config.selection, (self.config.prompts, self.config.budget.rollouts)
        rule = RULES[selection.rule]
        with self.clock.phase("select"):
            generator = torch.Generator().manual_seed(sample_seed(self.config.loop.seed, "select", t))
            # In the whole step's shape, so that the lots a problem draws do not depend on who holds it.
            rewards_PN = torch.full((P, N), math.nan, dtype=torch.float64)
            rewards_PN[rollouts.places] = rollouts.rewards_PN
            if selection.random_keep:
                kept_PM, weights_PM = select_weighted(
                    rule, rewards_PN, self.config.keep, selection.random_keep, generator
                )
                weights_PM = weights_PM[rollouts.places]
            else:
                kept_PM, weights_PM = rule.keep(rewards_PN, self.config.keep, generator), None
            kept_PM = kept_PM[rollouts.places]
            drawn_P1 = torch.tensor([[len(row)] for row in rollouts.answers])
            drawn_PM = ~rollouts.rewards_PN.gather(1, kept_PM).isnan()
            if not BUDGETS[self.config.budget.budget].partial_groups:
                drawn_PM &= drawn_P1 == N
            return Kept(kept_PM, drawn_PM, weights_PM)

    def advantages(self, rollouts: Rollouts, kept: Kept, tokens: KeptTokens) -> Advantages:
        """What every kept rollout is worth, and weighs."""
        objective = self.config.objective
        scored = Scored(
            rewards_PN=rollouts.rewards_PN,
            kept_PM=kept.indices_PM,
            normalise=self.config.selection.normalise,
            penalty_PMT=tokens.penalty_PMT,
            mask_PMT=tokens.mask_PMT,
            values_PMT=tokens.values_PMT,
            greedy_P=rollouts.greedy_P,
            full_credit=self.config.full_credit,
            gamma=objective.gamma,
            lam=objective.lam,
            total=self.processes.sum,
        )
        values, targets, mean_tokens_P = self.algorithm.advantage(scored), None, None
        if self.algorithm.critic_targets is not None:
            returns_PMT, known_PMT = self.algorithm.critic_targets(scored)
            targets = Targets(returns_PMT=returns_PMT, known_PMT=known_PMT)
        if kept.weights_PM is not None:
            scored_PN = ~rollouts.rewards_PN.isnan()
            mean_tokens_P = rollouts.lengths_PN.where(scored_PN, 0).sum(1) / scored_PN.sum(1).clamp(min=1)
        return Advantages(values=values, weights_PM=kept.weights_PM, mean_tokens_P=mean_tokens_P, targets=targets)

    def guard(self, before: Watched, t: int) -> float:
        """How far the step moved the policy (KL, nats a token), the same on all processes.

        Raises:
            LeapError: too far.
        """
        with self.clock.phase("guard"):
            sums = self.processes.sums(self.passes.moved(before))
        moved = sums["moved"] / max(sums["moved_tokens"], 1.0)
        check("moved the policy", moved, self.config.guard, self.run.optimizer_config, t + 1)
        return moved

    def evaluate(self) -> Metrics:
        """pass@1 on held-out problems and, from several samples each, pass@k; over all processes."""
        k = self.config.evaluation.eval_samples
        before = dict(self.clock.seconds)
        with self.clock.phase("eval"):
            with self.engine.ready(), self.processes.agreed():
                sums = self.source.evaluate()
            sums = self.processes.sums(sums)
        # What it takes to answer and judge here belongs to the evaluation.
        self.clock.seconds.update({name: before.get(name, 0.0) for name in ("generate", "verify")})
        problems = sums["problems"] or math.nan
        metrics = {"eval_pass1": sums["right"] / problems}
        return metrics if k == 1 else {**metrics, f"eval_pass{k}": sums["any"] / problems}

    def remarks(self) -> list[str]:
        """What the recipe chose; what to mind about the first step's prompts, or the held-out ones. Main's alone.

        Raises:
            ReachlabError: the model has no positions for them.
        """
        stream = self.source.task.stream("train", self.config.loop.seed)
        problems = [*islice(stream, self.config.prompts), *self.source.held_out]
        prompts = encode_prompts(self.run.tokenizer, [p.asked for p in problems])
        all_remarks = [*self.noted, *self.source.check(problems, prompts)]
        if self.algorithm.overlong:
            all_remarks += self._check_lengths(problems)
        return all_remarks if self.processes.main else []

    def _check_lengths(self, problems: Sequence[Problem]) -> list[str]:
        share, room = self.algorithm.overlong, self.config.max_tokens * (1 - self.algorithm.overlong)
        solutions = [s for p in problems if (s := self.source.task.solve(p, Random(0))) is not None]
        lengths = [len(ids) + 1 for ids in encode_answers(self.run.tokenizer, solutions)] if solutions else []
        punished = sum(length > room for length in lengths)
        if not punished:
            return []
        return [
            f"{punished} of {len(lengths)} right answers of the task's own solver are so long that "
            f"--overlong-buffer {share:g} punishes them, which teaches answers that are short and wrong; raise "
            "--max-tokens, or lower --overlong-buffer"
        ]
