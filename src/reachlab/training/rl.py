"""Reinforcement learning on verifiable rewards: sample → verify → select → advantage → loss → update.

N rollouts of each problem are generated and judged, a rule keeps M of them (PODS, arXiv 2504.13818), an algorithm turns
their rewards into advantages (`rl/algorithms/`), and the gradient is computed on the kept ones alone: so are the passes
of the reference model and the critic, where an algorithm has them.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import find_checkpoint, hash_model, load_model, load_tokenizer
from reachlab.models.devices import choose_device
from reachlab.models.origin import origin_of
from reachlab.models.pinning import locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode_answers, encode_prompts, prompt_ids
from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.rl.algorithms.ppo import critic_targets
from reachlab.rl.downsampling import RULES
from reachlab.rl.weighting import select_weighted
from reachlab.runs import RunFolder
from reachlab.sampling.asking import asked_task
from reachlab.sampling.config import Decoding
from reachlab.sampling.draws import sample_seed
from reachlab.sampling.prompts import fit_answers
from reachlab.sampling.store import hash_problems
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.reward import Rewarded, hash_reward
from reachlab.training.config import OptimizerConfig
from reachlab.training.critic import Critic
from reachlab.training.guard import check
from reachlab.training.loop import Metrics, TrainingRun, identity, run_folder
from reachlab.training.lora import adapt
from reachlab.training.passes import Batch, Passes, Seen
from reachlab.training.policy_engine import PolicyEngine
from reachlab.training.processes import Processes
from reachlab.training.recipes import say, settle_rl, settled_optimizer
from reachlab.training.rl_config import RANDOM, ObjectiveConfig, RLConfig
from reachlab.training.rollouts import Clock, Rollouts, RolloutSource, describe
from reachlab.training.routing import route, watched
from reachlab.types import Problem

LOOKED_AT = 1024
"""Training problems whose prompts are measured before a run begins, where the longest answer is ours to choose."""
ENOUGH = 8
"""Rollouts of a step of which at least one must be scored; a smaller step without any teaches nothing and passes."""


def train_rl(config: RLConfig, tell: Callable[[str], None] = lambda _: None) -> bool:
    """Train a model by RL; the same command again goes on with a killed run. `tell` hears remarks before it begins.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: no checkpoint, no problems, a folder that holds another run.
    """
    with learner(config) as found:
        if not found.run.finished:
            for remark in found.remarks():
                tell(remark)
            found.run.train(found.step, "rl")
        return found.processes.main


@contextmanager
def learner(config: RLConfig) -> Iterator["Learner"]:
    """What trains, ready for its next step; nothing is written yet.

    Raises:
        ReachlabError: as `train_rl`.
    """
    folder, remarks = run_folder(config.out) if config.out else RunFolder(""), list[str]()
    model = locate(config.model, [folder] if config.out else (), remarks.append)
    config = replace(config, model=model.folder)
    origin = origin_of(find_checkpoint(config.model))
    said, config = config, settle_rl(config, origin)
    asked = asked_task(config.task, config.ask, config.model)
    remarks += filter(None, (asked.remark, say(said, config, origin)))
    task: Task = asked.task
    own_reward = config.reward not in ("", RANDOM)
    if own_reward:
        task = Rewarded(task, config.reward)
    next(task.stream("train", config.loop.seed))
    config = replace(config, max_tokens=_fit(config, model.name, task, remarks.append))
    known = {**identity(config), "ask": asked.identity, "model": hash_model(config.model, rehash=config.rehash)}
    if own_reward:
        known["reward_source"] = hash_reward(config.reward)
    if task.finite:
        known["task_hash"] = hash_problems(task.problems("all"))
    processes = Processes.start(choose_device(config.loop.device))
    try:
        workers = max(1, (os.cpu_count() or 1) // processes.world)
        with Judge(task, workers=workers, timeout_s=config.verify_timeout) as judge:
            yield Learner(config, task, judge, processes, folder, known, model.facts, remarks)
    finally:
        processes.close()


def _fit(config: RLConfig, model: str, task: Task, tell: Callable[[str], None]) -> int:
    """The longest rollout that there is room for, behind the held-out problems and as many training problems as are
    looked at; the first step is enough where the user says how long.

    Raises:
        ReachlabError: as `fit_answers`.
    """
    every, said = config.evaluation, bool(config.max_tokens)
    count = config.prompts if said else min(config.prompts * config.loop.steps, LOOKED_AT)
    problems = [*islice(task.stream("train", config.loop.seed), count)]
    problems += task.problems("test", every.eval_problems) if every.eval_every else []
    longest = max(map(len, prompt_ids(load_tokenizer(config.model), [p.asked for p in problems])))
    wanted = config.max_tokens or Decoding().max_tokens
    most, remarks = fit_answers(model, positions(config.model), longest, wanted, said=said)
    for remark in remarks:
        tell(remark)
    return most


def resolve(config: RLConfig) -> Algorithm:
    """The algorithm's row, with the user's own choices in it.

    Raises:
        ReachlabError: choices that cannot go together.
    """
    row = _resolve(config.objective)
    over_all = config.selection.normalise == "all" and config.keep < config.budget.rollouts
    if over_all and (row.kl_place == "reward" or row.name in ("ppo", "reinforce_pp")):
        raise ReachlabError(
            f"{row.name}{' with a KL in the reward' if row.kl_place == 'reward' else ''} needs --normalise kept: the "
            "tokens of rollouts that are not kept are not looked at"
        )
    if config.keep < 2 and row.name in ("grpo", "dr_grpo", "rloo", "dapo") and not over_all:
        raise ReachlabError(
            f"{row.name} compares rollouts of one problem: keep 2 or more (--rollouts {config.budget.rollouts}, "
            f"--keep {config.keep}), or choose remax, reinforce_pp or ppo"
        )
    if row.overlong and config.budget.budget == "waves":
        raise ReachlabError("--budget waves knows the best subset of the task's own rewards only: add --overlong 0")
    return row


def _resolve(config: ObjectiveConfig) -> Algorithm:
    found = ALGORITHMS[config.algorithm]
    chosen: dict[str, Any] = {
        "aggregate": None if config.aggregate == "auto" else config.aggregate,
        "clip_low": config.clip_low,
        "clip_high": config.clip_high,
        "overlong": config.overlong,
        "kl_estimator": None if config.kl_estimator == "auto" else config.kl_estimator,
        "kl_place": None if config.kl_place == "auto" else config.kl_place,
    }
    if not config.kl:
        chosen["kl_place"] = "none"
    elif found.kl_place == "none" and chosen["kl_place"] is None:
        chosen["kl_place"] = "loss"  # the algorithm has none of its own, and the user asks for one
    return replace(found, **{name: value for name, value in chosen.items() if value is not None})


@dataclass(frozen=True)
class Kept:
    """The M rollouts of each problem to learn from; fewer where fewer were drawn.

    `weights_PM` undo the selection's bias, where asked for; `drawn_PM` is false where the rule had nothing to choose:
    what was not drawn, or could not be scored.
    """

    indices_PM: Tensor
    drawn_PM: Tensor
    weights_PM: Tensor | None


class Learner:
    """What a step needs, and the step."""

    def __init__(
        self,
        config: RLConfig,
        task: Task,
        judge: Judge,
        processes: Processes,
        folder: RunFolder,
        known: Mapping[str, Any],
        facts: Mapping[str, str],
        remarks: Sequence[str] = (),
    ):
        """`known` is the run's identity, `facts` what else it keeps; `remarks` are told with its own."""
        self.config, self.processes, self.clock, self.noted = config, processes, Clock(), remarks
        self.algorithm = resolve(config)
        self.run = TrainingRun(
            folder,
            lambda: folder.claim("rl", known, facts),
            config.loop,
            settled_optimizer(config.optimizer),
            self._load,
            processes,
            self._beside,
        )
        run = self.run
        self.engine = PolicyEngine(run.model, run.tokenizer, processes, self.passes.dtype)
        self.source = RolloutSource(
            config, self.algorithm, task, run.tokenizer, self.engine, judge, processes, self.clock
        )

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        model, tokenizer = load_model(self.config.model)
        route(model, self.config.routing, source=find_checkpoint(self.config.model))
        adapt(model, self.config.weights, self.processes)
        return model, tokenizer

    def _beside(self, model: PreTrainedModel) -> dict[str, tuple[nn.Module, OptimizerConfig]]:
        self.passes = Passes(self.config, self.algorithm, model, self.processes)
        if not self.algorithm.critic:
            return {}
        moves = replace(settled_optimizer(self.config.optimizer), method="adamw", lr=self.config.objective.critic_lr)
        return {"critic": (Critic(model), moves)}

    def remarks(self) -> list[str]:
        """What the recipe chose; what to mind about the first step's prompts, or the held-out ones. Main's alone.

        Raises:
            ReachlabError: the model has no positions for them.
        """
        stream = self.source.task.stream("train", self.config.loop.seed)
        problems = [*islice(stream, self.config.prompts), *self.source.held_out]
        prompts = encode_prompts(self.run.tokenizer, [p.asked for p in problems])
        found = [*self.noted, *self.source.check(problems, prompts)]
        if self.algorithm.overlong:
            found += self._check_lengths(problems)
        return found if self.processes.main else []

    def _check_lengths(self, problems: Sequence[Problem]) -> list[str]:
        share, room = self.algorithm.overlong, self.config.max_tokens * (1 - self.algorithm.overlong)
        solutions = [s for p in problems if (s := self.source.task.solve(p, Random(0))) is not None]
        lengths = [len(ids) + 1 for ids in encode_answers(self.run.tokenizer, solutions)] if solutions else []
        punished = sum(length > room for length in lengths)
        if not punished:
            return []
        return [
            f"{punished} of {len(lengths)} right answers of the task's own solver are so long that --overlong "
            f"{share:g} punishes them, which teaches answers that are short and wrong; raise --max-tokens, or lower "
            "--overlong"
        ]

    def step(self, t: int) -> Metrics:
        """One step of RL."""
        self.clock.seconds.clear()
        with self.engine.ready(), self._agreed():
            rollouts, sums = self.source.draw(t)
            kept = self.select(rollouts, t)
        found = self.processes.sums(sums)
        if not found["judged"] and found["rollouts"] >= ENOUGH:
            raise ReachlabError(
                f"not one of {found['rollouts']:.0f} rollouts could be scored; {rollouts.last_reason()}"
            )
        with self.clock.phase("logprobs"):
            looked, seen = self.passes.watch(rollouts, t, self.run.threads)
            batch = self.passes.prepare(
                rollouts, kept.indices_PM, kept.drawn_PM, self.run.threads, self.run.modules.get("critic")
            )
        with self.clock.phase("advantage"):
            self.advantages(rollouts, kept, batch)
        with self.clock.phase("update"), watched(self.run.model) as recorder:
            metrics = self.passes.update(self.run, batch, t)
            metrics |= recorder.scalars() if recorder else {}
        if self.config.guard:
            metrics["kl_update"] = self.guard(seen, t)
        metrics |= describe(found | self.processes.sums(looked))
        every = self.config.evaluation.eval_every
        if every and (t + 1) % every == 0:
            metrics |= self.evaluate()
        return metrics | {f"seconds_{name}": value for name, value in self.clock.seconds.items()}

    def guard(self, seen: Seen, t: int) -> float:
        """How far the step moved the policy (KL, nats a token), the same on all processes.

        Raises:
            LeapError: too far.
        """
        with self.clock.phase("guard"):
            sums = self.processes.sums(self.passes.moved(seen, self.run.threads))
        moved = sums["moved"] / max(sums["moved_tokens"], 1.0)
        check("moved the policy", moved, self.config.guard, self.run.optimizer_config, t + 1)
        return moved

    def evaluate(self) -> Metrics:
        """pass@1 on held-out problems and, from several samples each, pass@k; over all processes."""
        k = self.config.evaluation.eval_samples
        before = dict(self.clock.seconds)
        with self.clock.phase("eval"):
            with self.engine.ready(), self._agreed():
                sums = self.source.evaluate()
            sums = self.processes.sums(sums)
        # What it takes to answer and judge here belongs to the evaluation.
        self.clock.seconds.update({name: before.get(name, 0.0) for name in ("generate", "verify")})
        problems = sums["problems"] or math.nan
        found = {"eval_pass1": sums["right"] / problems}
        return found if k == 1 else {**found, f"eval_pass{k}": sums["any"] / problems}

    def select(self, rollouts: Rollouts, t: int) -> Kept:
        """Which rollouts to learn from; a function of the step's seed and rewards, in however many processes."""
        selection, (P, N) = self.config.selection, (self.config.prompts, self.config.budget.rollouts)
        with self.clock.phase("select"):
            generator = torch.Generator().manual_seed(sample_seed(self.config.loop.seed, "select", t))
            # In the whole step's shape, so that the lots a problem draws do not depend on who holds it.
            rewards_PN = torch.full((P, N), math.nan, dtype=torch.float64)
            rewards_PN[rollouts.places] = rollouts.rewards_PN
            if selection.lot:
                kept_PM, weights_PM = select_weighted(
                    selection.rule, rewards_PN, self.config.keep, selection.lot, generator
                )
                weights_PM = weights_PM[rollouts.places]
            else:
                kept_PM, weights_PM = RULES[selection.rule](rewards_PN, self.config.keep, generator), None
            kept_PM = kept_PM[rollouts.places]
            drawn_P1 = torch.tensor([[len(row)] for row in rollouts.answers])
            drawn_PM = ~rollouts.rewards_PN.gather(1, kept_PM).isnan()
            if self.config.budget.budget == "pilot_commit":
                drawn_PM &= drawn_P1 == N  # a problem outside the band is left out
            return Kept(kept_PM, drawn_PM, weights_PM)

    def advantages(self, rollouts: Rollouts, kept: Kept, batch: Batch) -> None:
        """Give every kept rollout of the batch its advantage and its weight."""
        objective = self.config.objective
        scored = Scored(
            rewards_PN=rollouts.rewards_PN,
            kept_PM=kept.indices_PM,
            normalise=self.config.selection.normalise,
            penalty_PMT=batch.penalty_PMT,
            mask_PMT=batch.mask_PMT,
            values_PMT=batch.values_PMT,
            greedy_P=rollouts.greedy_P,
            full_credit=self.config.full_credit,
            gamma=objective.gamma,
            lam=objective.lam,
            total=self.processes.sum,
        )
        batch.advantages = self.algorithm.advantage(scored)
        if self.algorithm.critic:
            batch.targets = critic_targets(scored)
        if kept.weights_PM is not None:
            batch.weights_PM = kept.weights_PM
            scored_PN = ~rollouts.rewards_PN.isnan()
            batch.drawn_tokens_P = rollouts.lengths_PN.where(scored_PN, 0).sum(1) / scored_PN.sum(1).clamp(min=1)

    @contextmanager
    def _agreed(self) -> Iterator[None]:
        """A phase without communication: where one process fails, all stop."""
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        self.processes.failing(error)
